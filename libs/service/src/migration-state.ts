import { requireSchema } from '@millrace/schema';
import { type DataSource } from 'typeorm';

import { MIGRATIONS_TABLE } from './data-source.js';

/** How the database stands to this release. */
export type MigrationState = 'current' | 'pending';

/** Whether all business migrations of this release are applied. Reads only; TypeORM's own check makes a table. */
export async function readMigrationState(dataSource: DataSource): Promise<MigrationState> {
  const present: unknown[] = await dataSource.query('select 1 where to_regclass($1) is not null', [MIGRATIONS_TABLE]);
  if (present.length === 0) {
    return 'pending';
  }
  const applied: { name: string }[] = await dataSource.query(`select name from ${MIGRATIONS_TABLE}`);
  const names = new Set(applied.map(({ name }) => name));
  return dataSource.migrations.every(({ name }) => name !== undefined && names.has(name)) ? 'current' : 'pending';
}

/** Resolves when schema `millrace` has the version that this release publishes to; throws `SchemaError` otherwise. */
export async function requireOutbox(dataSource: DataSource): Promise<void> {
  await requireSchema(async (sql) => ({ rows: await dataSource.query(sql) }));
}
