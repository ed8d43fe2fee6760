import { DataSource } from 'typeorm';

import { type ConnectionLimits } from './connection-limits.js';
import { PreparingClient } from './preparing-client.js';
import { type DatabaseConfig } from './service.config.js';
import { type ServiceDefinition, tablesOf } from './service-definition.js';

/** The name of the table in which TypeORM notes what it has applied. */
export const MIGRATIONS_TABLE = 'migration';

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
    // an idle connection that breaks is replaced by the next request; readiness tells when none can be had
    poolErrorHandler: () => undefined,
    extra: { ...limits, maxLifetimeSeconds: CONNECTION_LIFETIME_S, keepAlive: true, Client: PreparingClient },
  });
}
