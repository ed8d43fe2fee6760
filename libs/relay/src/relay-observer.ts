import { type ForkReport } from '@millrace/capture';
import { type SinkLane } from '@millrace/transport';
import { type RouteState } from './route-state.js';
import { type SendErrorCode } from './send-policy.js';

/** A route has entered another state. */
export interface StateChange {
  readonly route: string;
  readonly from: RouteState;
  readonly to: RouteState;
}

/** A poll has returned. */
export interface PageRead {
  readonly route: string;
  readonly rows: number;
  readonly events: number;
  readonly bytes: number;
  /** Cut by a limit: there is more to read at once. */
  readonly isFull: boolean;
  /** A wait for something to come is part of `durationMs`. */
  readonly hasWaited: boolean;
  readonly durationMs: number;
}

/** The sink has confirmed a batch. */
export interface BatchSent {
  readonly route: string;
  readonly lane: SinkLane;
  readonly events: number;
  readonly bytes: number;
  readonly durationMs: number;
}

/** A send has failed. */
export interface SendFailed {
  readonly route: string;
  readonly lane: SinkLane;
  readonly code: SendErrorCode;
  readonly events: number;
  /** Failures of this batch in a row, this one included. */
  readonly attempt: number;
  readonly durationMs: number;
  readonly error: unknown;
}

/** Other relays work on a source than before, or in another order. */
export interface MembersChange {
  readonly source: string;
  /** In the order in which they joined, this one included. */
  readonly members: readonly string[];
}

/** A route was repaired after its database failed over, was restored or moved. */
export interface ForkRepaired {
  readonly route: string;
  readonly source: string;
  readonly report: ForkReport;
}

/** The ledger has been written after so many pages. */
export interface PagesSettled {
  readonly route: string;
  readonly pages: number;
  readonly events: number;
  readonly durationMs: number;
}

/**
 * What the engine tells while it works: for metrics, logs and tests. Called synchronously, most of them on the hot
 * path: be quick, do not throw, do not call back into the engine. `stateChanged`, `membersChanged` and
 * `forkRepaired` are the ones to log.
 */
export interface RelayObserver {
  stateChanged?(change: StateChange): void;
  membersChanged?(change: MembersChange): void;
  pageRead?(read: PageRead): void;
  batchSent?(sent: BatchSent): void;
  sendFailed?(failed: SendFailed): void;
  pagesSettled?(settled: PagesSettled): void;
  forkRepaired?(repaired: ForkRepaired): void;
}
