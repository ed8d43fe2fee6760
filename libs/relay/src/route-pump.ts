import { type CapturePort, type CaptureStatus, type SettleResult } from '@millrace/capture';
import { type Epoch, type Position } from '@millrace/events';
import { type SinkPort, type SinkTopic } from '@millrace/transport';
import { RecordEncoder } from './event-record.js';
import { openKnownTopics } from './known-topics.js';
import { LaneSender } from './lane-sender.js';
import { LeaseValidity, type LeaseStamp } from './lease-validity.js';
import { PageReader } from './page-reader.js';
import { type PageInFlight, PageWindow } from './page-window.js';
import { sinkProblemOf, sinkSilent, sourceProblemOf, sourceSilent } from './problem.js';
import { type RelayClock, type RelayRandom, type RelayTimer } from './relay-clock.js';
import { type Route } from './route-config.js';
import { type RouteMeter } from './route-meter.js';
import { type RouteProblem } from './route-state.js';
import { type SendGate } from './send-gate.js';
import { withDeadline } from './waiting.js';

/** A claim as the pump takes it over. */
export interface PumpClaim {
  readonly capture: CapturePort;
  readonly epoch: Epoch;
  readonly isPaused: boolean;
  readonly fence: Position | null;
  /** Taken before the claim was asked for. */
  readonly claimedAt: LeaseStamp;
}

/** What the pump works with; the same for every claim of a route. */
export interface PumpParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  readonly gate: SendGate;
  readonly meter: RouteMeter;
}

/** How the work on a claim ended. */
export type PumpEnd =
  /** All that was asked for is done. */
  | { readonly kind: 'drained' }
  /** The claim is of no use any more. */
  | { readonly kind: 'lost'; readonly error: unknown }
  /** Something that only a person can mend. */
  | { readonly kind: 'refused'; readonly problem: RouteProblem };

/** How the work goes, told whenever it may have changed. */
export interface PumpHealth {
  readonly isPaused: boolean;
  readonly problem: RouteProblem | null;
}

/** The pump's part of a route's status. */
export interface PumpSnapshot {
  readonly epoch: Epoch;
  readonly fence: Position | null;
  readonly capture: CaptureStatus;
  readonly pagesInFlight: number;
  readonly bytesInFlight: number;
  readonly unsettledEvents: number;
  readonly oldestEventMs: number | null;
  /** For so long the source has had more than the fence lets through, as far as this claim has seen; 0: it has not. */
  readonly heldBackMs: number;
}

/**
 * The work on one claim: page -> lanes -> receipts -> ledger. Reads ahead while earlier pages are being sent, writes
 * the ledger in page order, one write at a time, and sends nothing unless the lease is valid at that moment. Driven by
 * what happens (a read, a receipt, a ledger write, the heartbeat); it never polls its own state.
 */
export class RoutePump {
  private readonly window: PageWindow;
  private readonly lease: LeaseValidity;
  private readonly encoder: RecordEncoder;
  private readonly sender: LaneSender;
  private readonly reader: PageReader;
  private readonly calls = new AbortController();
  private readonly ended: Promise<PumpEnd>;
  private resolveEnded: (end: PumpEnd) => void = () => undefined;
  private beat: RelayTimer | null = null;
  private drainTimer: RelayTimer | null = null;
  private isOver = false;
  private isStarved = false;
  private isPaused: boolean;
  private renewSoon = false;
  private looks: (() => void)[] = [];
  private writingSinceMs: number | null = null;
  private drain: { readonly through: number; readonly end: PumpEnd } | null = null;
  private writes = 0;
  private heldBackSinceMs: number | null = null;

  constructor(
    private readonly parts: PumpParts,
    private readonly claim: PumpClaim,
    private readonly healthChanged: (health: PumpHealth) => void,
  ) {
    const { route } = parts;
    const { tuning } = route;
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
    this.isPaused = claim.isPaused;
    this.window = new PageWindow({ pagesMax: tuning.pagesInFlightMax, bytesMax: tuning.bytesInFlightMax });
    this.lease = new LeaseValidity(
      parts.clock,
      { ttlMs: tuning.leaseTtlMs, marginMs: tuning.leaseMarginMs },
      claim.claimedAt,
    );
    const origin = {
      source: route.source,
      route: route.name,
      epoch: claim.epoch,
      topic: route.topic,
      shape: route.shape,
    };
    this.encoder = new RecordEncoder(origin, claim.capture.status().low);
    this.sender = new LaneSender(
      { ...parts, lease: this.lease },
      {
        sendEnded: () => {
          this.advance();
        },
        leaseNeeded: () => {
          this.isStarved = true;
          this.renewSoon = true;
          this.advance();
        },
        refused: (problem, item) => {
          this.refuse(problem, item.page.page.number);
        },
      },
    );
    this.reader = new PageReader(
      { ...parts, capture: claim.capture, encoder: this.encoder, window: this.window, sender: this.sender },
      {
        pageTaken: () => {
          this.lookAboveFence();
          this.advance();
        },
        pageRefused: (page, problem) => {
          this.refuse(problem, page.number);
        },
        failed: (error) => {
          this.finish({ kind: 'lost', error });
        },
      },
    );
  }

  /** Ledger writes that succeeded: the claim was of use. */
  get ledgerWrites(): number {
    return this.writes;
  }

  /** Works until the claim is lost, drained or refused; never rejects. */
  run(): Promise<PumpEnd> {
    this.sender.setPaused(this.isPaused);
    this.scheduleBeat();
    this.reader.poke();
    void openKnownTopics({ ...this.parts, signal: this.calls.signal });
    return this.ended;
  }

  /** Reads no more, finishes and settles what has been read, and ends; after `drainMs` without waiting any longer. */
  stop(): void {
    this.drainThrough(this.reader.dispatchedThrough, { kind: 'drained' });
  }

  /** There may be new events. */
  notify(): void {
    if (this.drain === null) {
      this.reader.notify();
    }
  }

  /**
   * Reads from the ledger now what an operator has set. Resolves once that is in effect, and when the work has ended; it
   * never rejects.
   */
  lookAtLedger(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isOver) {
        resolve();
        return;
      }
      this.looks.push(resolve);
      this.renewSoon = true;
      this.advance();
    });
  }

  /** The topics that were opened for its events. */
  get openedTopics(): readonly SinkTopic[] {
    return this.reader.openedTopics;
  }

  snapshot(): PumpSnapshot {
    return {
      epoch: this.claim.epoch,
      fence: this.claim.fence,
      capture: this.claim.capture.status(),
      pagesInFlight: this.window.size,
      bytesInFlight: this.window.bytes,
      unsettledEvents: this.window.eventsHeld,
      oldestEventMs: this.window.oldestEventMs,
      heldBackMs: this.heldBackSinceMs === null ? 0 : this.parts.clock.monotonicMs() - this.heldBackSinceMs,
    };
  }

  private lookAboveFence(): void {
    const { fence, capture } = this.claim;
    const isHeldBack = fence !== null && capture.status().lastPosition > fence;
    this.heldBackSinceMs ??= isHeldBack ? this.parts.clock.monotonicMs() : null;
  }

  /** The one place from which the ledger is written and the end is seen; called after everything that happens. */
  private advance(): void {
    if (this.isOver) {
      return;
    }
    if (this.writingSinceMs === null) {
      const page = this.window.settleable();
      if (page !== null) {
        void this.write(() => this.claim.capture.settle(page.page), page);
      } else if (this.isRenewalDue()) {
        void this.write(() => this.claim.capture.renew(), null);
      } else if (this.drain !== null && this.isDrained(this.drain.through)) {
        this.finish(this.drain.end);
      }
    }
    this.reportHealth();
  }

  private async write(request: () => Promise<SettleResult>, page: PageInFlight | null): Promise<void> {
    const { clock, route } = this.parts;
    const stamp = LeaseValidity.stamp(clock);
    this.writingSinceMs = stamp.monotonicMs;
    this.renewSoon = false;
    const looks = this.looks.splice(0);
    try {
      const deadline = {
        clock,
        ms: route.tuning.callDeadlineMs,
        signal: this.calls.signal,
        error: sourceSilent,
      };
      const { isPaused } = await withDeadline(request(), deadline);
      this.writingSinceMs = null;
      if (!this.isOver) {
        this.written(stamp, isPaused, page);
      }
    } catch (error) {
      this.finish({ kind: 'lost', error });
    } finally {
      endAll(looks);
    }
  }

  private written(stamp: LeaseStamp, isPaused: boolean, page: PageInFlight | null): void {
    this.writes += 1;
    this.lease.extend(stamp);
    if (page !== null) {
      this.pagesSettled(stamp, page);
    }
    this.isPaused = isPaused;
    this.sender.setPaused(isPaused);
    if (this.isStarved) {
      this.isStarved = false;
      this.sender.flush();
    }
    if (this.drain === null) {
      this.reader.poke();
    }
    this.advance();
  }

  private pagesSettled(stamp: LeaseStamp, last: PageInFlight): void {
    const before = this.window.eventsHeld;
    const pages = this.window.settledThrough(last);
    const events = before - this.window.eventsHeld;
    this.encoder.setLow(this.claim.capture.status().low);
    const durationMs = this.parts.clock.monotonicMs() - stamp.monotonicMs;
    this.parts.meter.pagesSettled({ pages, events, durationMs });
  }

  /** Every settlement renews too. A paused route asks at each heartbeat, so that it resumes within a second. */
  private isRenewalDue(): boolean {
    return this.renewSoon || this.lease.ageMs() >= this.parts.route.tuning.leaseTtlMs / 3;
  }

  private isDrained(through: number): boolean {
    const isSettled = this.window.firstPage === null || this.window.firstPage > through;
    return this.sender.sendsInFlight === 0 && (isSettled || this.isPaused);
  }

  private refuse(problem: RouteProblem, page: number): void {
    this.drainThrough(page - 1, { kind: 'refused', problem });
  }

  private drainThrough(through: number, end: PumpEnd): void {
    const isStricter = this.drain === null || (end.kind === 'refused' && this.drain.end.kind !== 'refused');
    if (this.isOver || !isStricter) {
      return;
    }
    this.drainTimer ??= this.parts.clock.after(this.parts.route.tuning.drainMs, () => {
      this.finish(this.drain?.end ?? end);
    });
    this.drain = { through, end };
    this.reader.close();
    this.sender.sendThrough(through);
    this.advance();
  }

  private scheduleBeat(): void {
    this.beat = this.parts.clock.after(this.parts.route.tuning.beatMs, () => {
      this.renewSoon ||= this.isPaused;
      this.scheduleBeat();
      this.advance();
    });
  }

  /** Nothing is said to be well before the source has been read. */
  private reportHealth(): void {
    const problem = this.problem();
    if (!this.isOver && (problem !== null || this.reader.hasRead)) {
      this.healthChanged({ isPaused: this.isPaused, problem });
    }
  }

  private problem(): RouteProblem | null {
    const { stalledAfterMs } = this.parts.route.tuning;
    const writeMs = this.writingSinceMs === null ? 0 : this.parts.clock.monotonicMs() - this.writingSinceMs;
    if (Math.max(writeMs, this.reader.pollMs) > stalledAfterMs) {
      return sourceProblemOf(sourceSilent());
    }
    if (this.parts.gate.oldestMs(this.parts.route.name) > stalledAfterMs) {
      return sinkProblemOf(sinkSilent());
    }
    return this.isPaused ? null : (this.sender.problem ?? this.reader.problem);
  }

  private finish(end: PumpEnd): void {
    if (this.isOver) {
      return;
    }
    this.isOver = true;
    this.beat?.cancel();
    this.drainTimer?.cancel();
    this.calls.abort();
    this.reader.close();
    this.sender.close();
    endAll(this.looks);
    this.resolveEnded(end);
  }
}

function endAll(looks: readonly (() => void)[]): void {
  for (const end of looks) {
    end();
  }
}
