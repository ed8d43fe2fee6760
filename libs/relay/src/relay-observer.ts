import { type ForkReport, type Refusal } from '@millrace/capture';
import { type EventId, type Position } from '@millrace/events';
import { type SinkLane } from '@millrace/transport';
import { type PoisonPolicy } from './held/poison-policy.js';
import { type RouteProblem, type RouteState } from './route-state.js';
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

/** An event was refused for good, and set aside by the policy of its route. Later events of its key are not told. */
export interface EventRefused {
  readonly route: string;
  readonly position: Position;
  readonly id: EventId;
  readonly refusal: Refusal;
  readonly policy: PoisonPolicy;
  /** It had been held, was tried, and was refused again. */
  readonly isAgain: boolean;
}

/** A sink counts as away, or no more. */
export interface BreakerChange {
  readonly sink: string;
  readonly isOpen: boolean;
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

/** A new owner has read the ends of the lanes of its route. */
export interface TailsRead {
  readonly route: string;
  readonly lanes: number;
  /** Whoever had sent them. */
  readonly records: number;
  /** Events of the route among them that the ledger did not know of: they are not sent again. */
  readonly found: number;
  /** More of them than are remembered: these are sent again. */
  readonly notRemembered: number;
  readonly durationMs: number;
}

/** The end of a lane cannot be read at all: what a dead owner has sent there may be sent again. */
export interface TailNotRead {
  readonly route: string;
  readonly lane: string;
  readonly problem: RouteProblem;
}

/** A person has let a route go on although a lane has lost what its ledger takes for stored. */
export interface LossAccepted {
  readonly route: string;
  readonly lane: string;
  /** `replaced`: its topic was deleted or made anew; `cut`: its log ends below. */
  readonly kind: 'replaced' | 'cut';
}

/** An earlier owner of the route has stored records in a lane after this one had read its end. */
export interface ZombieRecords {
  readonly route: string;
  readonly lane: string;
  readonly records: number;
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
 * path: be quick, do not throw, do not call back into the engine. `stateChanged`, `membersChanged`,
 * `forkRepaired`, `eventRefused` and `breakerChanged` are the ones to log.
 */
export interface RelayObserver {
  stateChanged?(change: StateChange): void;
  membersChanged?(change: MembersChange): void;
  pageRead?(read: PageRead): void;
  batchSent?(sent: BatchSent): void;
  sendFailed?(failed: SendFailed): void;
  pagesSettled?(settled: PagesSettled): void;
  forkRepaired?(repaired: ForkRepaired): void;
  tailsRead?(read: TailsRead): void;
  tailNotRead?(unread: TailNotRead): void;
  lossAccepted?(accepted: LossAccepted): void;
  zombieRecords?(seen: ZombieRecords): void;
  eventRefused?(refused: EventRefused): void;
  breakerChanged?(change: BreakerChange): void;
}
