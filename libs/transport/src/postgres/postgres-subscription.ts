import { randomUUID } from 'node:crypto';
import { type GrowingPause, growingPauseMs } from '../growing-pause.js';
import { type SubscriptionListener, type SubscriptionPort, type SubscriptionStatus } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { assertPostgresUrl, DeliveryDatabase } from './delivery-database.js';
import { type MemberLimits, MemberSession } from './member-session.js';
import { ReceiverFaultError } from './place-feed.js';
import { toSinkError } from './postgres-errors.js';
import { type PostgresSubscriptionOptions } from './postgres-config.js';
import { Wakeable } from './wakeable.js';

const PAUSE: GrowingPause = { firstMs: 250, maxMs: 3_000 };
/** A session that lived so long was not in vain: the pauses begin anew. */
const RAN_WELL_MS = 30_000;
/** No statement may outlive the lease: half of it is left for the others. */
const STATEMENTS_PER_LEASE = 2;

/**
 * A subscription to topics that a relay delivers into a database (`createPostgresSink`), as one of the members of a
 * consumer; nothing is opened before `start`. The driver is the optional peer dependency `pg`. Throws `SinkError`
 * `configuration` for options that make no sense. Guarantees: `SubscriptionPort`. A member that dies keeps its partitions
 * for the rest of its lease.
 */
export function createPostgresSubscription(options: PostgresSubscriptionOptions): SubscriptionPort {
  assertPostgresUrl(options.databaseUrl);
  if (options.consumer === '' || options.consumer.length > 249) {
    throw new SinkError('configuration', 'consumer must have 1 to 249 characters: give the name of the consumer.');
  }
  if (options.topics.length === 0 || options.topics.some((topic) => topic === '')) {
    throw new SinkError('configuration', 'topics must name at least one topic, and none of them may be empty.');
  }
  return new PostgresSubscription(options, limitsOf(options));
}

class PostgresSubscription implements SubscriptionPort {
  readonly kind = 'postgres';
  readonly #pause = new Wakeable();
  #status: SubscriptionStatus = { kind: 'idle' };
  #session: MemberSession | undefined;
  #running: Promise<void> | undefined;
  #isStopping = false;
  #generation = 0;
  /** One for all sessions: a new one takes up at once what the one before could not give back. */
  readonly #memberId = randomUUID();

  constructor(
    private readonly options: PostgresSubscriptionOptions,
    private readonly limits: MemberLimits,
  ) {}

  status(): SubscriptionStatus {
    return this.#status;
  }

  /** Besides `SinkError`, a plain `Error` for a caller's mistake: a second start without a stop between. */
  start(listener: SubscriptionListener): Promise<void> {
    if (this.#running !== undefined) {
      return Promise.reject(new Error('The Postgres subscription is started already: stop it before another start.'));
    }
    this.#isStopping = false;
    this.#status = { kind: 'joining' };
    this.#running = this.#supervise(listener);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#session?.stop();
    this.#pause.ring();
    await this.#running;
    this.#running = undefined;
    this.#status = { kind: 'stopped' };
  }

  async #supervise(listener: SubscriptionListener): Promise<void> {
    let attempt = 0;
    while (!this.#isStopping) {
      const startedMs = performance.now();
      const failure = await this.#runSession(listener);
      if (failure !== null) {
        attempt = performance.now() - startedMs >= RAN_WELL_MS ? 1 : attempt + 1;
        await this.#rest(failure.error, attempt);
      }
    }
  }

  async #runSession(listener: SubscriptionListener): Promise<{ readonly error: unknown } | null> {
    const { databaseUrl, consumer, topics, onEvent = () => undefined } = this.options;
    const memberId = this.#memberId;
    const statementMs = Math.floor(this.limits.leaseMs / STATEMENTS_PER_LEASE) - 1_000;
    const database = new DeliveryDatabase({
      databaseUrl,
      applicationName: `${consumer} subscription`,
      connectionsMax: 1,
      statementMs,
      isOneSession: true,
    });
    let hasJoined = false;
    this.#session = new MemberSession({
      database,
      consumer,
      memberId,
      topics: [...new Set(topics)],
      limits: this.limits,
      listener,
      onEvent,
      onStanding: (standing) => {
        if (!hasJoined) {
          hasJoined = true;
          this.#generation += 1;
          onEvent({ kind: 'joined', memberId, generation: this.#generation });
        }
        this.#status = { kind: 'running', ...standing };
      },
    });
    try {
      await this.#session.run();
      return null;
    } catch (error) {
      return { error };
    } finally {
      this.#session = undefined;
      await database.close();
    }
  }

  async #rest(error: unknown, attempt: number): Promise<void> {
    if (this.#isStopping) {
      return;
    }
    const pauseMs = growingPauseMs(attempt, PAUSE);
    const reason = error instanceof ReceiverFaultError ? error.message : toSinkError(error).message;
    this.#status = { kind: 'rebuilding', reason, attempt };
    this.options.onEvent?.({ kind: 'rebuilt', reason, attempt, pauseMs });
    await this.#pause.wait(pauseMs);
  }
}

function limitsOf(options: PostgresSubscriptionOptions): MemberLimits {
  const { leaseMs = 10_000, beatMs = 1_000, pollMs = 100, commitIntervalMs = 250, drainMs = 5_000 } = options;
  const { chunkRecordsMax = 1_000, chunkBytesMax = 1_048_576 } = options;
  assertWithin('leaseMs', leaseMs, 4_000, 600_000);
  assertWithin('beatMs', beatMs, 50, Math.floor(leaseMs / 3));
  assertWithin('pollMs', pollMs, 1, 10_000);
  assertWithin('commitIntervalMs', commitIntervalMs, 10, 60_000);
  assertWithin('drainMs', drainMs, 0, leaseMs - 1_000);
  assertWithin('chunkRecordsMax', chunkRecordsMax, 1, 10_000);
  assertWithin('chunkBytesMax', chunkBytesMax, 1_024, 67_108_864);
  return { leaseMs, beatMs, pollMs, commitIntervalMs, drainMs, chunkRecordsMax, chunkBytesMax };
}

function assertWithin(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new SinkError('configuration', `${name} is ${value} and must be a whole number from ${least} to ${most}.`);
  }
}
