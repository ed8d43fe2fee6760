import { ByteCursor } from './byte-cursor.js';
import { type PgoutputMessage, type RelationColumn } from './pgoutput-message.js';
import { Tuple } from './tuple.js';

type Reader = (cursor: ByteCursor) => PgoutputMessage;

const NEW_ROW = 'N'.charCodeAt(0);
const KEY_ROW = 'K'.charCodeAt(0);
const OLD_ROW = 'O'.charCodeAt(0);

const READERS: ReadonlyMap<number, Reader> = new Map(
  Object.entries({
    B: readBegin,
    C: readCommit,
    O: readOrigin,
    R: readRelation,
    Y: readType,
    I: readInsert,
    U: readUpdate,
    D: readDelete,
    T: readTruncate,
    M: readLogicalMessage,
  } satisfies Record<string, Reader>).map(([letter, reader]) => [letter.charCodeAt(0), reader]),
);

/**
 * Reads one message of pgoutput, protocol version 1 without streaming, as PostgreSQL 15 to 18 send it. The message lies
 * in `buffer` from `from` to its end; rows and contents are views on it. Throws `CaptureError` `stream_malformed` for
 * everything else, with the type and the length of the message, never its contents.
 *
 * Format: PostgreSQL's documentation, chapter "Logical Replication Message Formats".
 */
export function readPgoutput(buffer: Buffer, from = 0): PgoutputMessage {
  const cursor = new ByteCursor(buffer, from);
  const reader = READERS.get(cursor.uint8());
  if (reader === undefined) {
    throw cursor.wrong('is of no known type');
  }
  const message = reader(cursor);
  cursor.end();
  return message;
}

function readBegin(cursor: ByteCursor): PgoutputMessage {
  return { kind: 'begin', commitLsn: cursor.lsn(), committedAtMs: cursor.timeMs(), xid: cursor.uint32() };
}

function readCommit(cursor: ByteCursor): PgoutputMessage {
  if (cursor.uint8() !== 0) {
    throw cursor.wrong('has flags that protocol version 1 does not know');
  }
  return { kind: 'commit', commitLsn: cursor.lsn(), endLsn: cursor.lsn(), committedAtMs: cursor.timeMs() };
}

function readOrigin(cursor: ByteCursor): PgoutputMessage {
  return { kind: 'origin', commitLsn: cursor.lsn(), name: cursor.cstring() };
}

function readRelation(cursor: ByteCursor): PgoutputMessage {
  const relationId = cursor.uint32();
  const schema = cursor.cstring();
  const name = cursor.cstring();
  const replicaIdentity = String.fromCharCode(cursor.uint8());
  const count = cursor.uint16();
  const columns: RelationColumn[] = [];
  for (let column = 0; column < count; column += 1) {
    columns.push({
      isKey: (cursor.uint8() & 1) === 1,
      name: cursor.cstring(),
      typeId: cursor.uint32(),
      typeModifier: cursor.uint32() | 0,
    });
  }
  return { kind: 'relation', relationId, schema, name, replicaIdentity, columns };
}

function readType(cursor: ByteCursor): PgoutputMessage {
  return { kind: 'type', typeId: cursor.uint32(), schema: cursor.cstring(), name: cursor.cstring() };
}

function readInsert(cursor: ByteCursor): PgoutputMessage {
  const relationId = cursor.uint32();
  if (cursor.uint8() !== NEW_ROW) {
    throw cursor.wrong('lacks its row');
  }
  return { kind: 'insert', relationId, row: Tuple.read(cursor) };
}

function readUpdate(cursor: ByteCursor): PgoutputMessage {
  const relationId = cursor.uint32();
  let marker = cursor.uint8();
  let key: Tuple | null = null;
  let old: Tuple | null = null;
  if (marker === KEY_ROW || marker === OLD_ROW) {
    const before = Tuple.read(cursor);
    key = marker === KEY_ROW ? before : null;
    old = marker === OLD_ROW ? before : null;
    marker = cursor.uint8();
  }
  if (marker !== NEW_ROW) {
    throw cursor.wrong('lacks its row');
  }
  return { kind: 'update', relationId, key, old, row: Tuple.read(cursor) };
}

function readDelete(cursor: ByteCursor): PgoutputMessage {
  const relationId = cursor.uint32();
  const marker = cursor.uint8();
  if (marker !== KEY_ROW && marker !== OLD_ROW) {
    throw cursor.wrong('lacks its row');
  }
  const row = Tuple.read(cursor);
  return { kind: 'delete', relationId, key: marker === KEY_ROW ? row : null, old: marker === OLD_ROW ? row : null };
}

function readTruncate(cursor: ByteCursor): PgoutputMessage {
  const count = cursor.uint32();
  const options = cursor.uint8();
  const start = cursor.step(count * 4);
  const relationIds = Array.from({ length: count }, (_, index) => cursor.buffer.readUInt32BE(start + index * 4));
  return { kind: 'truncate', relationIds, isCascade: (options & 1) === 1, isRestartIdentity: (options & 2) === 2 };
}

function readLogicalMessage(cursor: ByteCursor): PgoutputMessage {
  const flags = cursor.uint8();
  const lsn = cursor.lsn();
  const prefix = cursor.cstring();
  const length = cursor.uint32();
  const start = cursor.step(length);
  const content = cursor.buffer.subarray(start, start + length);
  return { kind: 'message', isTransactional: (flags & 1) === 1, lsn, prefix, content };
}
