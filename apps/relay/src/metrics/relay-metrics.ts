import { type RouteState, type RouteStatus } from '@millrace/relay';
import { SLOT_STATES } from '../engine/slot-states.js';

/*
 * Every metric of the relay, once: name, help, labels. A label is a route, source, sink, topic, state or code of the
 * configuration or of a closed list; never an id or a key.
 */

/** The labels that every metric of a route has. */
export const ROUTE_LABELS = ['route', 'source', 'sink'] as const;

/** Numbers that are read from the engine at the moment of the scrape; `null` while another relay knows better. */
export interface RouteGauge {
  readonly name: string;
  readonly help: string;
  readonly valueOf: (status: RouteStatus) => number | null;
}

/** One series per route each. */
export const ROUTE_GAUGES: readonly RouteGauge[] = [
  {
    name: 'millrace_relay_lag_seconds',
    help: 'Age of the oldest event that the route has not settled; 0 when caught up, absent on standby',
    valueOf: ({ lagSeconds }) => lagSeconds,
  },
  {
    name: 'millrace_relay_lag_events',
    help: 'Events that the route has not settled; an upper bound while it is behind',
    valueOf: ({ claim }) => claim?.lagEvents ?? null,
  },
  {
    name: 'millrace_relay_low_position',
    help: 'All positions at or below this one are settled',
    valueOf: ({ claim }) => numberOf(claim?.low),
  },
  {
    name: 'millrace_relay_high_position',
    help: 'Highest position that the route has seen',
    valueOf: ({ claim }) => numberOf(claim?.high),
  },
  {
    name: 'millrace_relay_last_position',
    help: 'Highest position that the source has given out, as last read',
    valueOf: ({ claim }) => numberOf(claim?.lastPosition),
  },
  {
    name: 'millrace_relay_outbox_leaves_ahead',
    help: 'Leaves of the outbox ready for new positions, as last read; at 0 rows land in the default partition',
    valueOf: ({ claim }) => claim?.leavesAhead ?? null,
  },
  {
    name: 'millrace_relay_gap_ranges',
    help: 'Ranges of positions below the highest one that were not visible when read past',
    valueOf: ({ claim }) => claim?.gapRanges ?? null,
  },
  {
    name: 'millrace_relay_gap_limit_reached',
    help: '1 while reading waits because there are too many gaps; GET /admin/v1/routes names who holds them open',
    valueOf: ({ claim }) => (claim === null ? null : Number(claim.gapHolder !== null)),
  },
  {
    name: 'millrace_relay_events_per_second',
    help: 'Events that the sink has confirmed per second, over the last ten seconds',
    valueOf: ({ ratePerSecond }) => ratePerSecond,
  },
  {
    name: 'millrace_relay_in_flight_pages',
    help: 'Pages read and not yet settled',
    valueOf: ({ claim }) => claim?.pagesInFlight ?? 0,
  },
  {
    name: 'millrace_relay_in_flight_events',
    help: 'Events of the pages read and not yet settled',
    valueOf: ({ claim }) => claim?.eventsInFlight ?? 0,
  },
  {
    name: 'millrace_relay_in_flight_bytes',
    help: 'What the pages read and not yet settled take in memory, about',
    valueOf: ({ claim }) => claim?.bytesInFlight ?? 0,
  },
  {
    name: 'millrace_relay_lanes_behind',
    help: 'Lanes of which nothing was confirmed for a second, though there is something to send: others do not wait for them',
    valueOf: ({ claim }) => claim?.lanesBehind ?? null,
  },
  {
    name: 'millrace_relay_in_flight_sends',
    help: 'Sends that the sink has not answered',
    valueOf: ({ sendsInFlight }) => sendsInFlight,
  },
  {
    name: 'millrace_relay_oldest_send_seconds',
    help: 'For how long the oldest send has waited for the answer of the sink; 0 without one',
    valueOf: ({ oldestSendMs }) => oldestSendMs / 1_000,
  },
  {
    name: 'millrace_relay_unread_lanes',
    help: 'Lanes whose end a new owner of the route has still to read before it publishes to them',
    valueOf: ({ claim }) => claim?.unreadLanes ?? null,
  },
  {
    name: 'millrace_relay_held_events',
    help: 'Events that are held because they, or an earlier one of their key, were refused',
    valueOf: ({ claim }) => claim?.held.events ?? null,
  },
  {
    name: 'millrace_relay_held_bytes',
    help: 'Bytes of the records of held events, about',
    valueOf: ({ claim }) => claim?.held.bytes ?? null,
  },
  {
    name: 'millrace_relay_held_keys',
    help: 'Keys of which events are held',
    valueOf: ({ claim }) => claim?.held.keys ?? null,
  },
  {
    name: 'millrace_relay_parked_keys',
    help: 'Those of them that wait for a person',
    valueOf: ({ claim }) => claim?.held.parkedKeys ?? null,
  },
  {
    name: 'millrace_relay_oldest_held_seconds',
    help: 'For how long the oldest of them has been held; 0 without one',
    valueOf: ({ claim }) => (claim === null ? null : claim.held.oldestMs / 1_000),
  },
  {
    name: 'millrace_relay_epoch',
    help: 'Fencing number of the route in this relay; grows at each take-over, absent without the lease',
    valueOf: ({ claim }) => numberOf(claim?.epoch),
  },
  {
    name: 'millrace_relay_lease_held',
    help: '1 while this relay holds the lease of the route',
    valueOf: ({ claim }) => Number(claim !== null),
  },
  {
    name: 'millrace_relay_slot_retained_bytes',
    help: 'WAL that the server keeps for the replication slot of the route; this and what follows is absent without a slot',
    valueOf: ({ claim }) => numberOf(claim?.slot?.retainedBytes),
  },
  {
    name: 'millrace_relay_slot_safe_wal_bytes',
    help: 'WAL that may still be written before the server may give the slot up; absent without max_slot_wal_keep_size',
    valueOf: ({ claim }) => numberOf(claim?.slot?.safeWalBytes),
  },
  {
    name: 'millrace_relay_slot_lag_bytes',
    help: "From what the route has confirmed to the end of the server's WAL",
    valueOf: ({ claim }) => numberOf(claim?.slot?.lagBytes),
  },
  {
    name: 'millrace_relay_slot_inactive_since_timestamp_seconds',
    help: "Since when nobody reads the slot, on the server's clock; absent while it is read, and before PostgreSQL 17",
    valueOf: ({ claim }) => secondsOf(claim?.slot?.inactiveSince),
  },
  {
    name: 'millrace_relay_slot_limit_near',
    help: '1 while the slot holds more than half of what it may; above the limit the route lets it go and polls',
    valueOf: ({ claim }) => (claim === null || claim.slot === null ? null : Number(claim.slot.isHigh)),
  },
];

const STATES: readonly RouteState['kind'][] = [
  'starting',
  'standby',
  'running',
  'stalled',
  'paused',
  'stopped',
  'ended',
];

/** Which of a closed list is true of a route: one series each, of which one is 1; none where `valueOf` is `null`. */
export interface RouteChoice {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly values: readonly string[];
  readonly valueOf: (status: RouteStatus) => string | null;
}

export const ROUTE_CHOICES: readonly RouteChoice[] = [
  {
    name: 'millrace_relay_route_state',
    help: '1 for the state that the route is in, 0 for the others',
    label: 'state',
    values: STATES,
    valueOf: ({ state }) => state.kind,
  },
  {
    name: 'millrace_relay_capture_reading',
    help: '1 for where the route reads new rows at this moment, table or stream, 0 for the other',
    label: 'reading',
    values: ['table', 'stream'],
    valueOf: ({ claim }) => claim?.reading ?? null,
  },
  {
    name: 'millrace_relay_slot_state',
    help: '1 for the state of the replication slot of the route, 0 for the others; absent while none is wanted',
    label: 'state',
    values: SLOT_STATES,
    valueOf: ({ claim }) => claim?.slot?.state ?? null,
  },
];

/** What is counted elsewhere, by the claim or by the server, and begins anew there; the metric goes on. */
export interface RouteCounter {
  readonly name: string;
  readonly help: string;
  readonly valueOf: (status: RouteStatus) => number | null;
  /** What the first number stands for has been before us: it is where the counting begins. */
  readonly isOlderThanClaim: boolean;
}

export const ROUTE_COUNTERS: readonly RouteCounter[] = [
  {
    name: 'millrace_relay_gaps_died_total',
    help: 'Positions found to be never coming: their transactions were rolled back',
    valueOf: ({ claim }) => claim?.gapsDied ?? null,
    isOlderThanClaim: false,
  },
  {
    name: 'millrace_relay_capture_streams_lost_total',
    help: 'How often reading went from the stream back to the table by itself',
    valueOf: ({ claim }) => claim?.streamsLost ?? null,
    isOlderThanClaim: false,
  },
  {
    name: 'millrace_relay_slot_spilled_transactions_total',
    help: 'Transactions that the server decoded on disk for the slot, while this relay had the route',
    valueOf: ({ claim }) => numberOf(claim?.slot?.spilledTransactions),
    isOlderThanClaim: true,
  },
  {
    name: 'millrace_relay_slot_spilled_bytes_total',
    help: 'Bytes of them, each time that they were written',
    valueOf: ({ claim }) => numberOf(claim?.slot?.spilledBytes),
    isOlderThanClaim: true,
  },
];

export const PAGES = {
  name: 'millrace_relay_pages_total',
  help: 'Pages read from the source, by code: full (cut by a limit), partial, empty',
  labelNames: [...ROUTE_LABELS, 'code'],
} as const;

export const POLL_DURATION = {
  name: 'millrace_relay_poll_duration_seconds',
  help: 'Seconds of one read of the source, until its rows were durable there; without those that waited for rows to come',
  labelNames: ROUTE_LABELS,
} as const;

export const EVENTS = {
  name: 'millrace_relay_events_total',
  help: 'Events that the sink has confirmed',
  labelNames: [...ROUTE_LABELS, 'topic'],
} as const;

export const BYTES = {
  name: 'millrace_relay_bytes_total',
  help: 'Bytes of the events that the sink has confirmed',
  labelNames: [...ROUTE_LABELS, 'topic'],
} as const;

export const SEND_DURATION = {
  name: 'millrace_relay_send_duration_seconds',
  help: 'Seconds from a send to the confirmation of the sink',
  labelNames: [...ROUTE_LABELS, 'topic'],
} as const;

export const SEND_ERRORS = {
  name: 'millrace_relay_send_errors_total',
  help: 'Sends that failed, by code',
  labelNames: [...ROUTE_LABELS, 'code'],
} as const;

export const RESENDS = {
  name: 'millrace_relay_resends_total',
  help: 'Failed sends whose records are sent again because the sink may or may not have them; each may make repeats',
  labelNames: ROUTE_LABELS,
} as const;

export const SETTLE_DURATION = {
  name: 'millrace_relay_settle_duration_seconds',
  help: 'Seconds of one write of the ledger',
  labelNames: ROUTE_LABELS,
} as const;

export const INCIDENTS = {
  name: 'millrace_relay_incidents_total',
  help:
    'What happened to the database behind a route, by kind: fork_repaired (fail-over, restore or move, gone on by itself), ' +
    'events_lost_by_database (published events that the database lost; GET /admin/v1/incidents lists them)',
  labelNames: [...ROUTE_LABELS, 'kind'],
} as const;

/** Seconds, from a local poll to a send that waits for a lost replica. */
export const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Exact up to 2^53, far beyond what a sequence gives out in a lifetime; the admin API has the exact text. */
function numberOf(value: bigint | null | undefined): number | null {
  return value === undefined || value === null ? null : Number(value);
}

function secondsOf(time: string | null | undefined): number | null {
  const ms = Date.parse(time ?? '');
  return Number.isNaN(ms) ? null : ms / 1_000;
}
