import {
  type BatchSent,
  type ForkRepaired,
  type PageRead,
  type PagesSettled,
  type RelayObserver,
  type SendFailed,
  sendPolicyFor,
} from '@millrace/relay';
import { routeOfHeader } from '@millrace/events';
import { Counter, Histogram, type Registry } from 'prom-client';
import {
  BYTES,
  DURATION_BUCKETS,
  EVENTS,
  INCIDENTS,
  PAGES,
  POLL_DURATION,
  RESENDS,
  SEND_DURATION,
  SEND_ERRORS,
  SETTLE_DURATION,
} from './relay-metrics.js';
import { type RouteLabels } from './route-labels.js';

/** Counts and times what the engine tells while it works. */
export class RouteMeters implements RelayObserver {
  private readonly labels: Map<string, RouteLabels>;
  private readonly pages;
  private readonly polls;
  private readonly events;
  private readonly bytes;
  private readonly sends;
  private readonly sendErrors;
  private readonly resends;
  private readonly settlements;
  private readonly incidents;

  constructor(registry: Registry, routes: readonly RouteLabels[]) {
    const registers = [registry];
    const buckets = DURATION_BUCKETS;
    this.labels = new Map(routes.map((labels) => [labels.route, labels]));
    this.pages = new Counter({ ...PAGES, registers });
    this.polls = new Histogram({ ...POLL_DURATION, buckets, registers });
    this.events = new Counter({ ...EVENTS, registers });
    this.bytes = new Counter({ ...BYTES, registers });
    this.sends = new Histogram({ ...SEND_DURATION, buckets, registers });
    this.sendErrors = new Counter({ ...SEND_ERRORS, registers });
    this.resends = new Counter({ ...RESENDS, registers });
    this.settlements = new Histogram({ ...SETTLE_DURATION, buckets, registers });
    this.incidents = new Counter({ ...INCIDENTS, registers });
  }

  pageRead(read: PageRead): void {
    const labels = this.labelsOf(read.route);
    this.pages.inc({ ...labels, code: read.isFull ? 'full' : read.rows > 0 ? 'partial' : 'empty' });
    if (!read.hasWaited) {
      this.polls.observe(labels, read.durationMs / 1_000);
    }
  }

  batchSent(sent: BatchSent): void {
    const labels = { ...this.labelsOf(sent.route), topic: sent.lane.topic };
    this.events.inc(labels, sent.events);
    this.bytes.inc(labels, sent.bytes);
    this.sends.observe(labels, sent.durationMs / 1_000);
  }

  sendFailed(failed: SendFailed): void {
    const labels = this.labelsOf(failed.route);
    this.sendErrors.inc({ ...labels, code: failed.code });
    const { action } = sendPolicyFor(failed.code);
    if (action === 'resend' || action === 'wait') {
      this.resends.inc(labels);
    }
  }

  pagesSettled(settled: PagesSettled): void {
    this.settlements.observe(this.labelsOf(settled.route), settled.durationMs / 1_000);
  }

  forkRepaired({ route, report }: ForkRepaired): void {
    const labels = this.labelsOf(route);
    this.incidents.inc({ ...labels, kind: 'fork_repaired' });
    if (report.incident !== null) {
      this.incidents.inc({ ...labels, kind: 'events_lost_by_database' });
    }
  }

  private labelsOf(route: string): RouteLabels {
    const known = this.labels.get(route);
    if (known !== undefined) {
      return known;
    }
    const { source = 'unknown', sink = 'unknown' } = this.labels.get(routeOfHeader(route)) ?? {};
    const labels = { route, source, sink };
    this.labels.set(route, labels);
    return labels;
  }
}
