import { CaptureError } from '../capture.errors.js';
import { parseLsn } from '../lsn.js';
import { type TextColumns } from '../pg-connection.js';

/** A transaction that keeps a slot from being made: it was open when the making began. */
export interface SlotWaiter {
  /** `null` for a prepared transaction, which no session has. */
  readonly pid: number | null;
  readonly preparedAs: string | null;
  readonly application: string | null;
  /** Of the sessions of other roles it is shown to members of pg_read_all_stats only. */
  readonly ageSeconds: number | null;
}

/** One slot as the server shows it. What its version does not have is `null`, or `false` for a yes-or-no. */
export interface SlotFacts {
  readonly name: string;
  readonly plugin: string | null;
  readonly isOfThisDatabase: boolean;
  readonly isTemporary: boolean;
  readonly isTwoPhase: boolean;
  /** The backend that reads it, or that is making it. */
  readonly activePid: number | null;
  readonly restartLsn: bigint | null;
  /** `null` until the slot has been made. */
  readonly confirmedFlushLsn: bigint | null;
  /** `reserved`, `extended`, `unreserved` or `lost`. */
  readonly walStatus: string | null;
  /** Bytes of WAL that may be written before the slot is in danger; `null` without `max_slot_wal_keep_size`. */
  readonly safeWalBytes: bigint | null;
  /** Bytes of WAL that the server keeps for it. */
  readonly retainedBytes: bigint | null;
  readonly inactiveSince: string | null;
  readonly isConflicting: boolean;
  readonly invalidationReason: string | null;
  readonly isFailover: boolean;
  readonly isSynced: boolean;
  readonly spill: SpillCounters | null;
  readonly reader: SlotReader | null;
  /** Set while the slot is being made and waits. */
  readonly waitingFor: SlotWaiter | null;
}

/** Counters of the slot since it was made: what did not fit into `logical_decoding_work_mem` was written to disk. */
export interface SpillCounters {
  readonly spilledTransactions: bigint;
  readonly spills: bigint;
  readonly spilledBytes: bigint;
  readonly transactions: bigint;
  readonly bytes: bigint;
}

/** The walsender of a slot; shown to members of pg_read_all_stats only. */
export interface SlotReader {
  readonly application: string | null;
  readonly state: string;
  readonly sentLsn: bigint | null;
  readonly flushLsn: bigint | null;
  readonly replyTime: string | null;
}

/** The publication as it is. */
export interface PublicationFacts {
  /** Another text whenever the publication has been made anew or altered. */
  readonly form: string;
  /** It publishes inserts of millrace.outbox through the parent, and nothing else. */
  readonly isRight: boolean;
}

/** Everything that one statement reads about a route's slots, its publication and the server. */
export interface SlotReading {
  /** As in `server_version_num`: 180004. */
  readonly serverVersion: number;
  readonly isStandby: boolean;
  readonly walLevel: string;
  /** The relay's role has the attribute REPLICATION. */
  readonly mayReplicate: boolean;
  readonly slotsMax: number;
  readonly slotsUsed: number;
  /** 0: the server never gives up a silent reader, and does not ask it. */
  readonly walSenderTimeoutMs: number;
  /**
   * Standbys that a failover slot waits for, so that nothing is published which a fail-over could lose: empty when none
   * is named, `null` before PostgreSQL 17.
   */
  readonly synchronizedStandbySlots: string | null;
  readonly databaseOid: string;
  /** `null` on a standby. */
  readonly walLsn: bigint | null;
  readonly publication: PublicationFacts | null;
  /** All slots whose names begin with the route's prefix. */
  readonly slots: readonly SlotFacts[];
}

/** Reads the rows of `SLOT_READING_SQL`. Throws `CaptureError` `internal` when a column that every server has is missing. */
export function slotReading(rows: readonly TextColumns[]): SlotReading {
  const [first] = rows;
  if (first === undefined) {
    throw new CaptureError('internal', 'The statement that reads the replication slot came back without a row.');
  }
  const databaseOid = text(first, 'database_oid');
  return {
    serverVersion: Number(text(first, 'server_version')),
    isStandby: isTrue(first, 'is_standby'),
    walLevel: text(first, 'wal_level'),
    mayReplicate: isTrue(first, 'may_replicate'),
    slotsMax: Number(text(first, 'slots_max')),
    slotsUsed: Number(text(first, 'slots_used')),
    walSenderTimeoutMs: Number(text(first, 'wal_sender_timeout_ms')),
    synchronizedStandbySlots: maybe(first, 'synchronized_standby_slots'),
    databaseOid,
    walLsn: lsn(first, 'wal_lsn'),
    publication: publicationFacts(first),
    slots: rows.filter((row) => maybe(row, 'slot_name') !== null).map((row) => slotFacts(row, databaseOid)),
  };
}

function publicationFacts(row: TextColumns): PublicationFacts | null {
  const form = maybe(row, 'form');
  return form === null ? null : { form, isRight: isTrue(row, 'is_right') };
}

function slotFacts(row: TextColumns, databaseOid: string): SlotFacts {
  return {
    name: text(row, 'slot_name'),
    plugin: maybe(row, 'plugin'),
    isOfThisDatabase: maybe(row, 'slot_database_oid') === databaseOid,
    isTemporary: isTrue(row, 'is_temporary'),
    isTwoPhase: isTrue(row, 'is_two_phase'),
    activePid: number(row, 'active_pid'),
    restartLsn: lsn(row, 'restart_lsn'),
    confirmedFlushLsn: lsn(row, 'confirmed_flush_lsn'),
    walStatus: maybe(row, 'wal_status'),
    safeWalBytes: count(row, 'safe_wal_size'),
    retainedBytes: count(row, 'retained_bytes'),
    inactiveSince: maybe(row, 'inactive_since'),
    isConflicting: isTrue(row, 'is_conflicting'),
    invalidationReason: maybe(row, 'invalidation_reason'),
    isFailover: isTrue(row, 'is_failover'),
    isSynced: isTrue(row, 'is_synced'),
    spill: spillCounters(row),
    reader: slotReader(row),
    waitingFor: waiter(row),
  };
}

function spillCounters(row: TextColumns): SpillCounters | null {
  const spilledTransactions = count(row, 'spill_txns');
  if (spilledTransactions === null) {
    return null;
  }
  return {
    spilledTransactions,
    spills: count(row, 'spill_count') ?? 0n,
    spilledBytes: count(row, 'spill_bytes') ?? 0n,
    transactions: count(row, 'total_txns') ?? 0n,
    bytes: count(row, 'total_bytes') ?? 0n,
  };
}

function slotReader(row: TextColumns): SlotReader | null {
  const state = maybe(row, 'reader_state');
  if (state === null) {
    return null;
  }
  return {
    application: maybe(row, 'reader_application'),
    state,
    sentLsn: lsn(row, 'reader_sent_lsn'),
    flushLsn: lsn(row, 'reader_flush_lsn'),
    replyTime: maybe(row, 'reader_reply_time'),
  };
}

function waiter(row: TextColumns): SlotWaiter | null {
  if (!isTrue(row, 'is_waiting')) {
    return null;
  }
  return {
    pid: number(row, 'waiting_pid'),
    preparedAs: maybe(row, 'waiting_gid'),
    application: maybe(row, 'waiting_application'),
    ageSeconds: number(row, 'waiting_age_s'),
  };
}

function maybe(row: TextColumns, name: string): string | null {
  return row[name] ?? null;
}

function text(row: TextColumns, name: string): string {
  const value = maybe(row, name);
  if (value === null) {
    throw new CaptureError('internal', `The statement that reads the replication slot came back without ${name}.`);
  }
  return value;
}

function isTrue(row: TextColumns, name: string): boolean {
  return maybe(row, name) === 'true';
}

function number(row: TextColumns, name: string): number | null {
  const value = maybe(row, name);
  return value === null ? null : Number(value);
}

function count(row: TextColumns, name: string): bigint | null {
  const value = maybe(row, name);
  return value === null ? null : BigInt(value);
}

function lsn(row: TextColumns, name: string): bigint | null {
  const value = maybe(row, name);
  return value === null ? null : parseLsn(value);
}
