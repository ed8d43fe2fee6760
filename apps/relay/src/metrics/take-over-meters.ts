import { routeOfHeader } from '@millrace/events';
import {
  type LossAccepted,
  type RelayObserver,
  type TailNotRead,
  type TailsRead,
  type ZombieRecords,
} from '@millrace/relay';
import { Counter, Histogram, type Registry } from 'prom-client';
import { ROUTE_LABELS } from './relay-metrics.js';
import { type RouteLabels } from './route-labels.js';

/** Of a whole take-over: it may have minutes of other writers' records to read. */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What the engine tells of take-overs. */
export type TakeOverObserver = Required<
  Pick<RelayObserver, 'tailsRead' | 'tailNotRead' | 'lossAccepted' | 'zombieRecords'>
>;

/** Counts and times take-overs. */
export class TakeOverMeters implements TakeOverObserver {
  private readonly durations;
  private readonly found;
  private readonly unread;
  private readonly losses;
  private readonly zombies;

  constructor(
    registry: Registry,
    private readonly routes: readonly RouteLabels[],
  ) {
    const registers = [registry];
    this.durations = new Histogram({
      name: 'millrace_relay_take_over_duration_seconds',
      help: 'Seconds until a new owner of the route had read the ends of all lanes',
      labelNames: ROUTE_LABELS,
      buckets: BUCKETS,
      registers,
    });
    this.found = new Counter({
      name: 'millrace_relay_take_over_found_total',
      help: 'Events that an earlier owner had published without telling the ledger: they were not sent again',
      labelNames: ROUTE_LABELS,
      registers,
    });
    this.unread = new Counter({
      name: 'millrace_relay_take_over_unread_total',
      help: 'Lanes that a new owner could not read at all, and events that it could not remember: repeats are possible',
      labelNames: ROUTE_LABELS,
      registers,
    });
    this.losses = new Counter({
      name: 'millrace_relay_losses_accepted_total',
      help: 'Lanes that a person has let the route take as they are, although events of it were lost there, by kind',
      labelNames: [...ROUTE_LABELS, 'kind'],
      registers,
    });
    this.zombies = new Counter({
      name: 'millrace_relay_zombie_records_total',
      help: 'Records that an earlier owner of the route has stored after its take-over, as seen in the minute after it',
      labelNames: ROUTE_LABELS,
      registers,
    });
  }

  tailsRead({ route, found, notRemembered, durationMs }: TailsRead): void {
    const labels = this.labelsOf(route);
    this.durations.observe(labels, durationMs / 1_000);
    this.found.inc(labels, found);
    this.unread.inc(labels, notRemembered);
  }

  tailNotRead({ route }: TailNotRead): void {
    this.unread.inc(this.labelsOf(route));
  }

  lossAccepted({ route, kind }: LossAccepted): void {
    this.losses.inc({ ...this.labelsOf(route), kind });
  }

  zombieRecords({ route, records }: ZombieRecords): void {
    this.zombies.inc(this.labelsOf(route), records);
  }

  private labelsOf(route: string): RouteLabels {
    const { source = 'unknown', sink = 'unknown' } =
      this.routes.find((labels) => labels.route === routeOfHeader(route)) ?? {};
    return { route, source, sink };
  }
}
