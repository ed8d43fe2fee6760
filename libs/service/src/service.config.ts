import {
  type Environment,
  type EnvironmentRule,
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

import { type ServiceDefinition } from './service-definition.js';

/** The database of the service: where it is and how many connections may be open. */
export interface DatabaseConfig {
  readonly url: string;
  readonly poolMax: number;
}

/** What a service is told by its environment. */
export interface ServiceConfig {
  readonly http: HttpEnvironment;
  readonly database: DatabaseConfig;
  /** The relay's name for this database; part of consistency tokens. */
  readonly source: string;
  readonly kafka: { readonly client: KafkaClientName; readonly connection: KafkaConnection };
  /** How many events are handled side by side, each in a transaction on a connection of its own. */
  readonly consumerConcurrency: number;
  /** Where events come from. Kafka, by the environment, where it is not given. */
  readonly subscribe?: (request: SubscriptionRequest) => SubscriptionPort;
}

const POOL_MAX = 20;
const CONCURRENCY = 8;

/** Connections that handlers may not take: for requests, readiness, and what the inbox notes of its progress. */
const CONNECTIONS_BESIDE_HANDLERS = 6;

/** Every variable that a service reads, but for `KAFKA_*`, which libs/transport reads. */
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types -- the schema is the type
export function serviceVariables({ name, port }: Pick<ServiceDefinition, 'name' | 'port'>) {
  return z.object({
    ...httpVariables(port),
    DATABASE_URL: postgresUrl(),
    DATABASE_POOL_MAX: wholeNumber({ min: 3, max: 200, byDefault: POOL_MAX }),
    MILLRACE_CONSUMER_CONCURRENCY: wholeNumber({ min: 1, max: 64, byDefault: CONCURRENCY }),
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
  const read = () => readEnvironment(serviceVariables(definition), environment, [...HTTP_RULES, refuseSmallPool]);
  if (kafka.kind === 'invalid') {
    throw new StartError([...problemsOf(read), ...kafka.problems]);
  }
  const {
    DATABASE_URL,
    DATABASE_POOL_MAX,
    MILLRACE_SOURCE,
    MILLRACE_KAFKA_CLIENT,
    MILLRACE_CONSUMER_CONCURRENCY,
    ...http
  } = read();
  return {
    http,
    database: { url: DATABASE_URL, poolMax: DATABASE_POOL_MAX },
    source: MILLRACE_SOURCE,
    kafka: { client: MILLRACE_KAFKA_CLIENT, connection: kafka.connection },
    consumerConcurrency: MILLRACE_CONSUMER_CONCURRENCY,
  };
}

/** What a migration needs: one connection that works and one that holds the lock. Throws `StartError`. */
export function readMigrationConfig(environment: Environment = process.env): DatabaseConfig {
  const { DATABASE_URL: url } = readEnvironment(z.object({ DATABASE_URL: postgresUrl() }), environment);
  return { url, poolMax: 2 };
}

/** Busy handlers must not starve requests. Text that is no number is another rule's matter. */
const refuseSmallPool: EnvironmentRule = (environment) => {
  const poolMax = Number(environment['DATABASE_POOL_MAX'] ?? POOL_MAX);
  const needed = Number(environment['MILLRACE_CONSUMER_CONCURRENCY'] ?? CONCURRENCY) + CONNECTIONS_BESIDE_HANDLERS;
  return poolMax < needed
    ? `DATABASE_POOL_MAX leaves no connections beside the handlers: give at least ${needed}, which is ` +
        `MILLRACE_CONSUMER_CONCURRENCY + ${CONNECTIONS_BESIDE_HANDLERS}, or lower MILLRACE_CONSUMER_CONCURRENCY`
    : undefined;
};

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
