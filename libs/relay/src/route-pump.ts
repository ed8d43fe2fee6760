import { type SettleResult } from '@millrace/capture';
import { type SinkTopic } from '@millrace/transport';
import { EventAddresses } from './event-addresses.js';
import { RecordEncoder } from './event-record.js';
import { RouteHolds } from './held/route-holds.js';
import { openKnownTopics } from './known-topics.js';
import { LaneSender } from './lane-sender.js';
import { LeaseValidity, type LeaseStamp } from './lease-validity.js';
import { PageReader } from './page-reader.js';
import { type PageInFlight, PageWindow } from './page-window.js';
import { sinkProblemOf, sinkSilent, sourceProblemOf, sourceSilent } from './problem.js';
import { type RelayTimer } from './relay-clock.js';
import { type RouteProblem } from './route-state.js';
import { withDeadline } from './waiting.js';
import { type PumpClaim, type PumpParts, type PumpEnd, type PumpHealth, type PumpSnapshot } from './pump-parts.js';

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
  private readonly addresses: EventAddresses;
  private readonly holds: RouteHolds;
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
  /** The last call was a reading: a write goes first, if one is due. */
  private hasJustRead = false;

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
        released: (item) => {
          this.holds.released(item);
        },
        poisoned: (lane, item, refusal) => this.holds.poisoned(lane, item, refusal),
        refused: (problem, item) => {
          this.refuse(problem, item.page?.page.number ?? 1);
        },
      },
    );
    this.addresses = new EventAddresses({ ...parts, encoder: this.encoder, signal: this.calls.signal });
    const { sender, addresses, window } = this;
    this.holds = new RouteHolds({ ...parts, held: claim.held, addresses, sender });
    this.reader = new PageReader(
      { ...parts, capture: claim.capture, addresses, holds: this.holds, window, sender },
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
    return this.addresses.opened;
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
      held: this.holds.summary,
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
      this.callLedger();
    }
    this.reportHealth();
  }

  private callLedger(): void {
    const page = this.window.settleable();
    const isWriteDue = page !== null || this.holds.wantsWrite || this.isRenewalDue();
    const read = isWriteDue && this.hasJustRead ? null : this.nextHeldRead();
    this.hasJustRead = read !== null;
    if (read !== null) {
      void this.readHeld(read);
    } else if (isWriteDue) {
      void this.write(page);
    } else if (this.drain !== null && this.isDrained(this.drain.through)) {
      this.finish(this.drain.end);
    }
  }

  /** Chains stand still while the route does, and while it is on its way to another number of shards. */
  private nextHeldRead(): (() => Promise<void>) | null {
    return this.isPaused || this.drain !== null || this.claim.fence !== null ? null : this.holds.nextRead();
  }

  private async readHeld(read: () => Promise<void>): Promise<void> {
    const { clock, route } = this.parts;
    this.writingSinceMs = clock.monotonicMs();
    try {
      const { signal } = this.calls;
      await withDeadline(read(), { clock, ms: route.tuning.callDeadlineMs, signal, error: sourceSilent });
      this.writingSinceMs = null;
      this.advance();
    } catch (error) {
      this.finish({ kind: 'lost', error });
    }
  }

  private request(page: PageInFlight | null): Promise<SettleResult> {
    const { capture } = this.claim;
    const held = this.holds.takeChanges(page?.page.number ?? 0);
    const notes = held === undefined ? undefined : { held };
    return page === null ? capture.renew(notes) : capture.settle(page.page, notes);
  }

  private async write(page: PageInFlight | null): Promise<void> {
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
      const { isPaused, heldRevision } = await withDeadline(this.request(page), deadline);
      this.writingSinceMs = null;
      this.holds.sawRevision(heldRevision);
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
    return this.isPaused ? null : (this.sender.problem ?? this.reader.problem ?? this.holds.problem);
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
    this.holds.close();
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
