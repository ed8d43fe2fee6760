import { within } from '../deadline.js';
import { growingPauseMs } from '../growing-pause.js';
import { type SubscriptionListener, type SubscriptionPort, type SubscriptionStatus } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { MessageReader } from './message-reader.js';
import { QueueClient } from './queue-client.js';
import { type QueueLimits, QueueReceiverError, QueueSession } from './queue-session.js';
import { type PayloadStore } from '../storage/payload-store.js';
import { type CreateSqsClient, type SqsClientPort } from './sqs-client-port.js';
import { queueNameOf } from './sqs-config.js';
import { classifySqsError } from './sqs-errors.js';
import { assertRedrive } from './sqs-queue.js';
import { type SqsSubscriptionEvent } from './sqs-subscription-events.js';
import { isStopped, pause } from './stopping.js';

/** A queue, and the topic of messages in it that name none. */
export interface SubscribedQueue {
  readonly url: string;
  readonly topic: string;
}

/** What `SqsSubscription` is made of; `createSqsSubscription` fills it. */
export interface SqsSubscriptionParts {
  readonly create: CreateSqsClient;
  readonly queues: readonly SubscribedQueue[];
  readonly payloads: PayloadStore | null;
  readonly limits: QueueLimits;
  readonly requestTimeoutMs: number;
  /** Between two looks for a queue that is missing. */
  readonly missingQueuePollMs: number;
  readonly onEvent: (event: SqsSubscriptionEvent) => void;
}

type Standing =
  | { readonly kind: 'joining' | 'running' | 'missing' }
  | { readonly kind: 'failing'; readonly reason: string; readonly attempt: number };

interface Run {
  readonly client: SqsClientPort;
  readonly listener: SubscriptionListener;
  readonly stopping: AbortController;
}

const PAUSE = { firstMs: 250, maxMs: 5_000 };
/** How long `start` waits for the first look at the queues. */
const FIRST_LOOK_MS = 3_000;

/** `SubscriptionPort` over queues of SQS: one receiver per queue, each by itself, and again after each failure, for ever. */
export class SqsSubscription implements SubscriptionPort {
  readonly kind = 'sqs';
  readonly #standings = new Map<string, Standing>();
  #phase: 'idle' | 'started' | 'stopped' = 'idle';
  #stopping: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: SqsSubscriptionParts) {}

  status(): SubscriptionStatus {
    if (this.#phase !== 'started') {
      return { kind: this.#phase };
    }
    const standings = [...this.#standings.values()];
    const failing = standings.find((standing) => standing.kind === 'failing');
    if (failing?.kind === 'failing') {
      return { kind: 'rebuilding', reason: failing.reason, attempt: failing.attempt };
    }
    if (standings.some(({ kind }) => kind === 'joining')) {
      return { kind: 'joining' };
    }
    const missing = this.parts.queues.filter(({ url }) => this.#standings.get(url)?.kind === 'missing');
    return {
      kind: 'running',
      partitions: standings.length - missing.length,
      missingTopics: missing.map(({ url }) => queueNameOf(url)),
    };
  }

  /** Besides `SinkError`, a plain `Error` for a caller's mistake: a second start without a stop between. */
  async start(listener: SubscriptionListener): Promise<void> {
    if (this.#phase === 'started') {
      throw new Error('The SQS subscription is started already: stop it before another start.');
    }
    await this.#running;
    this.#phase = 'started';
    this.#stopping = new AbortController();
    for (const { url } of this.parts.queues) {
      this.#standings.set(url, { kind: 'joining' });
    }
    const opening = this.#open(listener, this.#stopping);
    // from here on there is something to stop
    this.#running = opening.then((run) => this.#runAll(run), ignore);
    try {
      await opening;
    } catch (error) {
      this.#phase = 'idle';
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#running;
    this.#phase = this.#phase === 'idle' ? 'idle' : 'stopped';
  }

  async #open(listener: SubscriptionListener, stopping: AbortController): Promise<Run> {
    const run = { client: await this.parts.create(), listener, stopping };
    try {
      await within(FIRST_LOOK_MS, this.#firstLook(run), () => undefined);
      return run;
    } catch (error) {
      run.client.close();
      throw error;
    }
  }

  async #runAll(run: Run): Promise<void> {
    await Promise.all(this.parts.queues.map((queue) => this.#supervise(run, queue)));
    run.client.close();
  }

  /** Throws `SinkError` `configuration` for what no retry can mend; whatever else is wrong shows again while it runs. */
  async #firstLook(run: Run): Promise<void> {
    const looks = this.parts.queues.map(async (queue) => {
      assertRedrive(await this.#clientOf(run, queue).open(run.stopping.signal), this.parts.limits.receivesMin);
    });
    for (const look of await Promise.allSettled(looks)) {
      if (look.status === 'rejected' && look.reason instanceof SinkError) {
        throw look.reason;
      }
    }
  }

  async #supervise(run: Run, queue: SubscribedQueue): Promise<void> {
    const { signal } = run.stopping;
    for (let attempt = 1; !isStopped(signal); attempt++) {
      try {
        await this.#sessionOf(run, queue, () => {
          attempt = 0;
        }).run(signal);
      } catch (error) {
        if (!isStopped(signal)) {
          await pause(this.#failed(queue, error, attempt), signal);
        }
      }
    }
  }

  #sessionOf(run: Run, { url, topic }: SubscribedQueue, isWell: () => void): QueueSession {
    const { payloads, limits, onEvent } = this.parts;
    return new QueueSession({
      client: this.#clientOf(run, { url, topic }),
      reader: new MessageReader(payloads, topic),
      listener: run.listener,
      limits,
      standing: (failure) => {
        if (failure === null) {
          isWell();
        }
        this.#standings.set(url, failure === null ? { kind: 'running' } : { kind: 'failing', ...failure });
      },
      onEvent,
    });
  }

  #clientOf({ client }: Run, { url }: SubscribedQueue): QueueClient {
    return new QueueClient(client, url, this.parts.requestTimeoutMs);
  }

  /** Returns for how long to wait. */
  #failed({ url }: SubscribedQueue, error: unknown, attempt: number): number {
    const queue = queueNameOf(url);
    const { code, reason, advice } = classifySqsError(error);
    if (code === 'topic_missing') {
      if (this.#standings.get(url)?.kind !== 'missing') {
        this.parts.onEvent({ kind: 'queue_missing', queue });
      }
      this.#standings.set(url, { kind: 'missing' });
      return this.parts.missingQueuePollMs;
    }
    const isOurs = error instanceof SinkError || error instanceof QueueReceiverError;
    const told = isOurs ? error.message : `The queue ${queue} cannot be opened: ${reason}. ${advice}`;
    const pauseMs = growingPauseMs(Math.max(attempt, 1), PAUSE);
    this.#standings.set(url, { kind: 'failing', reason: told, attempt });
    this.parts.onEvent({ kind: 'interrupted', queue, reason: told, attempt, pauseMs });
    return pauseMs;
  }
}

/** Told to whoever starts. */
function ignore(): void {
  return undefined;
}
