import { type Tuple } from './tuple.js';

/** A transaction begins; all its changes follow before the next one. */
export interface BeginMessage {
  readonly kind: 'begin';
  /** Where its commit record begins. */
  readonly commitLsn: bigint;
  readonly committedAtMs: number;
  readonly xid: number;
}

/** The transaction is complete. */
export interface CommitMessage {
  readonly kind: 'commit';
  readonly commitLsn: bigint;
  /** Where its commit record ends: what is confirmed for it. */
  readonly endLsn: bigint;
  readonly committedAtMs: number;
}

/** The transaction came to this server from another one. */
export interface OriginMessage {
  readonly kind: 'origin';
  readonly commitLsn: bigint;
  readonly name: string;
}

/** One column of a relation. */
export interface RelationColumn {
  readonly name: string;
  readonly isKey: boolean;
  readonly typeId: number;
  readonly typeModifier: number;
}

/** What a table looks like; comes before its first row in a connection and again after it has changed. */
export interface RelationMessage {
  readonly kind: 'relation';
  readonly relationId: number;
  /** `pg_catalog` comes as an empty text. */
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

/** A type that is not built in. */
export interface TypeMessage {
  readonly kind: 'type';
  readonly typeId: number;
  readonly schema: string;
  readonly name: string;
}

/** A new row. */
export interface InsertMessage {
  readonly kind: 'insert';
  readonly relationId: number;
  readonly row: Tuple;
}

/** A changed row. `key`: the old replica identity when it changed; `old`: the whole old row. */
export interface UpdateMessage {
  readonly kind: 'update';
  readonly relationId: number;
  readonly key: Tuple | null;
  readonly old: Tuple | null;
  readonly row: Tuple;
}

/** A removed row, by its replica identity or as a whole. */
export interface DeleteMessage {
  readonly kind: 'delete';
  readonly relationId: number;
  readonly key: Tuple | null;
  readonly old: Tuple | null;
}

/** Emptied tables. */
export interface TruncateMessage {
  readonly kind: 'truncate';
  readonly relationIds: readonly number[];
  readonly isCascade: boolean;
  readonly isRestartIdentity: boolean;
}

/** What `pg_logical_emit_message` wrote. */
export interface LogicalMessage {
  readonly kind: 'message';
  /** Otherwise it stands between transactions and was sent whatever became of its own. */
  readonly isTransactional: boolean;
  readonly lsn: bigint;
  readonly prefix: string;
  /** A view on the message's memory. */
  readonly content: Buffer;
}

/** All that protocol version 1 of pgoutput can say. */
export type PgoutputMessage =
  | BeginMessage
  | CommitMessage
  | OriginMessage
  | RelationMessage
  | TypeMessage
  | InsertMessage
  | UpdateMessage
  | DeleteMessage
  | TruncateMessage
  | LogicalMessage;
