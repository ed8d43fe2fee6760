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
import { KAFKA_CLIENTS, type KafkaClientName, type KafkaConnection, parseKafkaEnv } from '@millrace/transport';
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
}

/** Every variable that a service reads, but for `KAFKA_*`, which libs/transport reads. */
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types -- the schema is the type
export function serviceVariables({ name, port }: Pick<ServiceDefinition, 'name' | 'port'>) {
  return z.object({
    ...httpVariables(port),
    DATABASE_URL: postgresUrl(),
    DATABASE_POOL_MAX: wholeNumber({ min: 3, max: 200, byDefault: 20 }),
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
  const { DATABASE_URL, DATABASE_POOL_MAX, MILLRACE_SOURCE, MILLRACE_KAFKA_CLIENT, ...http } = read();
  return {
    http,
    database: { url: DATABASE_URL, poolMax: DATABASE_POOL_MAX },
    source: MILLRACE_SOURCE,
    kafka: { client: MILLRACE_KAFKA_CLIENT, connection: kafka.connection },
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
