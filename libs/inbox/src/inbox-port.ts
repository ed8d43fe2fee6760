import { type EventId, type Position } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { type Transaction } from './transaction.js';

/** One order of events on a way into this consumer: positions of it may be compared with its floor. */
export interface Stream {
  readonly topic: string;
  readonly partition: number;
  readonly source: string;
  readonly route: string;
}

/**
 * An event that has arrived and is to be claimed. For a malformed record the id and the key are derived from its place
 * (`topic/partition/offset`), so that it can be set aside like any other.
 */
export interface Arrival {
  readonly id: EventId;
  /** Null for a record that did not come from a relay: it has no floor and is claimed by id alone. */
  readonly stream: Stream | null;
  readonly position: Position;
  /** The unit of order: the record's key as text. */
  readonly key: string;
  readonly type: string;
  /** Replayed or unparked on purpose: the floor does not make it a duplicate, its claim row is kept for 30 days. */
  readonly isBypassingFloor: boolean;
  /** The record as it came, for the chain of a held key. */
  readonly delivery: Delivery;
}

/**
 * What became of an arrival. `duplicate`: it was claimed before, or lies at or below the floor. `chained`: its key is
 * held, so it was appended to the key's chain, with its claim row. All three mean that the offset may move on.
 */
export type Outcome = 'applied' | 'duplicate' | 'chained';

/** Runs the handler of one arrival in the given transaction. */
export type Handle = (arrival: Arrival, tx: Transaction) => Promise<void>;

/**
 * Why an event is set aside: `held` is retried by itself at `retryInMs`, `parked` waits for a person. `isFree`: the try
 * that failed is not counted.
 */
export type HoldVerdict =
  | {
      readonly kind: 'held';
      readonly retryInMs: number;
      readonly code: string;
      readonly reason: string;
      readonly isFree?: boolean;
    }
  | { readonly kind: 'parked'; readonly code: string; readonly reason: string };

/** What the error table makes of the failure of a chain's head on its `attempt`-th try (counted from 1). */
export type JudgeRetry = (error: unknown, attempt: number) => HoldVerdict;

/** How far a partition is applied, as the database has it. */
export interface PartitionProgress {
  readonly topic: string;
  readonly partition: number;
  /** The first offset that is not done; null before the first. Everything below is committed in the database. */
  readonly nextOffset: bigint | null;
  /** Set when deliveries skipped offsets (both included): the floors stand still until a person thaws them. */
  readonly hole: { readonly from: bigint; readonly to: bigint } | null;
  /** By source and route: everything at or below `floor` was applied; what comes again is a duplicate. */
  readonly floors: readonly { readonly source: string; readonly route: string; readonly floor: Position }[];
}

/** What one round of releasing held chains did. */
export interface ReleaseReport {
  readonly applied: number;
  /** Chains whose head failed again and is tried later, and chains that are parked now. */
  readonly heldAgain: number;
  readonly parked: readonly {
    readonly id: EventId;
    readonly topic: string;
    readonly key: string;
    readonly code: string;
  }[];
  /** How long until the next chain is due; null when none is held. At most some seconds, as other members may add one. */
  readonly nextDueInMs: number | null;
}

/**
 * The consumer's record of what it applied, in its own database. Everything here is safe beside twins: a member that was
 * thought dead, a second delivery, the release of a held chain.
 */
export interface InboxPort {
  /**
   * Claims all arrivals (sorted by id, one statement), runs `handle` for those that are new, in the given order, and
   * commits, in one transaction. A twin's claim is waited for. Rejects, having changed nothing, when a claim, a handler
   * or the commit fails; after an unknown outcome of the commit, a repetition finds duplicates.
   */
  apply(arrivals: readonly Arrival[], handle: Handle): Promise<readonly Outcome[]>;
  /**
   * Sets an arrival aside with its claim row: it heads (or, when the key is held already, joins) the chain of its key.
   * `duplicate` when it was claimed meanwhile.
   */
  hold(arrival: Arrival, verdict: HoldVerdict): Promise<Outcome>;
  /** What the database knows of a partition; zero state when nothing. */
  openPartition(topic: string, partition: number): Promise<PartitionProgress>;
  /**
   * Writes progress; never moves anything back. Only after it has resolved may the broker's offset move: so a hole is
   * told from a redelivery.
   */
  saveProgress(progress: readonly PartitionProgress[]): Promise<void>;
  /** Removes claims that the floors have made superfluous, or whose time is over; bounded work per call. */
  prune(): Promise<{ readonly isMoreLeft: boolean }>;
  /**
   * Tries the heads of the chains that are due, in order, one transaction per event; bounded work per call. Rejects when a
   * chain could not be dealt with, after all others had their turn; at once when there is no connection.
   */
  releaseDue(handle: Handle, judge: JudgeRetry): Promise<ReleaseReport>;
  /** Held and parked events of this consumer, for metrics. */
  countSetAside(): Promise<{ readonly held: number; readonly parked: number; readonly heldKeys: number }>;
  /** Resolves when the database answers and can be written to; rejects otherwise. For the breaker. */
  probe(): Promise<void>;
}
