import { type CapturePort, type CaptureStatus, type ClaimedHeld, type StoredLaneOffset } from '@millrace/capture';
import { type Epoch, type Position } from '@millrace/events';
import { type SinkPort } from '@millrace/transport';
import { type HeldSummary } from './held/held-key.js';
import { type LeaseStamp } from './lease-validity.js';
import { type RelayClock, type RelayRandom } from './relay-clock.js';
import { type Route } from './route-config.js';
import { type RouteMeter } from './route-meter.js';
import { type RouteProblem } from './route-state.js';
import { type SendGate } from './send-gate.js';
import { type SinkBreaker } from './sink-breaker.js';

/** A claim as the pump takes it over. */
export interface PumpClaim {
  readonly capture: CapturePort;
  readonly epoch: Epoch;
  readonly isPaused: boolean;
  readonly fence: Position | null;
  /** Absent: nothing can be held. */
  readonly held?: ClaimedHeld;
  /** What earlier claims have noted of the lanes that they sent to. */
  readonly laneOffsets?: readonly StoredLaneOffset[];
  /** A person has been told that lanes have lost what was stored there, and the route shall go on. */
  readonly acceptsLosses?: boolean;
  /** Taken before the claim was asked for. */
  readonly claimedAt: LeaseStamp;
}

/** What the pump works with; the same for every claim of a route. */
export interface PumpParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  readonly gate: SendGate;
  readonly breaker: SinkBreaker;
  readonly meter: RouteMeter;
}

/** How the work on a claim ended. */
export type PumpEnd =
  /** All that was asked for is done. */
  | { readonly kind: 'drained' }
  /** The claim is of no use any more. */
  | { readonly kind: 'lost'; readonly error: unknown }
  /** Something that only a person can mend. */
  | { readonly kind: 'refused'; readonly problem: RouteProblem };

/** How the work goes, told whenever it may have changed. */
export interface PumpHealth {
  readonly isPaused: boolean;
  readonly problem: RouteProblem | null;
}

/** The pump's part of a route's status. */
export interface PumpSnapshot {
  readonly epoch: Epoch;
  readonly fence: Position | null;
  readonly capture: CaptureStatus;
  readonly pagesInFlight: number;
  readonly bytesInFlight: number;
  readonly eventsInFlight: number;
  /** Of which nothing was confirmed for a while, though there is something to send: others do not wait for them. */
  readonly lanesBehind: number;
  readonly oldestEventMs: number | null;
  /** For so long the source has had more than the fence lets through, as far as this claim has seen; 0: it has not. */
  readonly heldBackMs: number;
  /** Events that are held for the sink's refusal. */
  readonly held: HeldSummary;
  /** Lanes of which the end is still to be read, before anything is sent there. */
  readonly unreadLanes: number;
}
