import { type AdoptedTable } from './adopted-table.js';
import { type EventMapping } from './adopted-event.sql.js';
import { functionSql, triggerBody } from './adopted-trigger.sql.js';
import { copyChunkSql, drainSql, readAdoptionSql, setStateSql, waitingSql } from './adopt.sql.js';
import { inTransaction, type MigrationClient } from './migration-connection.js';
import { field, numberField, textField } from './row-field.js';
import { SchemaError } from './schema.errors.js';
import { type TableLock, underTableLock } from './table-lock.js';

/** How far the adoption of a table has come. */
export interface AdoptionState {
  readonly state: 'copying' | 'draining' | 'adopted';
  /** Null: the older rows were skipped. */
  readonly orderBy: string | null;
  readonly lastValue: string | null;
  readonly lastId: string | null;
  readonly copied: number;
}

/** A copy of older rows that has been begun. */
export interface CopyTask {
  readonly table: AdoptedTable;
  readonly mapping: EventMapping;
  readonly functionName: string;
  readonly chunkRows: number;
  readonly lockWaitMs: number;
  readonly waitMs: number;
  readonly onCopied: (rows: number) => void;
}

/** Producers that write faster than the waiting events are moved are a reason to give up. */
const SWITCH_TRIES = 100;
/** Runs wait for each other under the migrations' lock, which producers never take. */
const LOCK_TIMEOUT_MS = 60_000;

/** Null: the table is not adopted. Locks the row until the transaction ends. */
export async function readAdoption(client: MigrationClient, table: AdoptedTable): Promise<AdoptionState | null> {
  const { rows } = await client.query(readAdoptionSql(table.oid));
  const [row] = rows;
  if (row === undefined) {
    return null;
  }
  return {
    state: stateOf(textField(row, 'state')),
    orderBy: textOrNull(row, 'order_by'),
    lastValue: textOrNull(row, 'last_value'),
    lastId: textOrNull(row, 'last_id'),
    copied: numberField(row, 'copied'),
  };
}

/**
 * Goes on with a copy to its end, wherever an earlier run left it: the older rows chunk by chunk, then the events that
 * waited, then, under a short lock, the last of them together with the trigger's change to the outbox. Each chunk is
 * one transaction that also moves the cursor, so each row is copied once. Any number of runs may do it at the same
 * time.
 */
export async function finishCopy(client: MigrationClient, task: CopyTask): Promise<void> {
  const adoption = await readAdoption(client, task.table);
  if (adoption === null || adoption.state === 'adopted') {
    return; // without the lock, for which a run that has nothing to do would wait as long as any other
  }
  let hasMore = true;
  while (hasMore) {
    hasMore = await copyChunk(client, task);
  }
  for (let attempt = 1; attempt <= SWITCH_TRIES; attempt++) {
    if (await switchOver(client, task)) {
      return;
    }
  }
  throw new SchemaError(
    'table_busy',
    `Producers write to ${task.table.name} faster than the events that waited are moved. Nothing is lost: run this ` +
      'again at a quieter time.',
  );
}

/** False: there are no more. */
async function copyChunk(client: MigrationClient, { table, mapping, chunkRows, onCopied }: CopyTask): Promise<boolean> {
  const copied = await inTransaction(client, LOCK_TIMEOUT_MS, async () => {
    // the place that is kept as text must be read by the next run as it was written by this one
    await client.query("set local row_security = off; set local datestyle = 'ISO'; set local extra_float_digits = 1");
    const adoption = await readAdoption(client, table);
    if (adoption?.state !== 'copying' || adoption.orderBy === null) {
      return null;
    }
    const cursor = { ...adoption, orderBy: adoption.orderBy };
    const { rows } = await client.query(copyChunkSql(table, mapping, cursor, chunkRows));
    if (rows.length === 0) {
      await client.query(setStateSql(table.oid, 'draining'));
      return null;
    }
    return numberField(rows[0], 'copied');
  });
  if (copied !== null) {
    onCopied(copied);
  }
  return copied !== null;
}

/** Until what waits is less than a chunk. */
async function drain(client: MigrationClient, task: CopyTask): Promise<void> {
  let moved = task.chunkRows;
  while (moved === task.chunkRows) {
    moved = await drainChunk(client, task);
  }
}

/** How many were moved. Of a key, an event that is still invisible is younger than all visible ones. */
async function drainChunk(client: MigrationClient, { table, chunkRows }: CopyTask): Promise<number> {
  return await inTransaction(client, LOCK_TIMEOUT_MS, async () => {
    const adoption = await readAdoption(client, table);
    if (adoption?.state !== 'draining') {
      return 0;
    }
    return await moveWaiting(client, table, chunkRows);
  });
}

async function moveWaiting(client: MigrationClient, table: AdoptedTable, limit: number): Promise<number> {
  const { rows } = await client.query(drainSql(table.oid, limit));
  return numberField(rows[0], 'moved');
}

/** Without writers nothing waits that cannot be seen. False: too much waits to be moved under the lock. */
async function switchOver(client: MigrationClient, task: CopyTask): Promise<boolean> {
  const { table, mapping, functionName, chunkRows, lockWaitMs, waitMs } = task;
  const lock: TableLock = {
    table,
    mode: 'share row exclusive',
    lockWaitMs,
    waitMs,
    prepare: async () => {
      await drain(client, task);
    },
    standing: 'The older rows are copied, new events wait until a run comes to its end',
  };
  return await underTableLock(client, lock, async () => {
    const adoption = await readAdoption(client, table);
    if (adoption?.state !== 'draining') {
      return true;
    }
    const { rows } = await client.query(waitingSql(table.oid, chunkRows));
    if (numberField(rows[0], 'waiting') > chunkRows) {
      return false;
    }
    await moveWaiting(client, table, chunkRows);
    await client.query(functionSql(functionName, triggerBody({ ...table, mapping }, 'outbox')));
    await client.query(setStateSql(table.oid, 'adopted'));
    return true;
  });
}

function stateOf(text: string): AdoptionState['state'] {
  if (text === 'copying' || text === 'draining' || text === 'adopted') {
    return text;
  }
  throw new SchemaError('internal', `An adoption has the unknown state ${text}.`);
}

function textOrNull(row: unknown, name: string): string | null {
  const value = field(row, name);
  return typeof value === 'string' ? value : null;
}
