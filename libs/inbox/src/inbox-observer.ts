import { type BreakerState } from './breaker.js';
import { type FailureAction, type FailureCode } from './retry-policy.js';

/**
 * How a record was settled, so that its offset may move on. `unhandled`: an event of a type without a handler here.
 * `held`, `parked`: set aside with its claim. `chained`: set aside behind an earlier event of its key.
 */
export type Settlement = 'applied' | 'duplicate' | 'chained' | 'held' | 'parked' | 'unhandled';

/** A record was settled. */
export interface RecordSettled {
  readonly settlement: Settlement;
  /** Empty for what is no event at all. */
  readonly type: string;
  readonly topic: string;
  readonly partition: number;
  /** From the broker's time stamp to now, by this machine's clock. */
  readonly ageMs: number;
}

/** A handler has run; its transaction may yet be rolled back. */
export interface HandlerEnded {
  readonly type: string;
  readonly durationMs: number;
}

/** An attempt to apply one record or a batch has failed and was rolled back. */
export interface AttemptFailed {
  readonly code: FailureCode;
  readonly action: FailureAction;
  readonly records: number;
  readonly error: unknown;
}

/** A record was set aside, by its first failure or as the head of its chain. */
export interface SetAside {
  readonly kind: 'held' | 'parked';
  readonly id: string;
  readonly type: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly code: string;
  readonly reason: string;
  readonly error: unknown;
}

/** A held chain was parked after its last try. */
export interface ChainParked {
  readonly id: string;
  readonly topic: string;
  readonly code: string;
}

/** A record's `millrace-low` was not below its own position, so it was ignored: no relay sends that. */
export interface LowRefused {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** Deliveries skipped offsets, so the floors of the partition stand still until it is thawed. */
export interface PartitionFrozen {
  readonly topic: string;
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * What goes on beside the handlers: opening partitions, writing progress, removing claims, releasing held chains, setting
 * records aside.
 */
export type BackgroundTask = 'open' | 'progress' | 'prune' | 'release' | 'set-aside';

/**
 * What a consumer tells while it works: for metrics, logs and tests. Called synchronously, some of it on the hot path:
 * be quick, do not throw, do not call back.
 */
export interface InboxObserver {
  recordSettled?(settled: RecordSettled): void;
  handlerEnded?(ended: HandlerEnded): void;
  attemptFailed?(failed: AttemptFailed): void;
  setAside?(aside: SetAside): void;
  chainParked?(parked: ChainParked): void;
  /** Events of held chains that were applied at last. */
  chainsReleased?(applied: number): void;
  breakerChanged?(state: BreakerState): void;
  lowRefused?(refused: LowRefused): void;
  partitionFrozen?(frozen: PartitionFrozen): void;
  /**
   * The group goes on at an offset, but this database has no progress of the partition: what lies before it counts as
   * skipped.
   */
  progressMissing?(frozen: PartitionFrozen): void;
  partitionThawed?(partition: { readonly topic: string; readonly partition: number }): void;
  /** A task in the background has begun to fail (`error` set) or to succeed again (null). */
  backgroundChanged?(task: BackgroundTask, error: unknown): void;
}

/** One observer that tells all of `observers`, also those that are added later. */
export function tellAll(observers: Iterable<InboxObserver>): Required<InboxObserver> {
  const all = (tell: (observer: InboxObserver) => void): void => {
    for (const observer of observers) {
      tell(observer);
    }
  };
  return {
    recordSettled: (settled) => {
      all((observer) => observer.recordSettled?.(settled));
    },
    handlerEnded: (ended) => {
      all((observer) => observer.handlerEnded?.(ended));
    },
    attemptFailed: (failed) => {
      all((observer) => observer.attemptFailed?.(failed));
    },
    setAside: (aside) => {
      all((observer) => observer.setAside?.(aside));
    },
    chainParked: (parked) => {
      all((observer) => observer.chainParked?.(parked));
    },
    chainsReleased: (applied) => {
      all((observer) => observer.chainsReleased?.(applied));
    },
    breakerChanged: (state) => {
      all((observer) => observer.breakerChanged?.(state));
    },
    lowRefused: (refused) => {
      all((observer) => observer.lowRefused?.(refused));
    },
    partitionFrozen: (frozen) => {
      all((observer) => observer.partitionFrozen?.(frozen));
    },
    progressMissing: (frozen) => {
      all((observer) => observer.progressMissing?.(frozen));
    },
    partitionThawed: (partition) => {
      all((observer) => observer.partitionThawed?.(partition));
    },
    backgroundChanged: (task, error) => {
      all((observer) => observer.backgroundChanged?.(task, error));
    },
  };
}
