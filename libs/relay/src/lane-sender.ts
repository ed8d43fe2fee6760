import { type Refusal } from '@millrace/capture';
import { type SinkLane, type SinkPort, type SinkReceipt } from '@millrace/transport';
import { backoffMs } from './backoff.js';
import { Lane, type LaneBatch, type LaneItem } from './lane.js';
import { LaneDelays } from './lane-delays.js';
import { type LeaseValidity } from './lease-validity.js';
import { sinkProblemOf } from './problem.js';
import { type RelayClock, type RelayRandom, type RelayTimer } from './relay-clock.js';
import { type Route } from './route-config.js';
import { type RouteMeter } from './route-meter.js';
import { type RouteProblem } from './route-state.js';
import { type SendGate } from './send-gate.js';
import { sendErrorCodeOf, sendPolicyFor } from './send-policy.js';
import { type SinkBreaker } from './sink-breaker.js';
import { type TakeOver } from './take-over/take-over.js';

/** What the sender works with. */
export interface LaneSenderParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  readonly lease: LeaseValidity;
  readonly gate: SendGate;
  readonly breaker: SinkBreaker;
  readonly meter: RouteMeter;
  readonly takeOver: Pick<TakeOver, 'isOpen' | 'whenOpen' | 'isPublished' | 'sending' | 'confirmed' | 'refused'>;
}

/** What the sender tells its owner. */
export interface LaneSenderEvents {
  /** A send has ended, well or not: pages may be complete, problems may have come or gone. */
  sendEnded(): void;
  /** Something could be sent but the lease must be renewed first. */
  leaseNeeded(): void;
  /** The sink has confirmed an event that was held. */
  released(item: LaneItem): void;
  /** The sink will never take `item` as it is, which is out of its lane now. False: nobody can set it aside. */
  poisoned(lane: SinkLane, item: LaneItem, refusal: Refusal): boolean;
  /** Nothing more can be sent on the lane of `item` until a person acts. */
  refused(problem: RouteProblem, item: LaneItem): void;
}

/** All lanes of a claimed route: sends what may be sent, sends again what has to be. */
export class LaneSender {
  private readonly lanes = new Map<string, Lane>();
  private readonly retries = new Map<Lane, RelayTimer>();
  private readonly failing = new Map<Lane, RouteProblem>();
  /** Kept from sending while the sink is away. */
  private readonly kept = new Set<Lane>();
  /** Their items came before it was known what stands in the lane already. */
  private readonly unread = new Set<Lane>();
  private readonly delays: LaneDelays;
  private inFlight = 0;
  private isPaused = false;
  private isClosed = false;
  private pageMax = Number.POSITIVE_INFINITY;

  constructor(
    private readonly parts: LaneSenderParts,
    private readonly events: LaneSenderEvents,
  ) {
    this.delays = new LaneDelays(parts.clock, parts.route.tuning.laneBehindAfterMs);
  }

  /** How many lanes are behind: others do not wait for them. */
  get lanesBehind(): number {
    return this.delays.behind;
  }

  /** Sends of this claim that have had no answer yet. */
  get sendsInFlight(): number {
    return this.inFlight;
  }

  /** Why the lane that has been failing longest fails; `null` when none does. */
  get problem(): RouteProblem | null {
    const [first = null] = this.failing.values();
    const isHindered = first !== null || this.kept.size > 0;
    return isHindered ? (this.parts.breaker.problem ?? first) : null;
  }

  /** Queues an event behind all that its lane has, unless it stands there already; `flush` sends. */
  push(sinkLane: SinkLane, item: LaneItem): void {
    let lane = this.lanes.get(sinkLane.id);
    if (lane === undefined) {
      const { sink, route } = this.parts;
      lane = new Lane(sinkLane, {
        recordsMax: Math.min(route.tuning.batchRecordsMax, sink.features.batchRecordsMax),
        bytesMax: Math.min(route.tuning.batchBytesMax, sink.features.batchBytesMax),
      });
      this.lanes.set(sinkLane.id, lane);
    }
    if (!this.parts.takeOver.isOpen(sinkLane)) {
      this.unread.add(lane);
    } else if (this.parts.takeOver.isPublished(item)) {
      this.confirmed(item);
      return;
    }
    lane.push(item);
  }

  /** Finds out which lanes are behind; to be called now and then. */
  lookForDelays(): void {
    this.delays.look();
  }

  /** Sends on every lane that can. */
  flush(): void {
    for (const lane of this.lanes.values()) {
      this.trySend(lane);
    }
  }

  /** While paused nothing new is sent; what is in flight ends. */
  setPaused(isPaused: boolean): void {
    if (isPaused !== this.isPaused) {
      this.isPaused = isPaused;
      this.flush();
    }
  }

  /** From now on only events of pages up to `pageNumber` are sent, and none that were held. */
  sendThrough(pageNumber: number): void {
    this.pageMax = Math.min(this.pageMax, pageNumber);
    this.sweep(({ page }) => page === null);
  }

  /** Takes out what is queued; what is under way, or has to be sent again as it was, stays. */
  sweep(isSwept: (item: LaneItem) => boolean): { readonly lane: SinkLane; readonly item: LaneItem }[] {
    return [...this.lanes.values()].flatMap((lane) =>
      lane.sweep(isSwept).map((item) => ({ lane: lane.sinkLane, item })),
    );
  }

  /** Sends nothing more; what the sends in flight return is ignored. */
  close(): void {
    this.isClosed = true;
    for (const timer of this.retries.values()) {
      timer.cancel();
    }
    this.retries.clear();
  }

  private trySend(lane: Lane): void {
    if (this.isClosed || this.isPaused || !lane.isReady) {
      return;
    }
    const { lease, breaker } = this.parts;
    const free = this.whenFree(lane.sinkLane);
    if (free !== null) {
      this.delays.waits(lane);
      this.waitForLane(lane, free);
      return;
    }
    if (!lease.isValid()) {
      this.events.leaseNeeded();
      return;
    }
    if (this.unread.delete(lane)) {
      this.leaveOutPublished(lane);
    }
    const healed = lane.hasNext(this.pageMax) ? breaker.whenAllowed() : null;
    if (healed !== null) {
      this.kept.add(lane);
      this.waitForLane(lane, healed);
      return;
    }
    const batch = lane.next(this.pageMax);
    if (batch !== null) {
      void this.send(lane, batch);
    }
  }

  /** Nothing is under way there, and it is known what stands there; `null`: so it is. */
  private whenFree(sinkLane: SinkLane): Promise<void> | null {
    const { gate, takeOver } = this.parts;
    return gate.whenFree(sinkLane.id) ?? takeOver.whenOpen(sinkLane);
  }

  private leaveOutPublished(lane: Lane): void {
    const published = lane.sweep((item) => this.parts.takeOver.isPublished(item));
    for (const item of published) {
      this.confirmed(item);
    }
    if (published.length > 0) {
      this.events.sendEnded();
    }
  }

  /**
   * Another route, or a claim that was lost, has a send under way on this lane; or the sink is away; or the lane is to be
   * read first.
   */
  private waitForLane(lane: Lane, free: Promise<void>): void {
    lane.hold();
    void free.then(() => {
      this.kept.delete(lane);
      lane.retry();
      this.trySend(lane);
    });
  }

  private async send(lane: Lane, batch: LaneBatch): Promise<void> {
    const { gate, clock, route, breaker } = this.parts;
    const startedMs = clock.monotonicMs();
    this.parts.takeOver.sending(lane.sinkLane);
    this.delays.waits(lane);
    const call = this.callSink(lane, batch);
    this.inFlight += 1;
    gate.enter(lane.sinkLane.id, { route: route.name, call });
    const answer = await call.then(
      (receipt) => ({ receipt }),
      (error: unknown) => ({ error }),
    );
    this.inFlight -= 1;
    breaker.answered(lane.sinkLane.id, 'receipt' in answer ? null : sendErrorCodeOf(answer.error));
    const durationMs = clock.monotonicMs() - startedMs;
    if ('receipt' in answer) {
      this.succeeded(lane, batch, { ...answer.receipt, durationMs });
    } else {
      this.failed(lane, batch, { ...answer, durationMs });
    }
    this.trySend(lane);
    this.events.sendEnded();
  }

  private async callSink(lane: Lane, batch: LaneBatch): Promise<SinkReceipt> {
    return this.parts.sink.send(lane.sinkLane, batch.records);
  }

  private succeeded(
    lane: Lane,
    { items, bytes }: LaneBatch,
    { baseOffset, durationMs }: SinkReceipt & { readonly durationMs: number },
  ): void {
    const page = items.reduce((last, item) => Math.max(last, item.page?.page.number ?? 0), 0);
    this.parts.takeOver.confirmed(lane.sinkLane, { baseOffset, count: items.length, page });
    this.parts.meter.batchSent({ lane: lane.sinkLane, events: items.length, bytes, durationMs });
    lane.acked();
    this.delays.answered(lane);
    this.failing.delete(lane);
    for (const item of items) {
      this.confirmed(item);
    }
  }

  /** The event stands in its lane. */
  private confirmed(item: LaneItem): void {
    if (item.page === null) {
      this.events.released(item);
    } else {
      item.page.confirmed(item.bytes);
    }
  }

  private failed(
    lane: Lane,
    batch: LaneBatch,
    failure: { readonly error: unknown; readonly durationMs: number },
  ): void {
    const code = sendErrorCodeOf(failure.error);
    const attempt = lane.attempts() + 1;
    const { length: events } = batch.items;
    this.parts.meter.sendFailed({ lane: lane.sinkLane, code, events, attempt, ...failure });
    if (this.isClosed) {
      return;
    }
    const { tuning } = this.parts.route;
    const { action, attemptsMax = Number.POSITIVE_INFINITY } = sendPolicyFor(code);
    switch (lane.attempts(code) + 1 < attemptsMax ? action : 'stop') {
      case 'resend': {
        const limits = { minMs: tuning.sendRetryMinMs, maxMs: tuning.sendRetryMaxMs };
        this.retryLater(lane, failure.error, backoffMs(attempt, limits, this.parts.random));
        return;
      }
      case 'wait':
        this.retryLater(lane, failure.error, tuning.topicRetryMs);
        return;
      case 'bisect':
        this.narrow(lane, failure.error, code === 'record_too_large' ? 'too_large' : 'invalid');
        return;
      case 'stop':
        this.giveUp(lane, failure.error, batch.items[0]);
    }
  }

  private retryLater(lane: Lane, error: unknown, delayMs: number): void {
    lane.failed(sendErrorCodeOf(error));
    this.failing.set(lane, sinkProblemOf(error));
    const timer = this.parts.clock.after(delayMs, () => {
      this.retries.delete(lane);
      lane.retry();
      this.trySend(lane);
    });
    this.retries.set(lane, timer);
  }

  private narrow(lane: Lane, error: unknown, reason: 'too_large' | 'invalid'): void {
    const poison = lane.refused(reason);
    this.delays.answered(lane);
    this.parts.takeOver.refused(lane.sinkLane);
    this.failing.delete(lane);
    if (poison !== null) {
      const { code, message } = sinkProblemOf(error);
      if (!this.events.poisoned(lane.sinkLane, poison, { code, reason: message })) {
        this.giveUp(lane, error, poison);
      }
    }
  }

  private giveUp(lane: Lane, error: unknown, item: LaneItem | undefined): void {
    if (item === undefined) {
      return;
    }
    const { code, message } = sinkProblemOf(error);
    this.sendThrough((item.page?.page.number ?? 1) - 1);
    const where = `Event ${item.id} at position ${String(item.position)}, for ${lane.sinkLane.id}`;
    this.events.refused({ side: 'sink', code, message: `${where}: ${message}` }, item);
  }
}
