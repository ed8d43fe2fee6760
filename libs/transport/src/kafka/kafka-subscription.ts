import { type SubscriptionListener, type SubscriptionPort, type SubscriptionStatus } from '../subscription-port.js';
import { type GrowingPause, growingPauseMs } from '../growing-pause.js';
import { type GroupSession, type GroupSessionParts } from './group-session.js';
import { classifyKafkaError } from './kafka-errors.js';
import { LogWentBackError } from './group-assignment.js';
import { type KafkaConsumerPort } from './kafka-consumer-port.js';
import { ReceiverFailedError } from './partition-feed.js';
import { type SubscriptionEvent } from './subscription-events.js';

/** What `KafkaSubscription` is made of; `createKafkaSubscription` fills it from `KafkaSubscriptionOptions`. */
export interface KafkaSubscriptionParts {
  /** Loads the client and reads the certificates; rejects with `SinkError` `configuration`. */
  readonly createClient: () => Promise<KafkaConsumerPort>;
  readonly createSession: (
    client: KafkaConsumerPort,
    parts: Pick<GroupSessionParts, 'listener' | 'onEvent' | 'onStanding'>,
  ) => GroupSession;
  readonly pause: GrowingPause;
  /** A client that was a member for so long ran well: the pauses begin anew. */
  readonly ranWellMs: number;
  readonly onEvent: (event: SubscriptionEvent) => void;
}

/** `SubscriptionPort` over Kafka: makes a client, and whenever it fails, another one, for ever. */
export class KafkaSubscription implements SubscriptionPort {
  readonly kind = 'kafka';
  #status: SubscriptionStatus = { kind: 'idle' };
  #session: GroupSession | undefined;
  #running: Promise<void> | undefined;
  #isStopping = false;
  #endPause: (() => void) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(private readonly parts: KafkaSubscriptionParts) {}

  status(): SubscriptionStatus {
    return this.#status.kind === 'running'
      ? { ...this.#status, missingTopics: this.#session?.missingTopics ?? [] }
      : this.#status;
  }

  /** Besides `SinkError`, a plain `Error` for a caller's mistake: a second start without a stop between. */
  async start(listener: SubscriptionListener): Promise<void> {
    await this.#stopping;
    if (this.#running !== undefined) {
      throw new Error('The Kafka subscription is started already: stop it before another start.');
    }
    this.#isStopping = false;
    this.#status = { kind: 'joining' };
    const starting = this.parts.createClient();
    // from here on there is something to stop
    this.#running = starting.then((client) => this.#supervise(client, listener), ignore);
    try {
      await starting;
    } catch (error) {
      this.#running = undefined;
      this.#status = { kind: 'idle' };
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    this.#session?.stop();
    this.#endPause?.();
    await this.#running;
    this.#running = undefined;
    this.#status = { kind: 'stopped' };
  }

  async #supervise(first: KafkaConsumerPort, listener: SubscriptionListener): Promise<void> {
    let client: KafkaConsumerPort | undefined = first;
    let attempt = 0;
    while (!this.#isStopping) {
      let ranSince: number | undefined;
      let failure: unknown;
      try {
        client ??= await this.parts.createClient();
        failure = await this.#runSession(client, listener, () => {
          ranSince ??= performance.now();
        });
      } catch (error) {
        failure = error;
      }
      client = undefined;
      const ranMs = performance.now() - (ranSince ?? performance.now());
      attempt = ranMs >= this.parts.ranWellMs ? 1 : attempt + 1;
      await this.#pause(failure, attempt);
    }
  }

  async #runSession(
    client: KafkaConsumerPort,
    listener: SubscriptionListener,
    onRunning: () => void,
  ): Promise<unknown> {
    // the client was long in the making, and what is to be stopped is only this
    if (this.#isStopping) {
      return undefined;
    }
    this.#session = this.parts.createSession(client, {
      listener,
      onEvent: this.parts.onEvent,
      onStanding: (standing) => {
        if (standing === 'joining') {
          this.#status = this.#status.kind === 'rebuilding' ? this.#status : { kind: 'joining' };
        } else {
          onRunning();
          this.#status = { kind: 'running', partitions: standing.partitions, missingTopics: [] };
        }
      },
    });
    try {
      return await this.#session.run();
    } finally {
      this.#session = undefined;
    }
  }

  async #pause(failure: unknown, attempt: number): Promise<void> {
    if (this.#isStopping) {
      return;
    }
    const pauseMs = growingPauseMs(attempt, this.parts.pause);
    const reason = reasonOf(failure);
    this.#status = { kind: 'rebuilding', reason, attempt };
    this.parts.onEvent({ kind: 'rebuilt', reason, attempt, pauseMs });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = undefined;
  }
}

/** A sentence for an operator; never the text of an error that may quote a record. */
function reasonOf(failure: unknown): string {
  if (failure instanceof LogWentBackError || failure instanceof ReceiverFailedError) {
    return failure.message;
  }
  const { reason, advice } = classifyKafkaError(failure);
  return `Kafka failed: ${reason}.${advice && ` ${advice}`}`;
}

function ignore(): undefined {
  return undefined;
}
