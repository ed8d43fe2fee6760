import {
  type Environment,
  HTTP_RULES,
  type HttpEnvironment,
  httpVariables,
  postgresUrl,
  readEnvironment,
  wholeNumber,
} from '@millrace/http';
import { z } from 'zod';

/** The version that the API, its document and its health name. */
export const ORDER_VERSION = '0.1.0';

/** Every variable that the order service reads. */
export const orderVariables = z.object({
  ...httpVariables(3001),
  DATABASE_URL: postgresUrl(),
  DATABASE_POOL_MAX: wholeNumber({ min: 1, max: 200, byDefault: 10 }),
  MILLRACE_SOURCE: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'give the name that the relay has for this database as a source, such as order')
    .default('order'),
});

/** The database of the service: where it is and how many connections may be open. */
export interface DatabaseConfig {
  readonly url: string;
  readonly poolMax: number;
}

/** What the order service is told by its environment. */
export interface OrderConfig {
  readonly http: HttpEnvironment;
  readonly database: DatabaseConfig;
  /** The relay's name for this database; part of consistency tokens. */
  readonly source: string;
}

/** Parses the environment; throws `StartError` with every problem at once. */
export function readOrderConfig(environment: Environment): OrderConfig {
  const { DATABASE_URL, DATABASE_POOL_MAX, MILLRACE_SOURCE, ...http } = readEnvironment(
    orderVariables,
    environment,
    HTTP_RULES,
  );
  return { http, database: { url: DATABASE_URL, poolMax: DATABASE_POOL_MAX }, source: MILLRACE_SOURCE };
}
