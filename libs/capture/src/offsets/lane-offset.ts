import { type HeldChanges } from '../held/held-events.js';

/**
 * How far the ledger covers what a route has sent to a lane: everything below `nextOffset` that the route has sent there
 * is settled. What is above may be, and has to be looked at by who takes the route over.
 */
export interface LaneOffset {
  readonly topic: string;
  /** As the sink names it, and as it was when the offset was read; `null`: the sink has no such names. */
  readonly topicId: string | null;
  readonly partition: number;
  readonly nextOffset: bigint;
  /**
   * Milliseconds since the oldest send to the lane began of which the ledger does not know yet; 0: there is none. What
   * stands in the lane from before that time, and is the route's own, is settled as well.
   */
  readonly ageMs: number;
}

/** The same as it was stored; `atMs` is in milliseconds since 1970, by the clock of the source's database. */
export interface StoredLaneOffset extends Omit<LaneOffset, 'ageMs'> {
  readonly atMs: number;
}

/** What is written beside the ledger, in its statement; whoever has lost the ledger writes none of it. */
export interface LedgerNotes {
  /** What becomes of the events that are held. */
  readonly held?: HeldChanges;
  /** Of the lanes whose offsets have changed. */
  readonly offsets?: readonly LaneOffset[];
  /** Lanes that are no more what was noted of them. None of them stands in `offsets` as well. */
  readonly lanesGone?: readonly Pick<LaneOffset, 'topic' | 'partition'>[];
  /** A checkpoint with these lanes, which says later what had been sent to them when. */
  readonly checkpoint?: readonly Pick<LaneOffset, 'topic' | 'partition' | 'nextOffset'>[];
}
