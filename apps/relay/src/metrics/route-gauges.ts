import { type RouteStatus } from '@millrace/relay';
import { Counter, Gauge, type Registry } from 'prom-client';
import { GAPS_DIED, ROUTE_GAUGES, ROUTE_LABELS, ROUTE_STATE, ROUTE_STATES } from './relay-metrics.js';
import { labelsOf } from './route-labels.js';

/** Where the numbers come from. */
export interface StatusSource {
  status(): readonly RouteStatus[];
}

/** Makes the metrics that are read from the engine at each scrape, so that none of them is ever stale. */
export function registerRouteGauges(registry: Registry, engine: StatusSource): void {
  for (const { name, help, valueOf } of ROUTE_GAUGES) {
    new Gauge({
      name,
      help,
      labelNames: ROUTE_LABELS,
      registers: [registry],
      collect() {
        this.reset();
        for (const status of engine.status()) {
          const value = valueOf(status);
          if (value !== null) {
            this.set(labelsOf(status), value);
          }
        }
      },
    });
  }
  registerState(registry, engine);
  registerGapsDied(registry, engine);
}

function registerState(registry: Registry, engine: StatusSource): void {
  new Gauge({
    ...ROUTE_STATE,
    registers: [registry],
    collect() {
      for (const status of engine.status()) {
        for (const state of ROUTE_STATES) {
          this.set({ ...labelsOf(status), state }, Number(status.state.kind === state));
        }
      }
    },
  });
}

/** The engine counts per claim, and not at all on standby; the counter goes on over claims. */
function registerGapsDied(registry: Registry, engine: StatusSource): void {
  const counted = new Map<string, number>();
  new Counter({
    ...GAPS_DIED,
    registers: [registry],
    collect() {
      for (const status of engine.status()) {
        const before = counted.get(status.route) ?? 0;
        const now = status.claim?.gapsDied ?? 0;
        this.inc(labelsOf(status), now >= before ? now - before : now);
        counted.set(status.route, now);
      }
    },
  });
}
