export { adoptTable, planAdoption, releaseTable } from './adopt.js';
export type {
  AdoptColumns,
  AdoptHeader,
  AdoptOptions,
  AdoptPlan,
  AdoptRequest,
  AdoptResult,
  ExistingRows,
  ReleaseRequest,
  ReleaseResult,
} from './adoption.js';
export { migrate, printMigration } from './migrate.js';
export type { MigrateOptions, MigrateResult } from './migrate.js';
export type { MigrationClient, MigrationTarget } from './migration-connection.js';
export type { Migration } from './migration.js';
export { MIGRATIONS, SCHEMA_VERSION } from './migrations.js';
export { requireSchema } from './require-schema.js';
export type { SchemaQuery } from './require-schema.js';
export { SchemaError } from './schema.errors.js';
export type { SchemaErrorCode } from './schema.errors.js';
