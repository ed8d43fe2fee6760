import pg from 'pg';
import { MIGRATION_LOCK } from './history.sql.js';
import { SchemaError } from './schema.errors.js';
import { toConnectError, toSchemaError } from './sql-error.js';

/** What `migrate` needs of a connection; a `pg` client fits. It must be in no transaction. */
export interface MigrationClient {
  query(sql: string): Promise<{ readonly rows: readonly unknown[] }>;
}

/** Where to migrate: an URL (a connection is opened and closed) or an open connection of the caller's. */
export type MigrationTarget = { readonly databaseUrl: string } | { readonly client: MigrationClient };

const OLDEST_SERVER = 150_000;

/** Runs `run` on the target's connection; every error leaves as a `SchemaError`. */
export async function withClient<T>(target: MigrationTarget, run: (client: MigrationClient) => Promise<T>): Promise<T> {
  if ('client' in target) {
    return await run(target.client).catch((error: unknown) => {
      throw toSchemaError(error);
    });
  }
  const client = connectionTo(target.databaseUrl);
  try {
    await client.connect().catch((error: unknown) => {
      throw toConnectError(error);
    });
    return await run(client);
  } catch (error) {
    throw toSchemaError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function connectionTo(databaseUrl: string): pg.Client {
  if (!/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw new SchemaError(
      'database_url_invalid',
      'The database URL must have the form postgres://user:password@host:port/database.',
    );
  }
  try {
    const client = new pg.Client({
      connectionString: databaseUrl,
      application_name: 'millrace migrate',
      connectionTimeoutMillis: 10_000,
    });
    // a connection that breaks between two queries is told by the next query
    client.on('error', () => undefined);
    return client;
  } catch {
    // the cause is left out: a URL parser's message quotes the URL, password included
    throw new SchemaError(
      'database_url_invalid',
      'The database URL cannot be parsed. Percent-encode special characters in user and password ' +
        '(for example @ as %40); the form is postgres://user:password@host:port/database.',
    );
  }
}

/** Throws `server_unsupported` below PostgreSQL 15. */
export async function requireServer(client: MigrationClient): Promise<void> {
  const { rows } = await client.query(
    `select 1 where current_setting('server_version_num')::integer >= ${OLDEST_SERVER}`,
  );
  if (rows.length === 0) {
    throw new SchemaError('server_unsupported', 'Millrace needs PostgreSQL 15 or newer. Upgrade the server first.');
  }
}

/** One transaction under the migrations' advisory lock and a `lock_timeout`; rolled back on any error. */
export async function inTransaction<T>(
  client: MigrationClient,
  lockTimeoutMs: number,
  run: () => Promise<T>,
): Promise<T> {
  await client.query('begin');
  try {
    await client.query(`set local lock_timeout = ${lockTimeoutMs}`);
    await client.query(MIGRATION_LOCK);
    const result = await run();
    await client.query('commit');
    return result;
  } catch (error) {
    // the first error is the one to tell; a connection that is gone has rolled back by itself
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}
