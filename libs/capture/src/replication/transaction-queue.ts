import { type PolledRow } from '../outbox-reader.js';
import { CaptureError } from '../capture.errors.js';
import { malformed } from './byte-cursor.js';

/** What is known of a transaction when its first row comes. */
export interface TransactionHead {
  readonly xid: number;
  readonly committedAtMs: number;
}

/**
 * A committed transaction of the source with its rows in the order in which they were written, or a part of a large
 * one: then more parts follow before the next transaction, and only the last one (which may be without rows) tells the
 * LSN to confirm.
 */
export type StreamedTransaction = TransactionHead & {
  readonly rows: readonly PolledRow[];
} & ({ readonly isLast: true; readonly endLsn: bigint } | { readonly isLast: false; readonly endLsn: null });

interface OpenTransaction {
  readonly head: TransactionHead;
  rows: PolledRow[];
  bytes: number;
  hasRows: boolean;
}

/** Transactions between the connection, which puts rows in, and the reader, which takes transactions and parts out. */
export class TransactionQueue {
  private readonly ready: { readonly part: StreamedTransaction; readonly bytes: number }[] = [];
  private taken = 0;
  private open: OpenTransaction | null = null;
  private bytesHeld = 0;
  private waiter: (() => void) | null = null;
  private failure: CaptureError | null = null;

  /** `partBytes`: a transaction is cut before it has grown by a row more than that. */
  constructor(private readonly partBytes: number) {}

  /** Bytes of the rows that are not taken yet, those of an unfinished transaction included. */
  get bytes(): number {
    return this.bytesHeld;
  }

  begin(head: TransactionHead): void {
    if (this.open !== null) {
      throw malformed('a transaction began within another one');
    }
    this.open = { head, rows: [], bytes: 0, hasRows: false };
  }

  add(row: PolledRow, bytes: number): void {
    const open = this.opened('a row');
    open.rows.push(row);
    open.hasRows = true;
    open.bytes += bytes;
    this.bytesHeld += bytes;
    if (open.bytes >= this.partBytes) {
      this.put({ ...open.head, rows: open.rows, isLast: false, endLsn: null }, open.bytes);
      open.rows = [];
      open.bytes = 0;
    }
  }

  /** Returns whether the transaction has rows; without any it is not handed out. */
  commit(endLsn: bigint): boolean {
    const { head, rows, bytes, hasRows } = this.opened('a commit');
    this.open = null;
    if (hasRows) {
      this.put({ ...head, rows, isLast: true, endLsn }, bytes);
    }
    return hasRows;
  }

  /** The next one when it is there. Throws what `fail` was told. */
  take(): StreamedTransaction | null {
    if (this.failure !== null) {
      throw this.failure;
    }
    const next = this.ready[this.taken];
    if (next === undefined) {
      return null;
    }
    this.taken += 1;
    this.bytesHeld -= next.bytes;
    if (this.taken * 2 >= this.ready.length) {
      this.ready.splice(0, this.taken);
      this.taken = 0;
    }
    return next.part;
  }

  /** Waits for the next one. One reader at a time. */
  async next(): Promise<StreamedTransaction> {
    for (;;) {
      const next = this.take();
      if (next !== null) {
        return next;
      }
      await this.arrival();
    }
  }

  /** Resolves when `take` has something to give or to throw, or after `timeoutMs`. One reader at a time. */
  async arrival(timeoutMs?: number): Promise<void> {
    if (this.waiter !== null) {
      throw new CaptureError('internal', 'The replication stream has two readers.');
    }
    if (this.failure !== null || this.ready[this.taken] !== undefined) {
      return;
    }
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.waiter?.(), timeoutMs);
    await new Promise<void>((resolve) => (this.waiter = resolve));
    this.waiter = null;
    clearTimeout(timer);
  }

  /** Ends the reading: what was not taken is dropped, since the server sends it again from the confirmed LSN on. */
  fail(error: CaptureError): void {
    if (this.failure !== null) {
      return;
    }
    this.failure = error;
    this.open = null;
    this.ready.length = 0;
    this.taken = 0;
    this.bytesHeld = 0;
    this.waiter?.();
  }

  private opened(what: string): OpenTransaction {
    if (this.open === null) {
      throw malformed(`${what} came outside of a transaction`);
    }
    return this.open;
  }

  private put(part: StreamedTransaction, bytes: number): void {
    this.ready.push({ part, bytes });
    this.waiter?.();
  }
}
