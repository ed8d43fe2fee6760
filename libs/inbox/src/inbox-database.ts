import { requireSchema } from '@millrace/schema';
import { type DataSource } from 'typeorm';
import { MISSING_RIGHTS, SESSION_LIMITS } from './inbox-database.sql.js';
import { InboxError } from './inbox.errors.js';
import { runStatement } from './inbox-transaction.js';
import { rememberStatementLimit } from './pooled-client.js';

const LIMIT_MAX_MS = 60_000;

/**
 * Resolves when the database is fit for an inbox, and changes nothing: the schema's version is this release's, the user
 * may use the tables, and the connections have the limits without which a frozen member would hold up its twin for ever.
 * Throws `SchemaError`, or `InboxError` `not_authorised`, `limits_missing` or `unavailable`.
 */
export async function requireInboxDatabase(dataSource: DataSource): Promise<void> {
  await requireSchema(async (text) => await runStatement(dataSource, { text })).catch((error: unknown) => {
    throw isDenied(error) ? notAuthorised(error) : error;
  });
  const missing = await runStatement<{ name: string }>(dataSource, { text: MISSING_RIGHTS });
  if (missing.rows.length > 0) {
    throw notAuthorised();
  }
  const limits = await runStatement<{ name: string; limit_ms: number }>(dataSource, { text: SESSION_LIMITS });
  const unfit = limits.rows.filter(({ limit_ms: limitMs }) => limitMs <= 0 || limitMs > LIMIT_MAX_MS);
  if (unfit.length > 0) {
    throw new InboxError('limits_missing', limitsSentence(unfit.map(({ name }) => name)));
  }
  const statement = limits.rows.find(({ name }) => name === 'statement_timeout');
  rememberStatementLimit(dataSource, statement?.limit_ms ?? LIMIT_MAX_MS);
}

function limitsSentence(names: readonly string[]): string {
  return (
    `The database connections of the inbox have no limit, or one above ${LIMIT_MAX_MS / 1_000} s, for ${names.join(', ')}: ` +
    'a process that freezes would hold up the others. Set them on the DataSource, for example ' +
    'extra: { statement_timeout: 5000, lock_timeout: 2000, idle_in_transaction_session_timeout: 10000 }, ' +
    'or behind a transaction pooler with alter role ... set.'
  );
}

function notAuthorised(cause?: unknown): InboxError {
  return new InboxError(
    'not_authorised',
    "The database user may not use the inbox's tables. Run: grant millrace_consumer to <user>",
    { cause },
  );
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '42501';
}
