import { routeOfHeader } from '@millrace/events';
import { type RelayObserver } from '@millrace/relay';
import { type Registry } from 'prom-client';
import { HeldMeters } from '../metrics/held-meters.js';
import { type RouteLabels } from '../metrics/route-labels.js';
import { HeldLog } from './held-log.js';

/** Tells metrics and log of what is refused, and of sinks that are away. */
export function heldObserver(
  registry: Registry,
  routes: readonly RouteLabels[],
): Pick<RelayObserver, 'eventRefused' | 'breakerChanged'> {
  const known = new Map(routes.map((labels) => [labels.route, labels]));
  const labelsOf = (route: string): RouteLabels => {
    const { source = 'unknown', sink = 'unknown' } = known.get(routeOfHeader(route)) ?? {};
    return { route, source, sink };
  };
  const meters = new HeldMeters(registry, labelsOf, [...new Set(routes.map(({ sink }) => sink))]);
  const log = new HeldLog();
  return {
    eventRefused: (refused) => {
      meters.eventRefused(refused);
      log.eventRefused(refused);
    },
    breakerChanged: (change) => {
      meters.breakerChanged(change);
      log.breakerChanged(change);
    },
  };
}
