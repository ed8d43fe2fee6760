/**
 * What becomes of an event that its sink refuses for good, or that no record can be made of. `block`: it and all later
 * events of its key are held, in order, and tried again by itself with growing waits. `park`: they are held until a
 * person acts. `skip`: it alone is left out, and recorded; its key goes on without it.
 */
export type PoisonPolicy = 'block' | 'park' | 'skip';

/** All of them. */
export const POISON_POLICIES: readonly PoisonPolicy[] = ['block', 'park', 'skip'];

/** How long held events wait, and how many there may be. */
export interface HeldTuning {
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Above it the route reads nothing more until there are fewer; so many as are in flight may come on top. */
  readonly eventsMax: number;
  /** The same by the bytes of their records. */
  readonly bytesMax: number;
}

/** A mended topic is noticed within five minutes; a hot key may have waited for an hour at 25 events a second. */
export const DEFAULT_HELD_TUNING: HeldTuning = {
  retryMinMs: 5_000,
  retryMaxMs: 300_000,
  eventsMax: 100_000,
  bytesMax: 256 * 1024 * 1024,
};
