import { type EventId, type Position, toPosition } from '@millrace/events';
import { type EventRow } from './event-row.js';
import { INSERT_EVENT, INSERT_EVENTS, LOCK_KEYS } from './outbox-insert.sql.js';
import { OutboxError, type OutboxErrorCode } from './outbox.errors.js';
import { clientOf, type PgClient, refuseAutocommit, type Transaction, TRANSACTION_FAILED } from './transaction.js';

/** An event that is written in the caller's transaction. It leaves when that transaction commits. */
export interface PublishedEvent {
  readonly id: EventId;
  readonly position: Position;
}

const CHUNK_ROWS = 1_000;
const CHUNK_BYTES = 16 * 1_024 * 1_024;

/**
 * Writes rows into the outbox in the caller's transaction, in the order given and with rising positions; one statement
 * up to 1,000 rows or 16 MiB. Throws `OutboxError`, or the database's own error where it concerns the transaction.
 */
export async function writeRows(
  transaction: Transaction,
  rows: readonly EventRow[],
): Promise<readonly PublishedEvent[]> {
  const client = await clientOf(transaction);
  const chunks = chunksOf(rows);
  const locked = rows.filter(({ isSerialized }) => isSerialized);
  if (chunks.length > 1 && locked.length > 0) {
    await run(client, LOCK_KEYS, [locked.map((row) => row.aggregateType), locked.map((row) => row.aggregateId)]);
  }
  const published: PublishedEvent[] = [];
  for (const chunk of chunks) {
    published.push(...(await insertChunk(client, chunk)));
  }
  return published;
}

async function insertChunk(client: PgClient, rows: readonly EventRow[]): Promise<readonly PublishedEvent[]> {
  const [first] = rows;
  const returned =
    rows.length === 1 && first !== undefined
      ? await run(client, INSERT_EVENT, columnsOf(first))
      : await run(client, INSERT_EVENTS, transpose(rows.map(columnsOf)));
  const positions = new Map(returned.map((row) => [textOf(row, 'id'), toPosition(textOf(row, 'position'))]));
  return rows.map(({ id }) => ({ id, position: positionOf(positions, id) }));
}

/** In the order of the statements' parameters. */
function columnsOf(row: EventRow): unknown[] {
  return [
    row.id,
    row.aggregateType,
    row.aggregateId,
    row.type,
    row.aggregateVersion,
    row.schemaVersion,
    row.payload,
    row.headers,
    row.isSerialized,
  ];
}

function transpose(rows: readonly (readonly unknown[])[]): unknown[][] {
  return (rows[0] ?? []).map((_, column) => rows.map((row) => row[column]));
}

function chunksOf(rows: readonly EventRow[]): readonly (readonly EventRow[])[] {
  const chunks: EventRow[][] = [];
  let chunk: EventRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (chunk.length === CHUNK_ROWS || (chunk.length > 0 && bytes + row.bytes > CHUNK_BYTES)) {
      chunks.push(chunk);
      chunk = [];
      bytes = 0;
    }
    chunk.push(row);
    bytes += row.bytes;
  }
  if (chunk.length > 0) {
    chunks.push(chunk);
  }
  return chunks;
}

async function run(client: PgClient, text: string, values: unknown[]): Promise<readonly unknown[]> {
  try {
    const { rows } = await client.query({ text, values });
    refuseAutocommit(client);
    return rows;
  } catch (error) {
    throw translate(error);
  }
}

/** What the program or its set-up did wrong; everything else is the transaction's own affair and passes through. */
const TRANSLATIONS: Readonly<Record<string, readonly [OutboxErrorCode, string]>> = {
  // the client rejects a failed statement before it knows the transaction's new state
  '25P02': ['transaction_failed', TRANSACTION_FAILED],
  '42501': [
    'not_authorised',
    'The database user may not insert into millrace.outbox. Run: grant millrace_producer to <user>',
  ],
  '3F000': ['schema_missing', 'This database has no schema millrace. Run: millrace migrate --database-url <URL>'],
  '42P01': ['schema_missing', 'This database has no millrace.outbox. Run: millrace migrate --database-url <URL>'],
};

function translate(error: unknown): unknown {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : null;
  const known = typeof code === 'string' ? TRANSLATIONS[code] : undefined;
  return known === undefined ? error : new OutboxError(known[0], known[1], { cause: error });
}

function textOf(row: unknown, name: string): string {
  const value: unknown = typeof row === 'object' && row !== null ? Reflect.get(row, name) : null;
  if (typeof value !== 'string') {
    throw new OutboxError(
      'client_unsupported',
      `The pg client returned no text for ${name}: is rowMode or a type parser set?`,
    );
  }
  return value;
}

function positionOf(positions: ReadonlyMap<string, Position>, id: EventId): Position {
  const position = positions.get(id);
  if (position === undefined) {
    throw new OutboxError('client_unsupported', 'The insert returned no position for an event.');
  }
  return position;
}
