import { StartError } from '@millrace/http';
import { type DataSource } from 'typeorm';

import { type DatabaseConfig } from '../order.config.js';
import { createDataSource, REQUEST_LIMITS } from './data-source.js';
import { toStartError } from './database.errors.js';
import { readMigrationState, requireOutbox } from './migration-state.js';

/**
 * Connects and makes sure that the database fits this release; changes nothing. Throws `StartError` with a sentence
 * that says what to run: no server, no such database, schema `millrace` or the business tables not migrated.
 */
export async function openDatabase(config: DatabaseConfig): Promise<DataSource> {
  const dataSource = createDataSource(config, REQUEST_LIMITS);
  try {
    await dataSource.initialize();
    await requireOutbox(dataSource);
    await requireTables(dataSource);
    return dataSource;
  } catch (error) {
    if (dataSource.isInitialized) {
      await dataSource.destroy();
    }
    throw toStartError(error);
  }
}

async function requireTables(dataSource: DataSource): Promise<void> {
  if ((await readMigrationState(dataSource)) === 'pending') {
    throw new StartError(['The tables of the order service are not migrated. Run: node dist/apps/order/migrate.js']);
  }
}
