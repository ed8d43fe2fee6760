import { CaptureError, type ForkRepair, type SourcePort } from '@millrace/capture';
import { SinkError, type SinkTopic } from '@millrace/transport';
import { backoffMs } from './backoff.js';
import { LeaseValidity } from './lease-validity.js';
import { isLoss, isOwnFault, sinkProblemOf, sinkSilent, sourceProblemOf } from './problem.js';
import { askForRoute, type Claimed, giveBack } from './route-claim.js';
import { type PumpEnd, type PumpHealth, type PumpParts } from './pump-parts.js';
import { RoutePump } from './route-pump.js';
import { RouteRepair } from './route-repair.js';
import { type RouteSeat } from './route-seat.js';
import { nextRouteState, type RouteEvent, type RouteProblem, type RouteState } from './route-state.js';
import { routeStatusOf, type RouteStatus } from './route-status.js';
import { sendErrorCodeOf, sendPolicyFor } from './send-policy.js';
import { type SourceMembers } from './source-members.js';
import { sleep, withDeadline } from './waiting.js';

/** What a route is run with. */
export interface RunnerParts extends PumpParts {
  /** Unique among all relays that may run the route. */
  readonly owner: string;
  readonly source: SourcePort;
  /** What to do about the route beside the other relays. */
  readonly seat: RouteSeat;
  readonly others: Pick<SourceMembers, 'known' | 'tellNow'>;
  /** The route has another number of shards than this one was made for: it is of no use any more. */
  readonly resharded: (shards: number) => void;
}

/** A command waits no longer for its effect: the answer then shows the state as it still is. */
const LOOK_MS = 1_000;

/** Between looks at a route that another relay should run: so many times the usual wait. */
const PATIENCE = 5;

/** What to do after one try to run the route. */
type NextStep =
  | { readonly kind: 'again'; readonly afterMs: number; readonly event: RouteEvent }
  | { readonly kind: 'stop'; readonly problem: RouteProblem };

/**
 * The life of a route in this relay: ask for it, run it, and when the claim is lost ask again. What heals by itself is
 * waited out; what does not stops the route until `resume`. Beside other relays the seat tells when to ask, and when to
 * make room.
 */
export class RouteRunner {
  private state: RouteState;
  private life: Promise<void> | null = null;
  private stopping = new AbortController();
  private abandon = new AbortController();
  private nap = new AbortController();
  private pump: RoutePump | null = null;
  private hasAskedAtOnce = false;
  private isInsisting = false;
  /** The route was stopped for what its sink has lost, and a person wants it to go on. */
  private acceptsLosses = false;
  private failures = 0;
  private resumed: () => void = () => undefined;

  constructor(private readonly parts: RunnerParts) {
    this.state = { kind: 'ended', sinceMs: parts.clock.wallMs() };
  }

  /** Idempotent. Begins to ask for the route; never throws for a source or sink that is not there. */
  start(): void {
    if (this.life === null) {
      this.stopping = new AbortController();
      this.abandon = new AbortController();
      this.life = this.live();
    }
  }

  /** Finishes what is in flight (bounded by `drainMs`), settles it, gives the lease back. Idempotent, safe before start. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.nap.abort();
    this.pump?.stop();
    const timer = this.parts.clock.after(this.parts.route.tuning.drainMs, () => {
      this.abandon.abort();
    });
    await this.life;
    timer.cancel();
    this.life = null;
  }

  /** The topics that its events go to, as far as this claim has met them. */
  get openedTopics(): readonly SinkTopic[] {
    return this.pump?.openedTopics ?? [];
  }

  /** The route waits for `resume`. */
  get isStopped(): boolean {
    return this.state.kind === 'stopped';
  }

  /** This relay holds the route. */
  get isRunning(): boolean {
    return this.pump !== null;
  }

  /** The route waits for `resume`, and another relay would meet the same. */
  get isStoppedForAll(): boolean {
    return this.state.kind === 'stopped' && !isOwnFault(this.state.problem);
  }

  /** This relay should run the route, could, and another one has it. */
  get isWanting(): boolean {
    return this.state.kind === 'standby' && this.parts.seat.isOurs && !this.isLeftToOther;
  }

  /**
   * Starts a `stopped` route anew, also one that another relay has stopped, and makes a running one look at its pause
   * mark now. Resolves as `lookAtLedger` does.
   */
  async resume(): Promise<void> {
    this.isInsisting = this.parts.seat.stoppedBy !== null;
    this.resumed();
    this.nap.abort();
    await this.lookAtLedger();
  }

  /**
   * Gives the route to another relay, as `stop` would, and does not want it back for a while. False: this relay does
   * not run it.
   */
  stepDown(): boolean {
    if (this.pump === null) {
      return false;
    }
    this.parts.seat.decline();
    this.pump.stop();
    return true;
  }

  /** More is known of the other relays: makes room for one of them, or asks at once for what has become ours. */
  lookAround(): void {
    const { seat } = this.parts;
    if (this.pump !== null) {
      if (seat.isAskedFor) {
        this.pump.stop();
      }
    } else if (this.state.kind === 'standby' && seat.isOurs && !this.hasAskedAtOnce) {
      this.nap.abort();
    }
  }

  /**
   * Makes a running route read from the ledger now what an operator has set. Resolves when that is in effect or the route
   * runs no more, after a second at the latest; at once where this relay does not run it.
   */
  async lookAtLedger(): Promise<void> {
    if (this.pump !== null) {
      const looked = new AbortController();
      void this.pump.lookAtLedger().then(() => {
        looked.abort();
      });
      await sleep(this.parts.clock, LOOK_MS, looked.signal);
    }
  }

  /** There may be new events: the next poll does not wait. */
  notify(): void {
    this.pump?.notify();
  }

  status(): RouteStatus {
    const { route, owner, clock, meter, gate, seat } = this.parts;
    return routeStatusOf({
      route,
      owner,
      preferredOwner: seat.preferred,
      state: this.state,
      wallMs: clock.wallMs(),
      meter,
      pump: this.pump?.snapshot() ?? null,
      sendsInFlight: gate.countOf(route.name),
      oldestSendMs: gate.oldestMs(route.name),
    });
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Another relay has stopped the route, and nobody has said that this one shall run it all the same. */
  private get isLeftToOther(): boolean {
    return !this.isInsisting && this.parts.seat.stoppedBy !== null;
  }

  private async live(): Promise<void> {
    while (!this.isStopping()) {
      this.tell({ kind: 'started' });
      const problem = await this.keepRunning();
      if (problem !== null) {
        await this.waitForResume(problem);
      }
    }
    this.tell({ kind: 'ended' });
  }

  /** Returns when told to stop (`null`), or when only a person can help. */
  private async keepRunning(): Promise<RouteProblem | null> {
    this.failures = 0;
    while (!this.isStopping()) {
      this.nap = new AbortController();
      const step = await this.tryOnce();
      if (step.kind === 'stop') {
        return step.problem;
      }
      if (!this.isStopping()) {
        this.tell(step.event);
        await sleep(this.parts.clock, step.afterMs, this.nap.signal);
      }
    }
    return null;
  }

  private async tryOnce(): Promise<NextStep> {
    try {
      await this.startSink();
    } catch (error) {
      return this.afterSinkError(error);
    }
    await this.parts.others.known(this.stopping.signal);
    const { stoppedBy } = this.parts.seat;
    if (stoppedBy !== null && this.isLeftToOther) {
      return this.lookAgain(stoppedBy, Number.POSITIVE_INFINITY);
    }
    const claimedAt = LeaseValidity.stamp(this.parts.clock);
    try {
      const { graceMs } = this.parts.seat;
      this.hasAskedAtOnce = graceMs === 0;
      const claim = await askForRoute(this.parts, graceMs, this.abandon.signal);
      if (claim.kind === 'resharded') {
        this.parts.resharded(claim.shards);
        return { kind: 'again', afterMs: this.nextWaitMs(), event: { kind: 'started' } };
      }
      if (claim.kind === 'held') {
        this.failures = 0;
        this.parts.meter.seenRunningElsewhere();
        return this.lookAgain(claim.owner, claim.expiresInMs);
      }
      return claim.kind === 'forked' ? await this.repair(claim.repair) : await this.runClaim(claim, claimedAt);
    } catch (error) {
      return this.afterSourceError(error);
    }
  }

  private async startSink(): Promise<void> {
    const { sink, clock, route } = this.parts;
    const deadline = { clock, ms: route.tuning.callDeadlineMs, signal: this.stopping.signal, error: sinkSilent };
    await withDeadline(sink.start(), deadline);
  }

  private async runClaim(claim: Claimed, claimedAt: ReturnType<typeof LeaseValidity.stamp>): Promise<NextStep> {
    const { acceptsLosses } = this;
    const pump = new RoutePump(this.parts, { ...claim, claimedAt, acceptsLosses }, (health) => {
      this.tellHealth(health, claim);
    });
    this.pump = pump;
    this.isInsisting = false;
    this.acceptsLosses = false;
    try {
      const running = pump.run();
      if (this.isStopping()) {
        pump.stop();
      }
      const end = await running;
      this.failures = pump.ledgerWrites > 0 ? 0 : this.failures;
      return this.afterPump(end);
    } finally {
      this.pump = null;
      await giveBack(this.parts, claim);
    }
  }

  private async repair(repair: ForkRepair): Promise<NextStep> {
    const tell = this.tell.bind(this);
    const end = await new RouteRepair({ ...this.parts, repair, signal: this.stopping.signal, tell }).run();
    switch (end.kind) {
      case 'repaired':
        return { kind: 'again', afterMs: 0, event: { kind: 'started' } };
      case 'refused':
        return { kind: 'stop', problem: end.problem };
      case 'failed':
        return end.error instanceof SinkError ? this.afterSinkError(end.error) : this.afterSourceError(end.error);
    }
  }

  private afterPump(end: PumpEnd): NextStep {
    switch (end.kind) {
      case 'drained':
        return { kind: 'again', afterMs: 0, event: { kind: 'started' } };
      case 'refused':
        return { kind: 'stop', problem: end.problem };
      case 'lost':
        return this.afterSourceError(end.error);
    }
  }

  private afterSourceError(error: unknown): NextStep {
    const problem = sourceProblemOf(error);
    const disposition = error instanceof CaptureError ? error.disposition : 'retry';
    switch (disposition) {
      case 'stop':
        return { kind: 'stop', problem };
      case 'reclaim':
        return { kind: 'again', afterMs: this.nextWaitMs(), event: { kind: 'started' } };
      case 'retry':
        return { kind: 'again', afterMs: this.nextWaitMs(), event: { kind: 'hindered', problem } };
    }
  }

  private afterSinkError(error: unknown): NextStep {
    const problem = sinkProblemOf(error);
    return sendPolicyFor(sendErrorCodeOf(error)).action === 'stop'
      ? { kind: 'stop', problem }
      : { kind: 'again', afterMs: this.nextWaitMs(), event: { kind: 'hindered', problem } };
  }

  private lookAgain(by: string, expiresInMs: number): NextStep {
    const { standbyLookMs } = this.parts.route.tuning;
    const jitterMs = (standbyLookMs / 5) * this.parts.random.next();
    const lookMs = this.parts.seat.isOurs ? standbyLookMs : PATIENCE * standbyLookMs;
    const afterMs = Math.min(Math.max(expiresInMs, 0), lookMs) + jitterMs;
    return { kind: 'again', afterMs, event: { kind: 'held', by } };
  }

  private nextWaitMs(): number {
    const { claimRetryMinMs: minMs, claimRetryMaxMs: maxMs } = this.parts.route.tuning;
    this.failures += 1;
    return backoffMs(this.failures, { minMs, maxMs }, this.parts.random);
  }

  private async waitForResume(problem: RouteProblem): Promise<void> {
    const { signal } = this.stopping;
    if (signal.aborted) {
      return;
    }
    this.tell({ kind: 'refused', problem });
    this.parts.others.tellNow();
    await new Promise<unknown>((resolve) => {
      this.resumed = () => {
        this.acceptsLosses = isLoss(problem);
        this.tell({ kind: 'started' });
        resolve(null);
      };
      signal.addEventListener('abort', resolve, { once: true });
    });
    this.resumed = () => undefined;
  }

  private tellHealth(health: PumpHealth, { epoch }: Claimed): void {
    if (health.problem !== null) {
      this.tell({ kind: 'hindered', problem: health.problem });
    } else {
      this.tell({ kind: health.isPaused ? 'paused' : 'working', epoch });
    }
  }

  private tell(event: RouteEvent): void {
    const from = this.state;
    const to = nextRouteState(from, event, this.parts.clock.wallMs());
    if (to !== from) {
      this.state = to;
      this.parts.meter.stateChanged({ from, to });
    }
  }
}
