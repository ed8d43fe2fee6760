import { requireSchema } from '@millrace/schema';
import pg from 'pg';
import { InboxError } from './inbox.errors.js';

/** Where an operator's action is done: an URL (a connection is opened and closed) or an open `pg` client of the caller's. */
export type AdminTarget = { readonly databaseUrl: string } | { readonly client: pg.ClientBase };

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** How long to wait for an arrival or a release that is at work on the same key. */
const LOCK_TIMEOUT_MS = 10_000;

/** Runs `work` on a connection to a database that has this release's schema; errors are `InboxError` or `SchemaError`. */
export async function withAdminClient<Result>(
  target: AdminTarget,
  work: (client: pg.ClientBase) => Promise<Result>,
): Promise<Result> {
  if ('client' in target) {
    return await checked(target.client, work);
  }
  const client = clientOf(target.databaseUrl);
  try {
    await client.connect().catch((error: unknown) => {
      throw connectError(error);
    });
    return await checked(client, work);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Runs `work` in a transaction; a dry run rolls it back. */
export async function inAdminTransaction<Result>(
  client: pg.ClientBase,
  isDryRun: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('begin isolation level read committed');
  try {
    await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const result = await work();
    await client.query(isDryRun ? 'rollback' : 'commit');
    return result;
  } catch (error) {
    // the first error is the one to tell; a connection that is gone has rolled back by itself
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function checked<Result>(
  client: pg.ClientBase,
  work: (client: pg.ClientBase) => Promise<Result>,
): Promise<Result> {
  try {
    await requireSchema((sql) => client.query(sql));
    return await work(client);
  } catch (error) {
    throw statementError(error);
  }
}

function clientOf(databaseUrl: string): pg.Client {
  const refusal = new InboxError(
    'configuration_invalid',
    'The database URL must have the form postgres://user:password@host:port/database, with special characters in user ' +
      'and password percent-encoded.',
  );
  if (!/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw refusal;
  }
  try {
    const client = new pg.Client({
      connectionString: databaseUrl,
      application_name: 'millrace inbox',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
    });
    // a connection that breaks between two queries is told by the next query
    client.on('error', () => undefined);
    return client;
  } catch {
    // the cause is left out: a URL parser's message quotes the URL, password included
    throw refusal;
  }
}

const SENTENCES: Readonly<Record<string, string>> = {
  '28000': 'The server refuses the user of the database URL.',
  '28P01': 'The server refuses the user or password of the database URL.',
  '3D000': 'The database of the URL does not exist.',
};

function connectError(cause: unknown): InboxError {
  const sentence =
    SENTENCES[codeOf(cause)] ?? 'The database cannot be reached. Check host, port and network in the database URL.';
  return new InboxError('unavailable', sentence, { cause });
}

function statementError(error: unknown): unknown {
  switch (codeOf(error)) {
    case '42501':
      return new InboxError(
        'not_authorised',
        "The database user may not use the inbox's tables. Run: grant millrace_consumer to <user>",
        { cause: error },
      );
    case '55P03':
      return new InboxError(
        'busy',
        'A handler is at work on one of these keys. Nothing was changed; run this again a little later.',
        { cause: error },
      );
    default:
      return error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
