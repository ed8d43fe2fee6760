import { type OutboxEvent, type Position } from '@millrace/events';
import { type GapRange } from './ledger.js';

/** One row that a poll returned. */
export interface PolledRow {
  readonly position: Position;
  /** `null` when the route does not want the row: its position is settled all the same. */
  readonly event: OutboxEvent | null;
  /** Bytes of payload and headers. */
  readonly bytes: number;
}

/** What a poll is to read. */
export interface PollRequest {
  /** Rows above it are read; `null` while there are too many gaps: then only the gaps are. */
  readonly above: Position | null;
  /**
   * How far above `above` to look. A short reach lets the planner open two leaves instead of all; `null` looks at all
   * of them, which is needed after the sequence has jumped.
   */
  readonly reach: bigint | null;
  readonly gaps: readonly GapRange[];
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/** One statement's answer, in one snapshot. */
export interface PollResult {
  /** Ascending by position, unfiltered. */
  readonly rows: readonly PolledRow[];
  readonly isFull: boolean;
  /** Every transaction with an xid below this had ended when the snapshot was taken. */
  readonly snapshotXmin: bigint;
  /** WAL written when the statement ran: every row that it saw lies below. */
  readonly insertLsn: bigint;
  /** WAL on the server's disk when the statement ran. */
  readonly flushLsn: bigint;
  /** The last number that the position sequence has given out. */
  readonly lastPosition: Position;
}

/** Transactions that may still insert into the outbox, seen by their locks. */
export interface OutboxWriters {
  /** The lowest xid among them; `null` when there are none. `unknown` when one of them shows no xid. */
  readonly oldestXid: bigint | null | 'unknown';
  /** The oldest writer for an alarm: pid, age, application; never its query text. */
  readonly oldest: string | null;
}

/** The sequence's settings and place, for the discipline check, and what lies ahead of it. */
export interface SequenceReading {
  readonly cache: bigint;
  readonly increment: bigint;
  readonly isCycling: boolean;
  readonly lastPosition: Position;
  /** Leaves that lie wholly ahead of the sequence. */
  readonly leavesAhead: number;
}

/** Read access to one outbox. Every call is one statement in autocommit. Errors are `CaptureError`. */
export interface OutboxReaderPort {
  poll(request: PollRequest): Promise<PollResult>;
  /** WAL on the server's disk now. */
  flushedLsn(): Promise<bigint>;
  /** Makes the server flush its WAL by a tiny synchronous commit. */
  forceFlush(): Promise<void>;
  writers(): Promise<OutboxWriters>;
  sequence(): Promise<SequenceReading>;
  /** Makes leaves ahead of the sequence where they are missing; gives up after two seconds. */
  ensureLeaves(): Promise<void>;
  close(): Promise<void>;
}
