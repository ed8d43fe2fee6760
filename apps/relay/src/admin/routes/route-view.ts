import { type ClaimStatus, type RouteState, type RouteStatus } from '@millrace/relay';
import { z } from 'zod';
import { captureViewOf, captureViewSchema } from './capture-view.js';
import { bigNumber, count } from './view-numbers.js';

const stateView = z
  .object({
    kind: z.enum(['starting', 'standby', 'running', 'stalled', 'paused', 'stopped', 'ended']),
    since: z.string().describe('RFC 3339, UTC').meta({ format: 'date-time' }),
    heldBy: z
      .string()
      .describe(
        'on standby: the relay that runs the route, or has stopped it; empty while it is free and left to another',
      )
      .optional(),
    problem: z
      .object({ side: z.enum(['source', 'sink', 'relay']), code: z.string(), message: z.string() })
      .describe('what keeps the route from working, and what to do; when stalled or stopped')
      .optional(),
  })
  .describe(
    'stalled heals by itself; stopped needs a person and then POST .../resume; standby means that another relay runs it, or has stopped it',
  );

const claimView = z
  .object({
    epoch: bigNumber,
    low: bigNumber.describe('all positions at or below are settled'),
    high: bigNumber.describe('the highest position seen'),
    fence: bigNumber.nullable().describe('set while the number of shards changes: nothing above it is sent or settled'),
    lastPosition: bigNumber.describe('the highest position given out by the source'),
    leavesAhead: count()
      .nullable()
      .describe('leaves of the outbox ready for new positions; null before the first look'),
    gapRanges: count(),
    gapsDied: count(),
    gapHolder: z.string().nullable().describe('who holds gaps open, while reading waits for that'),
    lagEvents: count().describe('events not settled; an upper bound while behind'),
    pagesInFlight: count().describe('pages read and not settled'),
    eventsInFlight: count(),
    bytesInFlight: count().describe('what they take in memory, about'),
    lanesBehind: count().describe(
      'lanes of which nothing was confirmed for a second, though there is something to send: others do not wait for them',
    ),
    held: z
      .object({
        events: count(),
        bytes: count(),
        keys: count(),
        parkedKeys: count().describe('keys that wait for a person'),
        oldestMs: z.number(),
      })
      .describe('events that were refused, and later ones of their keys; GET /admin/v1/parked lists them'),
    unreadLanes: count().describe(
      'lanes whose end is still to be read before anything is sent there, after a take-over',
    ),
  })
  .describe('what only the relay that holds the lease knows');

/** A route as the admin API shows it. */
export const routeViewSchema = z
  .object({
    name: z.string().describe('of a shard: orders/2'),
    shardOf: z.string().describe('the route as configured'),
    shards: count().describe('how many shards that has; 1: it is not divided'),
    source: z.string(),
    sink: z.string(),
    relay: z.string().describe('the relay that answers'),
    preferredRelay: z
      .string()
      .nullable()
      .describe('the relay that should run the route; null while this one does not know the others'),
    state: stateView,
    claim: claimView.nullable(),
    capture: captureViewSchema.nullable(),
    lagSeconds: z.number().nullable(),
    eventsPerSecond: z.number(),
    eventsSent: count().describe('since this relay started, as all further counts'),
    pages: count(),
    sends: count(),
    sendErrors: z.record(z.string(), count()).describe('count by code'),
    settlements: count(),
    sendsInFlight: count(),
    oldestSendMs: z.number(),
  })
  .meta({ title: 'Route' });

export const routeListSchema = z.object({ routes: z.array(routeViewSchema) });

export type RouteView = z.infer<typeof routeViewSchema>;

/** The status of the engine in the form of the API. */
export function routeViewOf(status: RouteStatus): RouteView {
  const { route, owner, preferredOwner, claim, sendErrors, state, ratePerSecond, ...rest } = status;
  return {
    ...rest,
    name: route,
    relay: owner,
    preferredRelay: preferredOwner,
    eventsPerSecond: ratePerSecond,
    state: stateViewOf(state),
    sendErrors: { ...sendErrors },
    claim: claim === null ? null : claimViewOf(claim),
    capture: claim === null ? null : captureViewOf(claim),
  };
}

function claimViewOf(claim: ClaimStatus): NonNullable<RouteView['claim']> {
  const { leavesAhead, gapRanges, gapsDied, gapHolder, lagEvents, unreadLanes } = claim;
  const { pagesInFlight, eventsInFlight, bytesInFlight, lanesBehind } = claim;
  return {
    epoch: String(claim.epoch),
    low: String(claim.low),
    high: String(claim.high),
    fence: claim.fence === null ? null : String(claim.fence),
    lastPosition: String(claim.lastPosition),
    held: { ...claim.held },
    ...{ leavesAhead, gapRanges, gapsDied, gapHolder, lagEvents, unreadLanes },
    ...{ pagesInFlight, eventsInFlight, bytesInFlight, lanesBehind },
  };
}

function stateViewOf(state: RouteState): RouteView['state'] {
  const { kind } = state;
  const since = new Date(state.sinceMs).toISOString();
  switch (kind) {
    case 'standby':
      return { kind, since, heldBy: state.heldBy };
    case 'stalled':
    case 'stopped':
      return { kind, since, problem: state.problem };
    case 'starting':
    case 'running':
    case 'paused':
    case 'ended':
      return { kind, since };
  }
}
