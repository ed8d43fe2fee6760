import { CaptureError } from '../capture.errors.js';
import { type CaptureClock } from '../capture-clock.js';
import { type EventFilter } from '../event-filter.js';
import { readCopyFrame, standbyStatus } from './copy-frame.js';
import { FeedbackPace } from './feedback-pace.js';
import { OutboxAssembler } from './outbox-assembler.js';
import { readPgoutput } from './pgoutput-reader.js';
import { ReplicationConnection } from './replication-connection.js';
import { StreamProgress } from './stream-progress.js';
import { type StreamedTransaction, TransactionQueue } from './transaction-queue.js';

/** What to stream, from where, and how much of it to hold. Events that the filter does not want come as positions alone. */
export interface ReplicationStreamOptions extends EventFilter {
  readonly databaseUrl: string;
  readonly slot: string;
  readonly publication: string;
  /** Everything at or below it is settled; 0 begins where the slot stands. */
  readonly startLsn: bigint;
  /** Shown in pg_stat_replication. */
  readonly applicationName: string;
  /** Copies that a fork repair has made for another route come as positions alone; without it none do. */
  readonly route?: string;
  /** Bytes of rows that may wait to be taken; at least 256 KiB. */
  readonly bytesMax: number;
  /** A server that says nothing for so long, though asked, is given up. */
  readonly silenceMs: number;
  readonly clock: CaptureClock;
}

/** Node reads a socket in chunks of this size at most, and a chunk is delivered whole. */
const CHUNK_BYTES = 64 * 1024;
const BYTES_MIN = 4 * CHUNK_BYTES;
/** Confirmations closer than that are reported together. */
const REPORT_GAP_MS = 100;

/**
 * The committed transactions of one outbox, from its replication slot.
 *
 * Order: commit order; rows within a transaction in the order in which they were written. Delivery: at least once. A
 * stream that begins anew sends every transaction again whose end was not confirmed; what was rolled back is never
 * sent. Memory: at most `bytesMax` and one message; when it is full the socket waits, and the reports to the server go
 * on. Failure: `CaptureError` from `open`, `nextTransaction` and `takeQueued`; the stream is over then and what was not
 * taken is dropped. To be closed in any case.
 */
export class ReplicationStream {
  /** Of our walsender. */
  readonly pid: number;
  /** Where it began: what was asked for, or where the slot stood when that was farther. */
  readonly startLsn: bigint;
  private readonly queue: TransactionQueue;
  private readonly progress: StreamProgress;
  private readonly assembler: OutboxAssembler;
  private readonly lookTimer: NodeJS.Timeout;
  private reportTimer: NodeJS.Timeout | null = null;
  private reportedLsn: bigint;
  private reportedAtMs = Number.NEGATIVE_INFINITY;
  private isHeard = false;
  private isPaused = false;
  private isEnded = false;

  private constructor(
    private readonly options: ReplicationStreamOptions,
    private readonly connection: ReplicationConnection,
    private readonly pace: FeedbackPace,
    place: { readonly startLsn: bigint; readonly pid: number },
  ) {
    const { bytesMax, publication, route = null } = options;
    this.queue = new TransactionQueue(bytesMax / 4);
    const { startLsn, pid } = place;
    this.pid = pid;
    this.startLsn = startLsn;
    this.progress = new StreamProgress(startLsn);
    const { queue, progress } = this;
    this.assembler = new OutboxAssembler({ queue, progress, publication, filter: options, route });
    this.reportedLsn = startLsn;
    this.lookTimer = setInterval(() => {
      this.look();
    }, pace.lookMs);
  }

  /**
   * Connects and starts at `startLsn`, or where the slot stands when that is farther (`confirmedLsn` tells). Throws
   * `slot_missing`, `slot_in_use`, `slot_lost`, `not_authorised` and what any connection can.
   */
  static async open(options: ReplicationStreamOptions): Promise<ReplicationStream> {
    if (options.bytesMax < BYTES_MIN) {
      throw new CaptureError('internal', `bytesMax of a replication stream must be at least ${BYTES_MIN}.`);
    }
    const connection = await ReplicationConnection.connect(options);
    const { confirmedLsn, serverTimeoutMs, pid } = await connection.slotPlace();
    // a server before PostgreSQL 17 would follow a report from below what the slot has confirmed, and go back
    const startLsn = options.startLsn > confirmedLsn ? options.startLsn : confirmedLsn;
    const pace = new FeedbackPace(serverTimeoutMs, options.silenceMs, options.clock.nowMs());
    const stream = new ReplicationStream(options, connection, pace, { startLsn, pid });
    try {
      await connection.start({ publication: options.publication, startLsn }, stream.listener());
      return stream;
    } catch (error) {
      await stream.close();
      throw error;
    }
  }

  /** Everything at or below it is settled: what the reports to the server say. Never goes back. */
  get confirmedLsn(): bigint {
    return this.progress.confirmedLsn;
  }

  /** What was committed below it has been received. */
  get receivedLsn(): bigint {
    return this.progress.receivedLsn;
  }

  /** The farthest place in its WAL that the server has told of. */
  get serverLsn(): bigint {
    return this.progress.serverLsn;
  }

  /** Bytes of the rows that wait to be taken. */
  get queuedBytes(): number {
    return this.queue.bytes;
  }

  /** The next transaction, or the next part of a large one. One call at a time. */
  async nextTransaction(): Promise<StreamedTransaction> {
    return this.takeQueued() ?? this.queue.next();
  }

  /** As `nextTransaction`, for what is there already; `null` when nothing is. */
  takeQueued(): StreamedTransaction | null {
    const next = this.queue.take();
    if (this.isPaused && this.queue.bytes <= this.options.bytesMax / 2) {
      this.isPaused = false;
      this.connection.resume();
    }
    return next;
  }

  /** Resolves when something can be taken, when the stream is over, or after `timeoutMs`. One reader at a time. */
  async arrival(timeoutMs: number): Promise<void> {
    await this.queue.arrival(timeoutMs);
  }

  /** Has the server say at once how far it has come, which on an idle server it does only now and then. */
  askForProgress(): void {
    if (!this.isEnded) {
      this.report(true);
    }
  }

  /**
   * Tells the server that everything at or below is settled, so that it forgets it: within 100 ms, together with what
   * is confirmed meanwhile. A lower one than before changes nothing. Does not throw.
   */
  confirm(lsn: bigint): void {
    this.progress.confirm(lsn);
    this.reportProgress();
  }

  /** Reports what is confirmed and ends the connection. Idempotent; a reader that waits gets an error. */
  async close(): Promise<void> {
    if (this.progress.confirmedLsn !== this.reportedLsn) {
      this.report(false);
    }
    this.end(new CaptureError('internal', 'The replication stream has been closed.'));
    await this.connection.close();
  }

  private listener(): { onFrame(frame: Buffer): void; onFailure(error: CaptureError): void } {
    return {
      onFrame: (frame) => {
        this.receive(frame);
      },
      onFailure: (error) => {
        this.end(error);
      },
    };
  }

  private receive(bytes: Buffer): void {
    this.isHeard = true;
    const frame = readCopyFrame(bytes);
    if (frame.kind === 'data') {
      this.assembler.apply(readPgoutput(bytes, frame.messageAt), bytes.length);
      this.pauseWhenFull();
    } else {
      this.progress.passed(frame.endLsn);
      if (frame.isReplyRequested) {
        this.report(false);
      }
    }
    this.reportProgress();
  }

  private pauseWhenFull(): void {
    if (!this.isPaused && this.queue.bytes >= this.options.bytesMax - CHUNK_BYTES) {
      this.isPaused = true;
      this.connection.pause();
    }
  }

  private look(): void {
    const nowMs = this.options.clock.nowMs();
    if (this.isHeard || this.isPaused) {
      this.isHeard = false;
      this.pace.heard(nowMs);
    }
    const due = this.pace.due(nowMs);
    if (due === 'silent') {
      this.connection.abandon();
      this.end(
        new CaptureError(
          'database_unavailable',
          `The database has said nothing on the replication stream for ${this.options.silenceMs} ms, though it was ` +
            'asked; check that it runs and that the network lets it answer.',
        ),
      );
    } else if (due !== 'nothing') {
      this.report(due === 'question');
    }
  }

  private reportProgress(): void {
    if (this.isEnded || this.reportTimer !== null || this.progress.confirmedLsn === this.reportedLsn) {
      return;
    }
    const waitMs = this.reportedAtMs + REPORT_GAP_MS - this.options.clock.nowMs();
    if (waitMs <= 0) {
      this.report(false);
      return;
    }
    this.reportTimer = setTimeout(() => {
      this.report(false);
    }, waitMs);
  }

  private report(isReplyRequested: boolean): void {
    const { confirmedLsn, receivedLsn } = this.progress;
    const sentAtMs = Date.now();
    this.connection.send(standbyStatus({ writeLsn: receivedLsn, confirmedLsn, sentAtMs, isReplyRequested }));
    this.reportedLsn = confirmedLsn;
    this.reportedAtMs = this.options.clock.nowMs();
    this.pace.sent(this.reportedAtMs);
    this.clearReportTimer();
  }

  private clearReportTimer(): void {
    if (this.reportTimer !== null) {
      clearTimeout(this.reportTimer);
      this.reportTimer = null;
    }
  }

  private end(error: CaptureError): void {
    this.isEnded = true;
    clearInterval(this.lookTimer);
    this.clearReportTimer();
    this.queue.fail(error);
  }
}
