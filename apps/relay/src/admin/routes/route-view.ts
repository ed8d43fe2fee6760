import { type RouteState, type RouteStatus } from '@millrace/relay';
import { z } from 'zod';

/** 64-bit numbers are decimal text: JSON's numbers are exact to 53 bits only. */
const bigNumber = z.string().regex(/^\d+$/).describe('64-bit number as decimal text');

const stateView = z
  .object({
    kind: z.enum(['starting', 'standby', 'running', 'stalled', 'paused', 'stopped', 'ended']),
    since: z.iso.datetime(),
    heldBy: z.string().describe('the relay that runs the route, on standby').optional(),
    problem: z
      .object({ side: z.enum(['source', 'sink', 'relay']), code: z.string(), message: z.string() })
      .describe('what keeps the route from working, and what to do; when stalled or stopped')
      .optional(),
  })
  .describe(
    'stalled heals by itself; stopped needs a person and then POST .../resume; standby means that another relay runs it',
  );

const claimView = z
  .object({
    epoch: bigNumber,
    low: bigNumber.describe('all positions at or below are settled'),
    high: bigNumber.describe('the highest position seen'),
    lastPosition: bigNumber.describe('the highest position given out by the source'),
    gapRanges: z.int(),
    gapsDied: z.int(),
    gapHolder: z.string().nullable().describe('who holds gaps open, while reading waits for that'),
    lagEvents: z.number(),
    pagesInFlight: z.int(),
    bytesInFlight: z.int(),
  })
  .describe('what only the relay that holds the lease knows');

/** A route as the admin API shows it. */
export const routeViewSchema = z
  .object({
    name: z.string(),
    source: z.string(),
    sink: z.string(),
    relay: z.string().describe('the relay that answers'),
    state: stateView,
    claim: claimView.nullable(),
    lagSeconds: z.number().nullable(),
    eventsPerSecond: z.number(),
    eventsSent: z.int().describe('since this relay started, as all further counts'),
    pages: z.int(),
    sends: z.int(),
    sendErrors: z.record(z.string(), z.int()).describe('count by code'),
    settlements: z.int(),
    sendsInFlight: z.int(),
    oldestSendMs: z.number(),
  })
  .meta({ title: 'Route' });

export const routeListSchema = z.object({ routes: z.array(routeViewSchema) });

export type RouteView = z.infer<typeof routeViewSchema>;

/** The status of the engine in the form of the API. */
export function routeViewOf(status: RouteStatus): RouteView {
  const { route, owner, claim, sendErrors, state, ratePerSecond, ...rest } = status;
  return {
    ...rest,
    name: route,
    relay: owner,
    eventsPerSecond: ratePerSecond,
    state: stateViewOf(state),
    sendErrors: { ...sendErrors },
    claim:
      claim === null
        ? null
        : {
            ...claim,
            epoch: String(claim.epoch),
            low: String(claim.low),
            high: String(claim.high),
            lastPosition: String(claim.lastPosition),
          },
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
