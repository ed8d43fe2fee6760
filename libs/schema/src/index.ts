export type { Migration } from './migration.js';
export { MIGRATIONS, SCHEMA_VERSION } from './migrations.js';
