import { type RouteState } from './route-state.js';
import { type RouteStatus } from './route-status.js';
import { type SendErrorCode } from './send-policy.js';

/** Of several shards the first of these tells the state of their route. */
const BY_CONCERN: readonly RouteState['kind'][] = [
  'stopped',
  'stalled',
  'starting',
  'paused',
  'running',
  'standby',
  'ended',
];

/**
 * The status of a route by those of its shards, of which there is one at least: the state that concerns an operator most,
 * the largest lag, the sum of what is counted. What belongs to one claim is left to the shards.
 */
export function wholeRouteStatus(first: RouteStatus, others: readonly RouteStatus[]): RouteStatus {
  if (others.length === 0) {
    return first;
  }
  const all = [first, ...others];
  const sum = (count: (status: RouteStatus) => number): number => all.reduce((total, each) => total + count(each), 0);
  const lags = all.flatMap(({ lagSeconds }) => (lagSeconds === null ? [] : [lagSeconds]));
  return {
    ...first,
    route: first.shardOf,
    preferredOwner: null,
    state: mostConcerning(all.map(({ state }) => state)) ?? first.state,
    claim: null,
    lagSeconds: lags.length === 0 ? null : Math.max(...lags),
    sendsInFlight: sum(({ sendsInFlight }) => sendsInFlight),
    oldestSendMs: Math.max(...all.map(({ oldestSendMs }) => oldestSendMs)),
    ratePerSecond: sum(({ ratePerSecond }) => ratePerSecond),
    pages: sum(({ pages }) => pages),
    eventsSent: sum(({ eventsSent }) => eventsSent),
    sends: sum(({ sends }) => sends),
    settlements: sum(({ settlements }) => settlements),
    sendErrors: sendErrorsOf(all),
  };
}

function mostConcerning(states: readonly RouteState[]): RouteState | undefined {
  const ordered = BY_CONCERN.flatMap((kind) => states.filter((state) => state.kind === kind));
  return ordered[0];
}

function sendErrorsOf(all: readonly RouteStatus[]): RouteStatus['sendErrors'] {
  const counts = new Map<string, number>();
  for (const { sendErrors } of all) {
    for (const [code, count] of Object.entries(sendErrors)) {
      counts.set(code, (counts.get(code) ?? 0) + count);
    }
  }
  const sums: Partial<Record<SendErrorCode, number>> = Object.fromEntries(counts);
  return sums;
}
