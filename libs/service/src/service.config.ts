import {
  type Environment,
  HTTP_RULES,
  type HttpEnvironment,
  httpVariables,
  postgresUrl,
  readEnvironment,
  StartError,
  wholeNumber,
} from '@millrace/http';
import { type SubscriptionRequest } from '@millrace/inbox';
import {
  KAFKA_CLIENTS,
  type KafkaClientName,
  type KafkaConnection,
  parseKafkaEnv,
  problemOfQueueUrl,
  type SqsConnection,
  type SubscriptionPort,
} from '@millrace/transport';
import { z } from 'zod';

import { type ConnectionLimits } from './connection-limits.js';
import { type ServiceDefinition } from './service-definition.js';

/** The database of the service: where it is and how many connections a pool may open. */
export interface DatabaseConfig {
  readonly url: string;
  readonly poolMax: number;
  /** Of requests and handlers; `REQUEST_LIMITS` where they are not given. */
  readonly limits?: ConnectionLimits;
}

/**
 * Where events come from: Kafka, the service's own database, into which a Postgres sink of the relay delivers them, or
 * queues of SQS that are its own.
 */
export type EventsFrom =
  | { readonly kind: 'kafka'; readonly client: KafkaClientName; readonly connection: KafkaConnection }
  | { readonly kind: 'postgres' }
  | {
      readonly kind: 'sqs';
      readonly connection: SqsConnection;
      readonly queues: string;
      readonly payloadsDirectory: string | undefined;
    };

/** What a service is told by its environment. */
export interface ServiceConfig {
  readonly http: HttpEnvironment;
  /** With the connections of requests; handlers have their own. */
  readonly database: DatabaseConfig;
  /** The relay's name for this database; part of consistency tokens. */
  readonly source: string;
  readonly events: EventsFrom;
  /** How many transactions handle events side by side, each on a connection of its own. */
  readonly consumerConcurrency: number;
  /** The most events of one of them; it has so many only while events wait. */
  readonly consumerBatch: number;
  /** Instead of `events`. */
  readonly subscribe?: (request: SubscriptionRequest) => SubscriptionPort;
}

const SUBSCRIPTIONS = ['kafka', 'postgres', 'sqs'] as const;
const QUEUES = 'give the URL of the queue, with {topic} in its name where each topic has one';

/** Every variable that a service reads, but for `KAFKA_*`, which libs/transport reads. */
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types -- the schema is the type
export function serviceVariables({ name, port, handling }: Pick<ServiceDefinition, 'name' | 'port' | 'handling'>) {
  return z.object({
    ...httpVariables(port),
    DATABASE_URL: postgresUrl(),
    DATABASE_POOL_MAX: wholeNumber({ min: 2, max: 200, byDefault: 10 }),
    MILLRACE_CONSUMER_CONCURRENCY: wholeNumber({ min: 1, max: 64, byDefault: handling.concurrency }),
    MILLRACE_CONSUMER_BATCH: wholeNumber({ min: 1, max: 1_000, byDefault: handling.batch }),
    MILLRACE_SOURCE: z
      .string()
      .regex(
        /^[a-z][a-z0-9_-]{0,62}$/,
        `give the name that the relay has for this database as a source, such as ${name}`,
      )
      .default(name),
    MILLRACE_SUBSCRIPTION: z.enum(SUBSCRIPTIONS, `give one of ${SUBSCRIPTIONS.join(', ')}`).default('kafka'),
    MILLRACE_SQS_QUEUES: z
      .string()
      .refine((url) => problemOfQueueUrl(url) === null, QUEUES)
      .optional(),
    MILLRACE_SQS_ENDPOINT: z.url({ protocol: /^https?$/, error: 'give the http(s) URL of SQS' }).optional(),
    MILLRACE_SQS_PAYLOADS_DIR: z.string().optional(),
    MILLRACE_KAFKA_CLIENT: z.enum(KAFKA_CLIENTS, `give one of ${KAFKA_CLIENTS.join(', ')}`).default('platformatic'),
  });
}

/** Parses the environment; throws `StartError` with every problem at once. `KAFKA_*` is read where events come from Kafka. */
export function readServiceConfig(
  definition: ServiceDefinition,
  environment: Environment = process.env,
): ServiceConfig {
  const read = () => readEnvironment(serviceVariables(definition), environment, HTTP_RULES);
  const brokers = brokersOf(environment, read);
  const {
    DATABASE_URL,
    DATABASE_POOL_MAX,
    MILLRACE_SOURCE,
    MILLRACE_SUBSCRIPTION,
    MILLRACE_KAFKA_CLIENT,
    MILLRACE_SQS_QUEUES,
    MILLRACE_SQS_ENDPOINT,
    MILLRACE_SQS_PAYLOADS_DIR,
    MILLRACE_CONSUMER_CONCURRENCY,
    MILLRACE_CONSUMER_BATCH,
    ...http
  } = read();
  return {
    http,
    database: { url: DATABASE_URL, poolMax: DATABASE_POOL_MAX },
    source: MILLRACE_SOURCE,
    events: eventsFrom(
      {
        MILLRACE_SUBSCRIPTION,
        MILLRACE_KAFKA_CLIENT,
        MILLRACE_SQS_QUEUES,
        MILLRACE_SQS_ENDPOINT,
        MILLRACE_SQS_PAYLOADS_DIR,
      },
      brokers,
    ),
    consumerConcurrency: MILLRACE_CONSUMER_CONCURRENCY,
    consumerBatch: MILLRACE_CONSUMER_BATCH,
  };
}

type Subscription = Pick<
  z.infer<ReturnType<typeof serviceVariables>>,
  | 'MILLRACE_SUBSCRIPTION'
  | 'MILLRACE_KAFKA_CLIENT'
  | 'MILLRACE_SQS_QUEUES'
  | 'MILLRACE_SQS_ENDPOINT'
  | 'MILLRACE_SQS_PAYLOADS_DIR'
>;

/** `brokers` is null where events do not come from Kafka. */
function eventsFrom(given: Subscription, brokers: KafkaConnection | null): EventsFrom {
  const { MILLRACE_SQS_QUEUES: queues, MILLRACE_SQS_ENDPOINT: endpoint } = given;
  if (brokers !== null) {
    return { kind: 'kafka', client: given.MILLRACE_KAFKA_CLIENT, connection: brokers };
  }
  if (given.MILLRACE_SUBSCRIPTION !== 'sqs') {
    return { kind: 'postgres' };
  }
  if (queues === undefined) {
    throw new StartError([`MILLRACE_SQS_QUEUES is not set: ${QUEUES}.`]);
  }
  const connection = endpoint === undefined ? {} : { endpoint };
  return { kind: 'sqs', connection, queues, payloadsDirectory: given.MILLRACE_SQS_PAYLOADS_DIR };
}

/** Null where they are not needed. */
function brokersOf(environment: Environment, read: () => unknown): KafkaConnection | null {
  const kind = environment['MILLRACE_SUBSCRIPTION'];
  if (kind === 'postgres' || kind === 'sqs') {
    return null;
  }
  const kafka = parseKafkaEnv(environment);
  if (kafka.kind === 'invalid') {
    throw new StartError([...problemsOf(read), ...kafka.problems]);
  }
  return kafka.connection;
}

/** What a migration needs: one connection that works and one that holds the lock. Throws `StartError`. */
export function readMigrationConfig(environment: Environment = process.env): DatabaseConfig {
  const { DATABASE_URL: url } = readEnvironment(z.object({ DATABASE_URL: postgresUrl() }), environment);
  return { url, poolMax: 2 };
}

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof StartError) {
      return error.problems;
    }
    throw error;
  }
}
