import { type RouteStatus } from '@millrace/relay';
import { Counter, Gauge, type Registry } from 'prom-client';
import {
  ROUTE_CHOICES,
  ROUTE_COUNTERS,
  ROUTE_GAUGES,
  ROUTE_LABELS,
  type RouteChoice,
  type RouteCounter,
} from './relay-metrics.js';
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
  for (const choice of ROUTE_CHOICES) {
    registerChoice(registry, engine, choice);
  }
  for (const counter of ROUTE_COUNTERS) {
    registerCounter(registry, engine, counter);
  }
}

function registerChoice(registry: Registry, engine: StatusSource, choice: RouteChoice): void {
  const { name, help, label, values, valueOf } = choice;
  new Gauge({
    name,
    help,
    labelNames: [...ROUTE_LABELS, label],
    registers: [registry],
    collect() {
      this.reset();
      for (const status of engine.status()) {
        const chosen = valueOf(status);
        for (const value of chosen === null ? [] : values) {
          this.set({ ...labelsOf(status), [label]: value }, Number(value === chosen));
        }
      }
    },
  });
}

function registerCounter(registry: Registry, engine: StatusSource, counter: RouteCounter): void {
  const { name, help, valueOf, isOlderThanClaim } = counter;
  const counted = new Map<string, number>();
  new Counter({
    name,
    help,
    labelNames: ROUTE_LABELS,
    registers: [registry],
    collect() {
      for (const status of engine.status()) {
        const now = valueOf(status);
        const before = counted.get(status.route) ?? (isOlderThanClaim ? now : 0) ?? 0;
        this.inc(labelsOf(status), growth(before, now ?? before));
        if (now === null) {
          counted.delete(status.route);
        } else {
          counted.set(status.route, now);
        }
      }
    },
  });
}

/** Less than before: it has begun anew. */
function growth(before: number, now: number): number {
  return now >= before ? now - before : now;
}
