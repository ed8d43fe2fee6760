import { CaptureError, type ForkRepair } from '@millrace/capture';
import { type Delivery, SinkError, type SinkPort } from '@millrace/transport';
import { type RelayClock } from './relay-clock.js';
import { publishedRecordOf } from './published-record.js';
import { type Route } from './route-config.js';
import { type RouteMeter } from './route-meter.js';
import { type RouteEvent, type RouteProblem } from './route-state.js';
import { type SendGate } from './send-gate.js';
import { sendPolicyFor } from './send-policy.js';
import { sleep } from './waiting.js';

/** What a repair works with. */
export interface RouteRepairParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly gate: SendGate;
  readonly meter: RouteMeter;
  readonly repair: ForkRepair;
  /** Told to stop: the repair is given up, and begun anew by whoever claims the route next. */
  readonly signal: AbortSignal;
  /** Told what it is doing, as a problem that heals by itself. */
  readonly tell: (event: RouteEvent) => void;
}

/** `refused`: only a person can decide. `failed`: of the sink or the source; the route is to be asked for again. */
export type RepairEnd =
  | { readonly kind: 'repaired' }
  | { readonly kind: 'refused'; readonly problem: RouteProblem }
  | { readonly kind: 'failed'; readonly error: unknown };

const POLL_MS = 50;
/** The lease is renewed so many times within its life. */
const RENEWALS = 4;

const UNDER_WAY =
  'The database is another server, or has another timeline, than the one the ledger was written on (fail-over or restore). ' +
  'The relay reads back what the route has published and compares; it then goes on by itself.';

/**
 * Brings a route whose ledger was written on another server or timeline to where its topics are: waits for the sends of
 * this process that are still under way, reads the topics back, and lets the database compare. Nothing is published
 * meanwhile, and the lease is kept.
 */
export class RouteRepair {
  private readonly over = new AbortController();
  private readonly signal: AbortSignal;

  constructor(private readonly parts: RouteRepairParts) {
    this.signal = AbortSignal.any([parts.signal, this.over.signal]);
  }

  /** Never rejects. Closes the repair. */
  async run(): Promise<RepairEnd> {
    const { repair, tell } = this.parts;
    tell({ kind: 'hindered', problem: { side: 'relay', code: 'fork_repair', message: UNDER_WAY } });
    const renewing = this.keepLease().catch((error: unknown) => {
      this.over.abort();
      return { kind: 'failed', error } as const;
    });
    const end = await this.work().catch((error: unknown) => this.afterError(error));
    this.over.abort();
    const renewed = await renewing;
    await repair.close().catch(() => undefined);
    // what the lease was lost for explains what else went wrong
    return end.kind === 'failed' ? (renewed ?? end) : end;
  }

  private async work(): Promise<RepairEnd> {
    const { repair, sink, route } = this.parts;
    if (sink.readBack === undefined) {
      return refused(route, 'A sink of this kind cannot be read back.');
    }
    await this.ownSendsEnded();
    await repair.begin();
    const isWanted = route.topic.matcherOf(route.filter);
    const request = { isWanted, sinceMs: repair.sinceMs, signal: this.signal };
    const result = await sink.readBack(request, (records) => this.keep(records));
    return result.kind === 'incomplete' ? refused(route, result.reason) : this.complete();
  }

  private async keep(records: readonly Delivery[]): Promise<void> {
    const published = records.flatMap((record) => publishedRecordOf(record, this.parts.route) ?? []);
    if (published.length > 0) {
      await this.parts.repair.keep(published);
    }
  }

  private async complete(): Promise<RepairEnd> {
    const { repair, clock, route, meter, tell } = this.parts;
    for (;;) {
      this.assertGoingOn();
      const step = await repair.complete();
      if (step.kind === 'repaired') {
        meter.forkRepaired({ source: route.source, report: step.report });
        return { kind: 'repaired' };
      }
      const message = `The repair after a fail-over waits for an open transaction that writes events to end: ${step.holder}.`;
      tell({ kind: 'hindered', problem: { side: 'relay', code: 'fork_waits', message } });
      await sleep(clock, POLL_MS, this.signal);
    }
  }

  /** They may still be stored: what is read before they have ended does not tell. */
  private async ownSendsEnded(): Promise<void> {
    const { gate, route, clock } = this.parts;
    while (gate.countOf(route.name) > 0) {
      this.assertGoingOn();
      await sleep(clock, POLL_MS, this.signal);
    }
  }

  private async keepLease(): Promise<null> {
    const { repair, route, clock } = this.parts;
    for (;;) {
      await sleep(clock, route.tuning.leaseTtlMs / RENEWALS, this.signal);
      if (this.signal.aborted) {
        return null;
      }
      await repair.renew();
    }
  }

  private assertGoingOn(): void {
    if (this.signal.aborted) {
      throw new CaptureError('database_unavailable', 'The repair of the route was given up.');
    }
  }

  private afterError(error: unknown): RepairEnd {
    return error instanceof SinkError && sendPolicyFor(error.code).action === 'stop'
      ? refused(this.parts.route, error.message)
      : { kind: 'failed', error };
  }
}

function refused({ name }: Route, reason: string): RepairEnd {
  const message =
    `Route ${name}: the database is another server, or has another timeline, than the one the ledger was written on ` +
    `(fail-over or restore), and what was published cannot be read back for certain. ${reason} Positions may have been ` +
    'used twice. Remove the cause and resume the route: it then repairs itself. Where that cannot be, compare the outbox ' +
    'with the topic, run `millrace ledger adopt` for this route, then resume it.';
  return { kind: 'refused', problem: { side: 'source', code: 'identity_changed', message } };
}
