import { StartError } from '@millrace/http';
import { type DataSource } from 'typeorm';

import { MIGRATION_LIMITS } from './connection-limits.js';
import { createDataSource } from './data-source.js';
import { sqlStateOf, toStartError } from './database.errors.js';
import { type DatabaseConfig } from './service.config.js';
import { type ServiceDefinition } from './service-definition.js';

/** Any number, the same in every release: two migrations at once wait for each other. */
const MIGRATION_LOCK = 5_301_001;

/**
 * Applies the business migrations that are missing, each in a transaction, and returns their names; can be repeated.
 * Throws `StartError` when the database cannot be reached or refuses a migration, which then has changed nothing.
 */
export async function migrateTables(service: ServiceDefinition, config: DatabaseConfig): Promise<string[]> {
  const dataSource = createDataSource(service, config, MIGRATION_LIMITS);
  await dataSource.initialize().catch((cause: unknown) => {
    throw toStartError(cause);
  });
  try {
    return await migrateUnderLock(dataSource);
  } catch (cause) {
    throw new StartError(
      [`A migration of the ${service.name} service failed (${sqlStateOf(cause) ?? String(cause)})`],
      {
        cause,
      },
    );
  } finally {
    await dataSource.destroy();
  }
}

async function migrateUnderLock(dataSource: DataSource): Promise<string[]> {
  const guard = dataSource.createQueryRunner();
  try {
    await guard.query(`set lock_timeout = '60s'`);
    await guard.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const applied = await dataSource.runMigrations({ transaction: 'each' });
    return applied.map(({ name }) => name);
  } finally {
    await guard.release();
  }
}
