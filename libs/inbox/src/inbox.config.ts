import { type EventContract } from '@millrace/events';
import { type SubscriptionPort } from '@millrace/transport';
import { type InjectionToken } from '@nestjs/common';
import { InboxError } from './inbox.errors.js';

/** What a consumer asks of a broker. */
export interface SubscriptionRequest {
  /** The group's id. */
  readonly consumer: string;
  readonly topics: readonly string[];
}

/** What `InboxModule.forRoot` takes. */
export interface InboxModuleOptions extends ConsumerTuning {
  /** The consumer's name: the group's id at the broker, and whose record of applied events it is. Never change it. */
  readonly consumer: string;
  /** The injection token of the service's TypeORM `DataSource`. */
  readonly database: InjectionToken;
  /** Makes the subscription, once, at boot; `createKafkaSubscription` of `@millrace/transport` does. */
  readonly subscribe: (request: SubscriptionRequest) => SubscriptionPort;
  /** The topic of a contract's events. Default: `outbox.event.<aggregate>`. */
  readonly topicOf?: (contract: EventContract) => string;
}

/** What may be tuned; the defaults are right for handlers of some milliseconds. */
export interface ConsumerTuning {
  /** Transactions at a time, each with its own connection; two more are used beside them. Default 8. */
  readonly concurrency?: number;
  /** The most events of one transaction. Default 1: larger is faster, but one failure repeats the whole batch. */
  readonly batchSize?: number;
  /** Tries of a held event before it is parked. Default 20, about an hour. */
  readonly maxAttempts?: number;
  /** Waits between the tries in memory, before the event is held; together at most 5 s. Default 50, 200, 800, 2000. */
  readonly inMemoryRetryMs?: readonly number[];
  /** A handler that takes longer is given up and rolled back. Default 30,000. */
  readonly handlerTimeoutMs?: number;
  /** How often progress is written and committed while there is any. Default 250. */
  readonly progressIntervalMs?: number;
  /** Per partition: records between the oldest unfinished and the newest taken in. Default 10,000. */
  readonly windowRecordsMax?: number;
  /** Per partition: bytes of the chunks that have an unfinished record. Default 8 MiB, and one chunk more. */
  readonly windowBytesMax?: number;
}

/** The tuning with every default filled in. */
export type ConsumerLimits = Required<ConsumerTuning>;

const DEFAULTS: ConsumerLimits = {
  concurrency: 8,
  batchSize: 1,
  maxAttempts: 20,
  inMemoryRetryMs: [50, 200, 800, 2_000],
  handlerTimeoutMs: 30_000,
  progressIntervalMs: 250,
  windowRecordsMax: 10_000,
  windowBytesMax: 8 * 1_024 * 1_024,
};

const CONSUMER = /^[a-zA-Z0-9._-]{1,200}$/;
const IN_MEMORY_MAX_MS = 5_000;

/** Fills in the defaults. Throws `InboxError` `configuration_invalid` that names the option and what it must be. */
export function limitsOf(tuning: ConsumerTuning): ConsumerLimits {
  const limits: ConsumerLimits = { ...DEFAULTS, ...definedOf(tuning) };
  refuse('concurrency', limits.concurrency, 1, 1_000);
  refuse('batchSize', limits.batchSize, 1, 1_000);
  refuse('maxAttempts', limits.maxAttempts, 1, 1_000_000);
  refuse('handlerTimeoutMs', limits.handlerTimeoutMs, 1, 3_600_000);
  refuse('progressIntervalMs', limits.progressIntervalMs, 10, 10_000);
  refuse('windowRecordsMax', limits.windowRecordsMax, 1, 1_000_000);
  refuse('windowBytesMax', limits.windowBytesMax, 1, 1_024 * 1_024 * 1_024);
  limits.inMemoryRetryMs.forEach((waitMs) => {
    refuse('inMemoryRetryMs', waitMs, 0, IN_MEMORY_MAX_MS);
  });
  if (limits.inMemoryRetryMs.reduce((sum, waitMs) => sum + waitMs, 0) > IN_MEMORY_MAX_MS) {
    throw invalid(
      'inMemoryRetryMs',
      `waits of together at most ${IN_MEMORY_MAX_MS} ms: later tries belong to the chain`,
    );
  }
  return limits;
}

/** Throws `InboxError` `configuration_invalid` for a name that a broker or an index could not take. */
export function refuseConsumerName(consumer: string): void {
  if (!CONSUMER.test(consumer)) {
    throw invalid('consumer', '1 to 200 letters, digits, ".", "_" or "-"');
  }
}

/** The topic that a relay sends the events of a contract to, unless its configuration says otherwise. */
export function defaultTopicOf(contract: EventContract): string {
  return `outbox.event.${contract.aggregate}`;
}

function definedOf(tuning: ConsumerTuning): Partial<ConsumerLimits> {
  const names = Object.keys(DEFAULTS);
  return Object.fromEntries(
    Object.entries(tuning).filter(([name, value]) => names.includes(name) && value !== undefined),
  );
}

function refuse(name: keyof ConsumerLimits, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw invalid(name, `a whole number from ${min} to ${max}`);
  }
}

function invalid(name: string, demand: string): InboxError {
  return new InboxError('configuration_invalid', `InboxModule.forRoot({ ${name} }) must be ${demand}.`);
}
