import { type SettleResult } from '@millrace/capture';
import { type SinkTopic } from '@millrace/transport';
import { EventAddresses } from './event-addresses.js';
import { RecordEncoder } from './event-record.js';
import { RouteHolds } from './held/route-holds.js';
import { FenceWatch } from './fence-watch.js';
import { openKnownTopics } from './known-topics.js';
import { LaneSender, type LaneSenderEvents } from './lane-sender.js';
import { LeaseValidity, type LeaseStamp } from './lease-validity.js';
import { LedgerCalls } from './ledger-calls.js';
import { PageReader } from './page-reader.js';
import { type PageInFlight } from './page-in-flight.js';
import { PageWindow } from './page-window.js';
import { PumpDrain } from './pump-drain.js';
import { type PumpClaim, type PumpEnd, type PumpHealth, type PumpParts, type PumpSnapshot } from './pump-parts.js';
import { pumpProblem } from './pump-problem.js';
import { type RelayTimer } from './relay-clock.js';
import { type RouteProblem } from './route-state.js';
import { TakeOver, type TakeOverEvents } from './take-over/take-over.js';

/**
 * The work on one claim: page -> lanes -> receipts -> ledger. Reads ahead while earlier pages are being sent, writes
 * the ledger in page order, one write at a time, and sends nothing unless the lease is valid at that moment. Driven by
 * what happens (a read, a receipt, a ledger write, the heartbeat); it never polls its own state.
 */
export class RoutePump {
  /** Those that succeeded: the claim was of use. */
  ledgerWrites = 0;
  private readonly window: PageWindow;
  private readonly lease: LeaseValidity;
  private readonly encoder: RecordEncoder;
  private readonly sender: LaneSender;
  private readonly reader: PageReader;
  private readonly addresses: EventAddresses;
  private readonly holds: RouteHolds;
  private readonly takeOver: TakeOver;
  private readonly calls: LedgerCalls;
  private readonly drain: PumpDrain;
  private readonly fence: FenceWatch;
  private readonly ended: Promise<PumpEnd>;
  private resolveEnded: (end: PumpEnd) => void = () => undefined;
  private beat: RelayTimer | null = null;
  private isOver = false;
  private isStarved = false;
  private isPaused: boolean;
  private renewSoon = false;
  private looks: (() => void)[] = [];
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
    this.calls = new LedgerCalls(parts.clock, tuning.callDeadlineMs);
    this.fence = new FenceWatch(parts.clock, claim.capture, claim.fence);
    this.drain = new PumpDrain(parts.clock, tuning.drainMs, (end) => {
      this.finish(end);
    });
    this.window = new PageWindow(tuning);
    const lifetime = { ttlMs: tuning.leaseTtlMs, marginMs: tuning.leaseMarginMs };
    this.lease = new LeaseValidity(parts.clock, lifetime, claim.claimedAt);
    const { source, name, topic, shape } = route;
    const origin = { source, route: name, epoch: claim.epoch, topic, shape };
    this.encoder = new RecordEncoder(origin, claim.capture.status().low);
    this.takeOver = new TakeOver({ ...parts, claim }, this.takeOverEvents());
    this.sender = new LaneSender({ ...parts, lease: this.lease, takeOver: this.takeOver }, this.senderEvents());
    this.addresses = new EventAddresses({ ...parts, encoder: this.encoder, signal: this.calls.signal });
    const { sender, addresses, window } = this;
    this.holds = new RouteHolds({ ...parts, held: claim.held, addresses, sender });
    this.reader = new PageReader(
      { ...parts, capture: claim.capture, addresses, holds: this.holds, window, sender },
      {
        pageTaken: () => {
          this.fence.look();
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

  /** Works until the claim is lost, drained or refused; never rejects. */
  run(): Promise<PumpEnd> {
    this.sender.setPaused(this.isPaused);
    this.takeOver.start();
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
    this.reader.notify();
  }

  /**
   * Reads from the ledger now what an operator has set. Resolves once that is in effect, and when the work has ended; it
   * never rejects.
   */
  lookAtLedger(): Promise<void> {
    return new Promise((resolve) => {
      this.looks.push(resolve);
      this.renewSoon = true;
      this.advance();
      if (this.isOver) {
        endAll(this.looks);
      }
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
      eventsInFlight: this.window.eventsHeld,
      lanesBehind: this.sender.lanesBehind,
      oldestEventMs: this.window.oldestEventMs,
      heldBackMs: this.fence.heldBackMs,
      held: this.holds.summary,
      unreadLanes: this.takeOver.unreadLanes,
    };
  }

  private senderEvents(): LaneSenderEvents {
    return {
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
    };
  }

  private takeOverEvents(): TakeOverEvents {
    return {
      noteNeeded: () => {
        this.renewSoon = true;
        this.advance();
      },
      changed: () => {
        this.reportHealth();
      },
      refused: (problem) => {
        this.refuse(problem, this.window.firstPage ?? 0);
      },
    };
  }

  /** The one place from which reading goes on, the ledger is written and the end is seen; called after all that happens. */
  private advance(): void {
    if (this.isOver) {
      return;
    }
    this.reader.poke();
    if (!this.calls.isBusy) {
      this.callLedger();
    }
    this.reportHealth();
  }

  private callLedger(): void {
    const page = this.window.settleable();
    const { isPaused, window, sender } = this;
    const drainedTo = this.drain.endAfter({
      isPaused,
      firstPage: window.firstPage,
      sendsInFlight: sender.sendsInFlight,
    });
    const isWriteDue = page !== null || this.isRenewalDue() || (drainedTo !== null && this.takeOver.offsets.hasChanges);
    const read = isWriteDue && this.hasJustRead ? null : this.nextHeldRead();
    this.hasJustRead = read !== null;
    if (read !== null) {
      void this.readHeld(read);
    } else if (isWriteDue) {
      void this.write(page);
    } else if (drainedTo !== null) {
      this.finish(drainedTo);
    }
  }

  /** Chains stand still while the route does, and while it is on its way to another number of shards. */
  private nextHeldRead(): (() => Promise<void>) | null {
    return this.isPaused || this.drain.isOn || this.claim.fence !== null ? null : this.holds.nextRead();
  }

  private async readHeld(read: () => Promise<void>): Promise<void> {
    try {
      await this.calls.make(read);
      this.advance();
    } catch (error) {
      this.finish({ kind: 'lost', error });
    }
  }

  private request(page: PageInFlight | null): Promise<SettleResult> {
    const { capture } = this.claim;
    const through = page?.page.number ?? 0;
    const held = this.holds.takeChanges(through);
    const notes = { ...this.takeOver.offsets.take(through, this.drain.isOn), ...(held && { held }) };
    return page === null ? capture.renew(notes) : capture.settle(page.page, notes);
  }

  private async write(page: PageInFlight | null): Promise<void> {
    const stamp = LeaseValidity.stamp(this.parts.clock);
    this.renewSoon = false;
    const looks = this.looks.splice(0);
    try {
      const { isPaused, heldRevision } = await this.calls.make(() => this.request(page));
      this.holds.sawRevision(heldRevision);
      this.takeOver.written();
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
    this.ledgerWrites += 1;
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

  /**
   * Every settlement renews too. A paused route asks at each heartbeat, so that it resumes within a second, and one with a
   * fence, so that new shards begin when the last of the old ones is done.
   */
  private isRenewalDue(): boolean {
    const isOld = this.lease.ageMs() >= this.parts.route.tuning.leaseTtlMs / 3;
    return this.renewSoon || this.holds.wantsWrite || isOld;
  }

  private refuse(problem: RouteProblem, page: number): void {
    this.drainThrough(page - 1, { kind: 'refused', problem });
  }

  private drainThrough(through: number, end: PumpEnd): void {
    if (!this.isOver && this.drain.begin(through, end)) {
      this.reader.close();
      this.sender.sendThrough(through);
      this.advance();
    }
  }

  private scheduleBeat(): void {
    this.beat = this.parts.clock.after(this.parts.route.tuning.beatMs, () => {
      this.renewSoon ||= this.isPaused || this.claim.fence !== null;
      this.sender.lookForDelays();
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
    const { calls, reader, window, sender, takeOver, holds, isPaused } = this;
    return pumpProblem({ ...this.parts, calls, reader, window, sender, takeOver, holds, isPaused });
  }

  private finish(end: PumpEnd): void {
    if (this.isOver) {
      return;
    }
    this.isOver = true;
    this.beat?.cancel();
    this.drain.cancel();
    this.calls.close();
    this.reader.close();
    this.holds.close();
    this.takeOver.close();
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
