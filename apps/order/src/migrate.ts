import 'reflect-metadata';

import { runOnce } from '@millrace/http';

import { migrateTables } from './database/migrate-tables.js';
import { readMigrationConfig } from './migrate.config.js';

await runOnce(async () => {
  const applied = await migrateTables(readMigrationConfig());
  return applied.length === 0
    ? 'The tables of the order service are up to date'
    : `Applied to the tables of the order service: ${applied.join(', ')}`;
});
