import { type RouteState, type RouteStatus } from '@millrace/relay';

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
    name: 'millrace_relay_in_flight_bytes',
    help: 'Bytes of the pages read and not yet settled',
    valueOf: ({ claim }) => claim?.bytesInFlight ?? 0,
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
    name: 'millrace_relay_epoch',
    help: 'Fencing number of the route in this relay; grows at each take-over, absent without the lease',
    valueOf: ({ claim }) => numberOf(claim?.epoch),
  },
  {
    name: 'millrace_relay_lease_held',
    help: '1 while this relay holds the lease of the route',
    valueOf: ({ claim }) => Number(claim !== null),
  },
];

/** The states of `millrace_relay_route_state`, of which exactly one is 1. */
export const ROUTE_STATES: readonly RouteState['kind'][] = [
  'starting',
  'standby',
  'running',
  'stalled',
  'paused',
  'stopped',
  'ended',
];

export const ROUTE_STATE = {
  name: 'millrace_relay_route_state',
  help: '1 for the state that the route is in, 0 for the others',
  labelNames: [...ROUTE_LABELS, 'state'],
} as const;

export const GAPS_DIED = {
  name: 'millrace_relay_gaps_died_total',
  help: 'Positions found to be never coming: their transactions were rolled back',
  labelNames: ROUTE_LABELS,
} as const;

export const PAGES = {
  name: 'millrace_relay_pages_total',
  help: 'Pages read from the source, by code: full (cut by a limit), partial, empty',
  labelNames: [...ROUTE_LABELS, 'code'],
} as const;

export const POLL_DURATION = {
  name: 'millrace_relay_poll_duration_seconds',
  help: 'Seconds of one read of the source, until its rows were durable there',
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

/** Seconds, from a local poll to a send that waits for a lost replica. */
export const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Exact up to 2^53, far beyond what a sequence gives out in a lifetime; the admin API has the exact text. */
function numberOf(value: bigint | undefined): number | null {
  return value === undefined ? null : Number(value);
}
