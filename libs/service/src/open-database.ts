import { StartError } from '@millrace/http';
import { type DataSource } from 'typeorm';

import { REQUEST_LIMITS } from './connection-limits.js';
import { createDataSource } from './data-source.js';
import { toStartError } from './database.errors.js';
import { readMigrationState, requireOutbox } from './migration-state.js';
import { type DatabaseConfig } from './service.config.js';
import { type ServiceDefinition } from './service-definition.js';

/**
 * Connects and makes sure that the database fits this release; changes nothing. Throws `StartError` with a sentence
 * that says what to run: no server, no such database, schema `millrace` or the business tables not migrated.
 */
export async function openDatabase(service: ServiceDefinition, config: DatabaseConfig): Promise<DataSource> {
  const dataSource = createDataSource(service, config, config.limits ?? REQUEST_LIMITS);
  try {
    await dataSource.initialize();
    await requireOutbox(dataSource);
    await requireTables(dataSource, service.name);
    return dataSource;
  } catch (error) {
    if (dataSource.isInitialized) {
      await dataSource.destroy();
    }
    throw toStartError(error);
  }
}

async function requireTables(dataSource: DataSource, name: string): Promise<void> {
  if ((await readMigrationState(dataSource)) === 'pending') {
    throw new StartError([
      `The tables of the ${name} service are not migrated. Run: node dist/apps/${name}/migrate.js`,
    ]);
  }
}
