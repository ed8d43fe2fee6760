import 'reflect-metadata';
import { InboxConsumer, InboxModule } from '@millrace/inbox';
import { createKafkaSubscription, KAFKA_CLIENTS, type SubscriptionPort } from '@millrace/transport';
import { type DynamicModule, Logger, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { tellHarness } from './link.js';
import { tellPartitions } from './partition-count.js';

/** What a consumer under test adds to an application with an inbox. */
export interface ConsumerAppOptions {
  /** The provider whose methods are the handlers. */
  readonly handlers: Type<object>;
  /** Put around the subscription; for faults. */
  readonly around?: ((subscription: SubscriptionPort) => SubscriptionPort) | undefined;
  /** Is given the data source once it is open, before the first record. */
  readonly opened?: ((dataSource: DataSource) => void) | undefined;
}

/** What the environment tells a consumer under test. */
interface Setting {
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  readonly client: (typeof KAFKA_CLIENTS)[number];
  readonly consumer: string;
  readonly topic: string;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly sessionTimeoutMs: number;
}

/** A frozen member must not hold up the others for long, so that a run is quick. */
const LIMITS = { statement_timeout: 5_000, lock_timeout: 1_000, idle_in_transaction_session_timeout: 3_000 };
const CONNECT_TIMEOUT_MS = 2_000;
const logger = new Logger('Subscription', { timestamp: true });

/**
 * A Nest application with an inbox on a Kafka subscription, as a user would write one; it consumes until SIGTERM. It
 * tells the harness `ready`, and how many partitions it has whenever that changes.
 */
export async function runConsumerApp(options: ConsumerAppOptions): Promise<void> {
  const setting = readSetting();
  const dataSource = await new DataSource({
    type: 'postgres',
    url: setting.databaseUrl,
    poolSize: setting.concurrency + 4,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    poolErrorHandler: () => undefined, // a server that was killed on purpose
    extra: { ...LIMITS, keepAlive: true },
  }).initialize();
  options.opened?.(dataSource);
  const app = await NestFactory.createApplicationContext(moduleOf(setting, dataSource, options));
  app.enableShutdownHooks();
  tellEvents(app.get(InboxConsumer));
  tellHarness('ready');
}

/** What a run may want to know of: frozen partitions, an open breaker, and each kind of failure once. */
function tellEvents(inbox: InboxConsumer): void {
  const failures = new Set<string>();
  inbox.observe({
    partitionFrozen: ({ partition }) => {
      tellHarness(`frozen ${partition}`);
    },
    breakerChanged: ({ kind }) => {
      tellHarness(`breaker ${kind}`);
    },
    attemptFailed: ({ code }) => {
      if (!failures.has(code)) {
        failures.add(code);
        tellHarness(`failed ${code}`);
      }
    },
  });
}

function moduleOf(setting: Setting, dataSource: DataSource, { handlers, around }: ConsumerAppOptions): DynamicModule {
  const { consumer, topic, client, brokers, sessionTimeoutMs } = setting;
  const { batchSize, concurrency, maxAttempts } = setting;
  const subscribe = (request: { readonly consumer: string; readonly topics: readonly string[] }): SubscriptionPort => {
    const subscription = createKafkaSubscription({
      client,
      connection: { brokers },
      groupId: request.consumer,
      topics: request.topics,
      sessionTimeoutMs,
      heartbeatMs: Math.min(3_000, sessionTimeoutMs / 6),
      drainMs: Math.min(10_000, sessionTimeoutMs / 2),
      onEvent: (event) => {
        logger.log(JSON.stringify(event, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
      },
    });
    return tellPartitions(around?.(subscription) ?? subscription);
  };

  const database = { provide: DataSource, useValue: dataSource };
  return {
    module: ConsumerUnderTest,
    imports: [
      { module: DatabaseUnderTest, global: true, providers: [database], exports: [database] },
      InboxModule.forRoot({
        consumer,
        database: DataSource,
        subscribe,
        topicOf: () => topic,
        batchSize,
        concurrency,
        maxAttempts,
      }),
    ],
    providers: [handlers],
  };
}

@Module({})
class DatabaseUnderTest {}

@Module({})
class ConsumerUnderTest {}

function readSetting(): Setting {
  const client = KAFKA_CLIENTS.find((name) => name === process.env['MILLRACE_KAFKA_CLIENT']);
  if (client === undefined) {
    throw new Error(`MILLRACE_KAFKA_CLIENT is not one of ${KAFKA_CLIENTS.join()}.`);
  }
  return {
    client,
    databaseUrl: required('DATABASE_URL'),
    brokers: required('KAFKA_BROKERS').split(','),
    consumer: required('CONSUMER_NAME'),
    topic: required('CONSUMER_TOPIC'),
    batchSize: Number(process.env['CONSUMER_BATCH_SIZE'] ?? 1),
    concurrency: Number(process.env['CONSUMER_CONCURRENCY'] ?? 8),
    maxAttempts: Number(process.env['CONSUMER_MAX_ATTEMPTS'] ?? 20),
    sessionTimeoutMs: Number(process.env['CONSUMER_SESSION_TIMEOUT_MS'] ?? 30_000),
  };
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new Error(`${name} is not set: the harness sets it.`);
  }
  return value;
}
