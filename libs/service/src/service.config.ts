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

/** What a service is told by its environment. */
export interface ServiceConfig {
  readonly http: HttpEnvironment;
  /** With the connections of requests; handlers have their own. */
  readonly database: DatabaseConfig;
  /** The relay's name for this database; part of consistency tokens. */
  readonly source: string;
  readonly kafka: { readonly client: KafkaClientName; readonly connection: KafkaConnection };
  /** How many transactions handle events side by side, each on a connection of its own. */
  readonly consumerConcurrency: number;
  /** The most events of one of them; it has so many only while events wait. */
  readonly consumerBatch: number;
  /** Where events come from. Kafka, by the environment, where it is not given. */
  readonly subscribe?: (request: SubscriptionRequest) => SubscriptionPort;
}

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
    MILLRACE_KAFKA_CLIENT: z.enum(KAFKA_CLIENTS, `give one of ${KAFKA_CLIENTS.join(', ')}`).default('platformatic'),
  });
}

/** Parses the environment; throws `StartError` with every problem at once. */
export function readServiceConfig(
  definition: ServiceDefinition,
  environment: Environment = process.env,
): ServiceConfig {
  const kafka = parseKafkaEnv(environment);
  const read = () => readEnvironment(serviceVariables(definition), environment, HTTP_RULES);
  if (kafka.kind === 'invalid') {
    throw new StartError([...problemsOf(read), ...kafka.problems]);
  }
  const {
    DATABASE_URL,
    DATABASE_POOL_MAX,
    MILLRACE_SOURCE,
    MILLRACE_KAFKA_CLIENT,
    MILLRACE_CONSUMER_CONCURRENCY,
    MILLRACE_CONSUMER_BATCH,
    ...http
  } = read();
  return {
    http,
    database: { url: DATABASE_URL, poolMax: DATABASE_POOL_MAX },
    source: MILLRACE_SOURCE,
    kafka: { client: MILLRACE_KAFKA_CLIENT, connection: kafka.connection },
    consumerConcurrency: MILLRACE_CONSUMER_CONCURRENCY,
    consumerBatch: MILLRACE_CONSUMER_BATCH,
  };
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
