import { type CaptureMode, type SlotStatus } from '@millrace/capture';
import { type Epoch, type Position } from '@millrace/events';
import { type HeldSummary } from './held/held-key.js';
import { type RelayClock } from './relay-clock.js';
import { type Route } from './route-config.js';
import { type RouteCounts, type RouteMeter } from './route-meter.js';
import { type PumpSnapshot } from './pump-parts.js';
import { type RouteState } from './route-state.js';

/**
 * Without a poll for so long we no longer know what is in the source, so the time counts as lag. Longer than a capture
 * waits for rows to come.
 */
const BLIND_AFTER_MS = 2_000;

/** Everything that metrics and the admin API show of a route. */
export interface RouteStatus extends RouteCounts {
  /** The name of its ledger and in its records: `orders`, or `orders/2` for a shard. */
  readonly route: string;
  /** The route of the configuration. */
  readonly shardOf: string;
  /** How many shards that has, as this relay knows it. */
  readonly shards: number;
  readonly source: string;
  readonly sink: string;
  /** This relay. */
  readonly owner: string;
  /** The relay that should run the route, as this one sees it; `null` while it does not know the others. */
  readonly preferredOwner: string | null;
  readonly state: RouteState;
  /** `null` while this relay does not hold the route. */
  readonly claim: ClaimStatus | null;
  /**
   * Age of the oldest event that is not settled; 0 when caught up. Without a poll for two seconds the time since
   * the last one counts, and while the number of shards changes the time for which there has been more than may be sent.
   * `null` on standby: another relay knows. Compares this machine's clock with the database's.
   */
  readonly lagSeconds: number | null;
  /** Sends that the sink has not answered. */
  readonly sendsInFlight: number;
  readonly oldestSendMs: number;
  /** Events confirmed per second over the last ten seconds. */
  readonly ratePerSecond: number;
}

/** What only the relay that holds a route knows. */
export interface ClaimStatus {
  readonly epoch: Epoch;
  /** How the route is to learn of new rows: as configured, or as an operator has said. */
  readonly mode: CaptureMode;
  /** Where it reads them at this moment. */
  readonly reading: 'table' | 'stream';
  /** The replication slot, as last looked at; `null` while none is wanted. */
  readonly slot: SlotStatus | null;
  /** How often reading went from the stream back to the table within this claim, by itself. */
  readonly streamsLost: number;
  /** Set while the route is on its way to another number of shards: nothing above it is sent or settled. */
  readonly fence: Position | null;
  readonly low: Position;
  readonly high: Position;
  /** The highest position that the source's sequence has given out, as last read. */
  readonly lastPosition: Position;
  /** Leaves of the outbox that lie ahead of the sequence, as last read; `null` before the first look. */
  readonly leavesAhead: number | null;
  readonly gapRanges: number;
  readonly gapsDied: number;
  /** Set while reading waits because there are too many gaps: who holds them open. */
  readonly gapHolder: string | null;
  /** Events not settled: exact when caught up, an upper bound (numbers given out) while behind, blind or held at a fence. */
  readonly lagEvents: number;
  readonly pagesInFlight: number;
  readonly bytesInFlight: number;
  readonly eventsInFlight: number;
  /** Lanes of which nothing was confirmed for a second, though there is something to send: others do not wait for them. */
  readonly lanesBehind: number;
  /** Lanes of which the end is still to be read, before anything is sent there: a take-over is under way. */
  readonly unreadLanes: number;
  /** Events that are held because the sink refused them, or an earlier one of their key. */
  readonly held: HeldSummary;
}

/** What a status is computed from. */
export interface StatusParts {
  readonly route: Route;
  readonly owner: string;
  readonly preferredOwner: string | null;
  readonly state: RouteState;
  readonly wallMs: ReturnType<RelayClock['wallMs']>;
  readonly meter: RouteMeter;
  readonly pump: PumpSnapshot | null;
  readonly sendsInFlight: number;
  readonly oldestSendMs: number;
}

/** Pure: the status of a route. */
export function routeStatusOf(parts: StatusParts): RouteStatus {
  const { route, owner, preferredOwner, state, meter, pump, sendsInFlight, oldestSendMs } = parts;
  return {
    ...meter.counts,
    route: route.name,
    shardOf: route.shard.of,
    shards: route.shard.count,
    source: route.source,
    sink: route.sink,
    owner,
    preferredOwner,
    state,
    claim: pump === null ? null : claimStatusOf(pump, meter),
    lagSeconds: lagSecondsOf(parts),
    sendsInFlight,
    oldestSendMs,
    ratePerSecond: meter.ratePerSecond,
  };
}

function claimStatusOf(pump: PumpSnapshot, meter: RouteMeter): ClaimStatus {
  const { epoch, fence, capture, unreadLanes, held } = pump;
  const { pagesInFlight, eventsInFlight, bytesInFlight, lanesBehind } = pump;
  const inFlight = { pagesInFlight, eventsInFlight, bytesInFlight, lanesBehind };
  const { mode, reading, slot, streamsLost } = capture;
  const { low, high, lastPosition, leavesAhead, gapRanges, gapsDied, gapHolder } = capture;
  const lagEvents = lagEventsOf(pump, meter);
  const ledger = { low, high, lastPosition, leavesAhead, gapRanges, gapsDied, gapHolder };
  const reader = { mode, reading, slot, streamsLost };
  return { ...ledger, ...reader, ...inFlight, epoch, fence, lagEvents, unreadLanes, held };
}

function lagEventsOf({ capture, eventsInFlight, heldBackMs }: PumpSnapshot, meter: RouteMeter): number {
  const isCaughtUp = !meter.isBehind && meter.blindMs < BLIND_AFTER_MS && heldBackMs === 0;
  const numbers = Number(capture.lastPosition - capture.high);
  return isCaughtUp ? eventsInFlight : Math.max(eventsInFlight, numbers, 0);
}

function lagSecondsOf({ state, meter, pump, wallMs }: StatusParts): number | null {
  if (state.kind === 'standby') {
    return null;
  }
  const oldestEventMs = pump?.oldestEventMs ?? null;
  const age = oldestEventMs === null ? 0 : Math.max(0, wallMs - oldestEventMs);
  const blindMs = meter.blindMs < BLIND_AFTER_MS ? 0 : meter.blindMs;
  return Math.max(age, blindMs, pump?.heldBackMs ?? 0) / 1_000;
}
