import { DataSource } from 'typeorm';

import { PreparingClient } from './preparing-client.js';
import { type DatabaseConfig } from './service.config.js';
import { type ServiceDefinition, tablesOf } from './service-definition.js';

/** The name of the table in which TypeORM notes what it has applied. */
export const MIGRATIONS_TABLE = 'migration';

/** Limits of a connection, in the driver's names; milliseconds, 0 for none. */
export interface ConnectionLimits {
  readonly statement_timeout: number;
  readonly lock_timeout: number;
  readonly idle_in_transaction_session_timeout: number;
  readonly query_timeout: number;
}

/**
 * A request gives up early and can be repeated. A crashed one must not keep its locks: the server ends a transaction
 * that nobody goes on with. `query_timeout` is the driver's, for a server that fell silent, so it comes last.
 */
export const REQUEST_LIMITS: ConnectionLimits = {
  statement_timeout: 5000,
  lock_timeout: 2000,
  idle_in_transaction_session_timeout: 10_000,
  query_timeout: 8000,
};

/** A migration may work for long, but not queue for long: everybody else would queue behind it. */
export const MIGRATION_LIMITS: ConnectionLimits = {
  statement_timeout: 0,
  lock_timeout: 10_000,
  idle_in_transaction_session_timeout: 0,
  query_timeout: 0,
};

/** A request waits this long for a connection of the pool, and a new connection this long for the server. */
const CONNECT_TIMEOUT_MS = 2000;

/** A connection that fell silent leaves the pool at the latest then. */
const CONNECTION_LIFETIME_S = 60;

/** The data source of a service, not yet connected. */
export function createDataSource(
  service: ServiceDefinition,
  config: DatabaseConfig,
  limits: ConnectionLimits,
): DataSource {
  return new DataSource({
    type: 'postgres',
    url: config.url,
    applicationName: service.name,
    ...tablesOf(service),
    migrationsTableName: MIGRATIONS_TABLE,
    synchronize: false,
    installExtensions: false,
    logging: false,
    poolSize: config.poolMax,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    // an idle connection that breaks is replaced by the next request; readiness tells when none can be had
    poolErrorHandler: () => undefined,
    extra: { ...limits, maxLifetimeSeconds: CONNECTION_LIFETIME_S, keepAlive: true, Client: PreparingClient },
  });
}
