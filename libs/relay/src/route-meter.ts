import {
  type BatchSent,
  type EventRefused,
  type ForkRepaired,
  type LossAccepted,
  type PageRead,
  type PagesSettled,
  type RelayObserver,
  type SendFailed,
  type StateChange,
  type TailNotRead,
  type TailsRead,
  type ZombieRecords,
} from './relay-observer.js';
import { type RelayClock } from './relay-clock.js';
import { type SendErrorCode } from './send-policy.js';

const RATE_SECONDS = 10;

/** What a route has done since the relay started. */
export interface RouteCounts {
  readonly pages: number;
  readonly eventsSent: number;
  readonly sends: number;
  readonly sendErrors: Readonly<Partial<Record<SendErrorCode, number>>>;
  readonly settlements: number;
}

type Told<T> = Omit<T, 'route'>;

/** Counts what a route does and passes it on to the observer. Lives as long as the route, across claims. */
export class RouteMeter {
  private pages = 0;
  private eventsSent = 0;
  private sends = 0;
  private settlements = 0;
  private readonly sendErrors: Partial<Record<SendErrorCode, number>> = {};
  private readonly perSecond: { second: number; events: number }[] = [];
  private lastPollMs: number;
  private lastPageFull = false;

  constructor(
    private readonly route: string,
    private readonly clock: RelayClock,
    private readonly observer: RelayObserver,
  ) {
    this.lastPollMs = clock.monotonicMs();
  }

  /** Milliseconds since the last poll that succeeded, or since another relay was last seen to run the route. */
  get blindMs(): number {
    return this.clock.monotonicMs() - this.lastPollMs;
  }

  /** The last poll was cut by its limit: there is more in the source than we know. */
  get isBehind(): boolean {
    return this.lastPageFull;
  }

  /** Another relay runs the route: what it knows we need not. */
  seenRunningElsewhere(): void {
    this.lastPollMs = this.clock.monotonicMs();
  }

  get counts(): RouteCounts {
    const { pages, eventsSent, sends, sendErrors, settlements } = this;
    return { pages, eventsSent, sends, sendErrors: { ...sendErrors }, settlements };
  }

  /** Events confirmed per second over the last ten whole seconds. */
  get ratePerSecond(): number {
    const current = this.second();
    const counted = this.perSecond.filter(({ second }) => second < current && second >= current - RATE_SECONDS);
    return counted.reduce((sum, { events }) => sum + events, 0) / RATE_SECONDS;
  }

  stateChanged(change: Told<StateChange>): void {
    this.observer.stateChanged?.({ route: this.route, ...change });
  }

  pageRead(read: Told<PageRead>): void {
    this.pages += 1;
    this.lastPollMs = this.clock.monotonicMs();
    this.lastPageFull = read.isFull;
    this.observer.pageRead?.({ route: this.route, ...read });
  }

  batchSent(sent: Told<BatchSent>): void {
    this.sends += 1;
    this.eventsSent += sent.events;
    this.countRate(sent.events);
    this.observer.batchSent?.({ route: this.route, ...sent });
  }

  sendFailed(failed: Told<SendFailed>): void {
    this.sends += 1;
    this.sendErrors[failed.code] = (this.sendErrors[failed.code] ?? 0) + 1;
    this.observer.sendFailed?.({ route: this.route, ...failed });
  }

  pagesSettled(settled: Told<PagesSettled>): void {
    this.settlements += 1;
    this.observer.pagesSettled?.({ route: this.route, ...settled });
  }

  forkRepaired(repaired: Told<ForkRepaired>): void {
    this.observer.forkRepaired?.({ route: this.route, ...repaired });
  }

  eventRefused(refused: Told<EventRefused>): void {
    this.observer.eventRefused?.({ route: this.route, ...refused });
  }

  tailsRead(read: Told<TailsRead>): void {
    this.observer.tailsRead?.({ route: this.route, ...read });
  }

  tailNotRead(unread: Told<TailNotRead>): void {
    this.observer.tailNotRead?.({ route: this.route, ...unread });
  }

  lossAccepted(accepted: Told<LossAccepted>): void {
    this.observer.lossAccepted?.({ route: this.route, ...accepted });
  }

  zombieRecords(seen: Told<ZombieRecords>): void {
    this.observer.zombieRecords?.({ route: this.route, ...seen });
  }

  private countRate(events: number): void {
    const second = this.second();
    const last = this.perSecond[this.perSecond.length - 1];
    if (last?.second === second) {
      last.events += events;
      return;
    }
    this.perSecond.push({ second, events });
    if (this.perSecond.length > RATE_SECONDS + 1) {
      this.perSecond.shift();
    }
  }

  private second(): number {
    return Math.floor(this.clock.monotonicMs() / 1_000);
  }
}
