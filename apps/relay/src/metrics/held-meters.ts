import { type EventRefused, type RelayObserver } from '@millrace/relay';
import { Counter, Gauge, type Registry } from 'prom-client';
import { ROUTE_LABELS } from './relay-metrics.js';
import { type RouteLabels } from './route-labels.js';

/** Counts events that are refused for good, and shows which sinks are away. */
export class HeldMeters implements RelayObserver {
  private readonly refused;
  private readonly away;

  constructor(
    registry: Registry,
    private readonly labelsOf: (route: string) => RouteLabels,
    sinks: readonly string[],
  ) {
    const registers = [registry];
    this.refused = new Counter({
      name: 'millrace_relay_refused_events_total',
      help: 'Events that their sink refused for good, or of which no record can be made, by code; each try counts',
      labelNames: [...ROUTE_LABELS, 'code'],
      registers,
    });
    this.away = new Gauge({
      name: 'millrace_relay_sink_away',
      help: '1 while the sink answers on none of its lanes: one at a time is tried until it does',
      labelNames: ['sink'],
      registers,
    });
    for (const sink of sinks) {
      this.away.set({ sink }, 0);
    }
  }

  eventRefused({ route, refusal }: EventRefused): void {
    this.refused.inc({ ...this.labelsOf(route), code: refusal.code });
  }

  breakerChanged({ sink, isOpen }: Parameters<NonNullable<RelayObserver['breakerChanged']>>[0]): void {
    this.away.set({ sink }, Number(isOpen));
  }
}
