import { SCHEMA_VERSION } from './migrations.js';
import { SchemaError } from './schema.errors.js';

/**
 * Runs one statement without parameters; `pg` fits as it is, TypeORM as `async (sql) => ({ rows: await query(sql) })`.
 */
export type SchemaQuery = (sql: string) => Promise<{ readonly rows: readonly unknown[] }>;

/** The catalog is readable by everybody, so a missing schema is told apart from a missing grant. */
const IS_PRESENT = `
select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'millrace' and c.relname = 'migration'`;

const VERSION = `select coalesce(max(version), 0)::integer as version from millrace.migration`;

/** The version of schema `millrace` in this database; 0 when there is none. Errors of the query pass through. */
export async function readSchemaVersion(query: SchemaQuery): Promise<number> {
  const present = await query(IS_PRESENT);
  if (present.rows.length === 0) {
    return 0;
  }
  const { rows } = await query(VERSION);
  return versionOf(rows[0]);
}

/**
 * Resolves when schema `millrace` has exactly the version that this release needs, and changes nothing. Throws
 * `SchemaError` with code `schema_missing`, `schema_too_old` or `schema_too_new` and a sentence that says what to run.
 * Errors of the query itself (connection, grants) pass through unchanged.
 */
export async function requireSchema(query: SchemaQuery): Promise<void> {
  refuseOther(await readSchemaVersion(query), SCHEMA_VERSION);
}

/** Throws unless a database of version `found` serves a program that needs version `needed`. */
export function refuseOther(found: number, needed: number): void {
  if (found === 0) {
    throw new SchemaError(
      'schema_missing',
      'This database has no schema millrace. Run: millrace migrate --database-url <URL of this database>',
    );
  }
  if (found < needed) {
    throw new SchemaError(
      'schema_too_old',
      `Schema millrace has version ${found}, this release needs ${needed}. ` +
        'Run: millrace migrate --database-url <URL of this database>',
    );
  }
  refuseNewer(found, needed);
}

/** Throws `schema_too_new` when the database is ahead of this release. */
export function refuseNewer(found: number, known: number): void {
  if (found > known) {
    throw new SchemaError(
      'schema_too_new',
      `Schema millrace has version ${found}, this release knows ${known}. ` +
        'Upgrade this program to the release that migrated the database; the schema is never taken back.',
    );
  }
}

function versionOf(row: unknown): number {
  if (typeof row === 'object' && row !== null && 'version' in row && typeof row.version === 'number') {
    return row.version;
  }
  throw new SchemaError('internal', 'The schema version query returned a row without a numeric version.');
}
