import { setTimeout as sleep } from 'node:timers/promises';
import { type AdoptedTable } from './adopted-table.js';
import { holdersSql } from './adopted-table.sql.js';
import { inTransaction, type MigrationClient } from './migration-connection.js';
import { field, textField } from './row-field.js';
import { SchemaError } from './schema.errors.js';

/** A lock on a table that producers write to, taken without holding them up. */
export interface TableLock {
  readonly table: AdoptedTable;
  /** `share row exclusive` waits for writers, `access exclusive` for readers, too. */
  readonly mode: 'share row exclusive' | 'access exclusive';
  /** How long to wait in the queue at a time: for so long who comes later waits, too. */
  readonly lockWaitMs: number;
  /** When to give up. */
  readonly waitMs: number;
  /** What to do right before each try, so that little is left for `work`. */
  readonly prepare?: () => Promise<void>;
  /** How things stand when the lock did not come, for `table_busy`; default: nothing was changed. */
  readonly standing?: string;
}

/** Between two tries producers have four times as long as they were kept waiting. */
const PAUSE_TIMES = 4;
/** A run that is frozen or cut off while it holds the lock is ended by the server after this time. */
const IDLE_TIMEOUT_MS = 5_000;

/**
 * Runs `work` in a transaction that holds the lock. A lock that has to wait makes everybody wait who comes after it, so
 * it is asked for only when nobody has held the table for longer than `lockWaitMs`, and given up after `lockWaitMs`: an
 * open transaction delays us, never the producers. Throws `table_busy`, which names who holds the table.
 */
export async function underTableLock<T>(client: MigrationClient, lock: TableLock, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + lock.waitMs;
  let before = await readHolders(client, lock);
  for (;;) {
    await sleep(before.length === 0 ? 0 : lock.lockWaitMs);
    const now = await readHolders(client, lock);
    const lasting = now.filter(({ key }) => before.some((holder) => holder.key === key));
    if (lasting.length === 0) {
      await lock.prepare?.();
      const result = await tryLocked(client, lock, work);
      if (result !== null) {
        return result.value;
      }
      await sleep(PAUSE_TIMES * lock.lockWaitMs);
    }
    if (performance.now() > deadline) {
      throw busy(lock, lasting);
    }
    before = now;
  }
}

/** Null when the lock did not come in time; other errors pass. */
async function tryLocked<T>(
  client: MigrationClient,
  { table, mode, lockWaitMs }: TableLock,
  work: () => Promise<T>,
): Promise<{ readonly value: T } | null> {
  try {
    return await inTransaction(client, lockWaitMs, async () => {
      await client.query(`set local idle_in_transaction_session_timeout = ${IDLE_TIMEOUT_MS}`);
      await client.query(`lock table ${table.name} in ${mode} mode`);
      return { value: await work() };
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '55P03') {
      return null;
    }
    throw error;
  }
}

interface Holder {
  readonly key: string;
  readonly words: string;
}

async function readHolders(client: MigrationClient, { table, mode }: TableLock): Promise<readonly Holder[]> {
  const { rows } = await client.query(holdersSql(table.oid, mode === 'access exclusive'));
  return rows.map((row) => ({ key: textField(row, 'holder'), words: inWords(row) }));
}

/** Program and age are null for who may not see them. */
function inWords(row: unknown): string {
  const pid = field(row, 'pid');
  if (pid === 0) {
    return 'a prepared transaction (pg_prepared_xacts)';
  }
  const program = field(row, 'program');
  const seconds = field(row, 'seconds');
  const details = [
    ...(typeof program === 'string' ? [program] : []),
    ...(typeof seconds === 'string' ? [`open for ${seconds} s`] : []),
  ];
  return `process ${String(pid)}${details.length === 0 ? '' : ` (${details.join(', ')})`}`;
}

function busy(
  { table, lockWaitMs, waitMs, standing = 'Nothing was changed' }: TableLock,
  lasting: readonly Holder[],
): SchemaError {
  const seconds = waitMs / 1_000;
  return new SchemaError(
    'table_busy',
    lasting.length === 0
      ? `${table.name} was not free within ${lockWaitMs} ms at any try in ${seconds} s. ${standing}. Run this ` +
          'again at a quieter time, or let producers wait longer with --lock-wait.'
      : `${table.name} is held by ${lasting.map(({ words }) => words).join(', ')}. ${standing}, and no producer ` +
          `waited for it. End that transaction, or let this wait longer than ${seconds} s with --wait; where all ` +
          `transactions last longer than ${lockWaitMs} ms, let producers wait longer with --lock-wait.`,
  );
}
