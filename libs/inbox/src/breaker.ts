import { backoffMs, type InboxClock } from './inbox-clock.js';
import { reasonOf } from './retry-policy.js';

/** Whether the consumer's database is taken to be there. */
export type BreakerState =
  | { readonly kind: 'closed' }
  /** Since when (monotonic milliseconds), and a sentence about the failure that opened it. */
  | { readonly kind: 'open'; readonly sinceMs: number; readonly reason: string };

/** What a breaker works with. */
export interface BreakerParts {
  readonly clock: InboxClock;
  /** Resolves when the database answers and can be written to. */
  readonly probe: () => Promise<void>;
  /** Called at each change. */
  readonly changed: (state: BreakerState) => void;
}

const PROBE_TIMEOUT_MS = 5_000;
const PROBE_MIN_MS = 100;
const PROBE_MAX_MS = 5_000;

/**
 * Tells a failing handler from a failing database. While it is open nothing is to be begun, and what failed meanwhile
 * counts as no attempt; it closes by itself when the database answers again.
 */
export class Breaker {
  #state: BreakerState = { kind: 'closed' };
  #probing: Promise<boolean> | null = null;
  #cancelTimer = (): void => undefined;
  #isStopped = false;

  constructor(private readonly parts: BreakerParts) {}

  get state(): BreakerState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  /** Asks the database whether it is there, once for all who ask at a time; opens when it is not. Never rejects. */
  async isDatabaseThere(error: unknown): Promise<boolean> {
    if (this.isOpen) {
      return false;
    }
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = null;
    });
    const isThere = await this.#probing;
    if (!isThere) {
      this.#open(error);
    }
    return isThere;
  }

  /** Ends the probing; the state stays as it is. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
  }

  #open(error: unknown): void {
    if (!this.isOpen && !this.#isStopped) {
      const sinceMs = this.parts.clock.monotonicMs();
      this.#change({ kind: 'open', sinceMs, reason: reasonOf(error, 'unavailable') });
      this.#probeLater(1);
    }
  }

  #probeLater(attempt: number): void {
    if (this.#isStopped) {
      return;
    }
    const waitMs = backoffMs(attempt, PROBE_MIN_MS, PROBE_MAX_MS, this.parts.clock);
    this.#cancelTimer = this.parts.clock.after(waitMs, () => {
      void this.#probeAgain(attempt);
    });
  }

  async #probeAgain(attempt: number): Promise<void> {
    if (await this.#probe()) {
      this.#change({ kind: 'closed' });
    } else {
      this.#probeLater(attempt + 1);
    }
  }

  /** A server that has fallen silent counts as away. */
  #probe(): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.parts.clock.after(PROBE_TIMEOUT_MS, () => {
        resolve(false);
      });
      this.parts.probe().then(
        () => {
          cancel();
          resolve(true);
        },
        () => {
          cancel();
          resolve(false);
        },
      );
    });
  }

  #change(state: BreakerState): void {
    this.#state = state;
    if (!this.#isStopped) {
      this.parts.changed(state);
    }
  }
}
