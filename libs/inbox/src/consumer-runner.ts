import {
  type AssignedPartition,
  type PartitionReceiver,
  type SubscriptionListener,
  type SubscriptionPort,
  type SubscriptionStatus,
} from '@millrace/transport';
import { Attempts } from './attempts.js';
import { BatchLimit } from './batch-limit.js';
import { BatchScheduler } from './batch-scheduler.js';
import { Breaker } from './breaker.js';
import { ChainReleaser } from './chain-releaser.js';
import { ClaimPruner } from './claim-pruner.js';
import { type ConsumerStatus, unreadyReasons } from './consumer-status.js';
import { createHandle, createReleaseHandle, type HandlerEnvironment } from './handle-arrival.js';
import { type HandlerRegistry } from './handler-registry.js';
import { type ConsumerLimits } from './inbox.config.js';
import { type InboxClock, pause } from './inbox-clock.js';
import { type InboxObserver } from './inbox-observer.js';
import { type InboxPort, type PartitionProgress } from './inbox-port.js';
import { PartitionSession, type SessionParts } from './partition-session.js';
import { ProgressWriter } from './progress-writer.js';
import { SubscriptionRestart } from './subscription-restart.js';
import { TaskHealth } from './task-health.js';

/** What a consumer is made of. */
export interface ConsumerParts {
  readonly consumer: string;
  readonly inbox: InboxPort;
  readonly subscription: SubscriptionPort;
  readonly registry: HandlerRegistry;
  readonly limits: ConsumerLimits;
  readonly clock: InboxClock;
  readonly observer: Required<InboxObserver>;
}

const OPEN_AGAIN_MS = 1_000;

/** Takes what a subscription delivers to its end: applied, set aside, or known to be a duplicate; then the offset. */
export class ConsumerRunner implements SubscriptionListener {
  readonly #sessions = new Set<PartitionSession>();
  readonly #breaker: Breaker;
  readonly #scheduler: BatchScheduler;
  readonly #progress: ProgressWriter;
  readonly #pruner: ClaimPruner;
  readonly #releaser: ChainReleaser;
  readonly #sessionParts: SessionParts;
  readonly #opening: TaskHealth;
  readonly #restart: SubscriptionRestart;
  #hasRun = false;
  #joiningSinceMs: number | null = null;

  constructor(private readonly parts: ConsumerParts) {
    const { inbox, registry, limits, clock, observer } = parts;
    this.#opening = new TaskHealth('open', observer);
    this.#restart = new SubscriptionRestart(parts.subscription, clock, this.#opening);
    this.#breaker = new Breaker({
      clock,
      probe: () => inbox.probe(),
      changed: (state) => {
        observer.breakerChanged(state);
        if (state.kind === 'closed') {
          this.#openAgain();
        }
        this.#scheduler.pump();
      },
    });
    this.#scheduler = new BatchScheduler(limits.concurrency, () => this.#breaker.isOpen);
    const handlers: HandlerEnvironment = {
      registry,
      clock,
      handlerTimeoutMs: limits.handlerTimeoutMs,
      handled: (type, durationMs) => {
        observer.handlerEnded({ type, durationMs });
      },
    };
    const breaker = this.#breaker;
    this.#pruner = new ClaimPruner({ inbox, breaker, clock, observer });
    this.#progress = new ProgressWriter({
      ...{ inbox, breaker, clock, observer },
      intervalMs: limits.progressIntervalMs,
      written: () => {
        this.#pruner.touched();
      },
    });
    this.#releaser = new ChainReleaser({
      ...{ inbox, breaker, clock, observer },
      handle: createReleaseHandle(handlers),
      maxAttempts: limits.maxAttempts,
    });
    const batchLimit = new BatchLimit(limits.batchSize, clock);
    this.#sessionParts = {
      ...{ registry, clock, limits, observer, batchLimit, scheduler: this.#scheduler },
      attempts: new Attempts({ inbox, breaker, clock, limits, observer, batchLimit, handle: createHandle(handlers) }),
      touched: () => {
        this.#progress.touched();
      },
      settled: () => {
        this.#pruner.touched();
      },
      flush: (session) => this.#forget(session),
    };
  }

  /** Begins; joining the group goes on behind it. Throws what `SubscriptionPort.start` throws. */
  async start(): Promise<void> {
    await this.parts.subscription.start(this);
    this.#releaser.start();
  }

  /** Lets running handlers end, writes and commits their progress, leaves the group. Idempotent, safe before start. */
  async stop(): Promise<void> {
    await Promise.all([this.#restart.stop(), this.#releaser.stop()]);
    await this.#progress.stop();
    await this.#pruner.stop();
    this.#breaker.stop();
  }

  /** Waits while the database is away; rejects when `signal` is aborted meanwhile. */
  async open(partition: AssignedPartition, signal: AbortSignal): Promise<PartitionReceiver> {
    const known = await this.#readProgress(partition, signal);
    const session = new PartitionSession(this.#sessionParts, partition, known);
    this.#sessions.add(session);
    this.#progress.add(session);
    return session;
  }

  status(): ConsumerStatus {
    const subscription = this.#restart.status();
    const breaker = this.#breaker.state;
    const sessions = [...this.#sessions];
    const reasons = unreadyReasons(subscription, this.#joiningMs(subscription.kind), breaker);
    return {
      consumer: this.parts.consumer,
      isReady: reasons.length === 0,
      reasons,
      subscription,
      breaker,
      partitions: sessions.map(({ topic, partition, pending }) => ({ topic, partition, pending })),
      frozen: sessions.flatMap(({ topic, partition, hole }) => (hole === null ? [] : [{ topic, partition, ...hole }])),
    };
  }

  /** For how long it has been joining, counted from the first call that saw it; null when no call saw it run before. */
  #joiningMs(subscription: SubscriptionStatus['kind']): number | null {
    const nowMs = this.parts.clock.monotonicMs();
    if (subscription === 'running') {
      this.#hasRun = true;
    }
    this.#joiningSinceMs = subscription === 'joining' ? (this.#joiningSinceMs ?? nowMs) : null;
    return this.#hasRun ? nowMs - (this.#joiningSinceMs ?? nowMs) : null;
  }

  /**
   * What a session remembers as done may be missing in a database that failed over or was restored, and its progress
   * would pass over it. So nothing of it is written: all begin again from what this database has.
   */
  #openAgain(): void {
    if (this.#sessions.size === 0) {
      return;
    }
    for (const session of this.#sessions) {
      session.abandon();
    }
    this.#restart.begin(this);
  }

  async #forget(session: PartitionSession): Promise<void> {
    await this.#progress.flush(session);
    this.#sessions.delete(session);
  }

  /** Reads nothing while the breaker is open: what it read would count as memory when the database is back. */
  async #readProgress(partition: AssignedPartition, signal: AbortSignal): Promise<PartitionProgress> {
    for (;;) {
      signal.throwIfAborted();
      const known = this.#breaker.isOpen ? null : await this.#tryRead(partition);
      if (known !== null) {
        return known;
      }
      await pause(this.parts.clock, OPEN_AGAIN_MS, signal);
    }
  }

  async #tryRead({ topic, partition }: AssignedPartition): Promise<PartitionProgress | null> {
    try {
      const known = await this.parts.inbox.openPartition(topic, partition);
      this.#opening.worked();
      return known;
    } catch (error) {
      if (await this.#breaker.isDatabaseThere(error)) {
        this.#opening.failed(error);
      }
      return null;
    }
  }
}
