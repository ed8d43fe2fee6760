import { type EventFilter, RowFilter } from '../event-filter.js';
import { outboxRow, type WantedRows } from './outbox-row.js';
import { type InsertMessage, type LogicalMessage, type PgoutputMessage } from './pgoutput-message.js';
import { RelationCache } from './relation-cache.js';
import { type StreamProgress } from './stream-progress.js';
import { type TransactionQueue } from './transaction-queue.js';

/** The prefix of the messages that relays write, to flush the WAL or to move a slot. */
const HEARTBEAT_PREFIX = 'millrace';
/** What a row costs that is only a position. */
const UNWANTED_ROW_BYTES = 64;

/** Between what an assembler works. */
export interface OutboxAssemblerParts {
  readonly queue: TransactionQueue;
  readonly progress: StreamProgress;
  readonly publication: string;
  readonly filter: EventFilter;
  /** Copies that a fork repair has made for another route are not wanted; `null` wants them. */
  readonly route: string | null;
}

/** Makes transactions of the outbox out of the messages of one connection. */
export class OutboxAssembler {
  private readonly relations: RelationCache;
  private readonly wanted: WantedRows;

  constructor(private readonly parts: OutboxAssemblerParts) {
    this.relations = new RelationCache(parts.publication);
    this.wanted = { filter: new RowFilter(parts.filter), route: parts.route };
  }

  /**
   * Takes the next message, which came in so many bytes. Throws `CaptureError`: `stream_malformed`, `outbox_altered`,
   * `publication_unfit`.
   */
  apply(message: PgoutputMessage, bytes: number): void {
    const { queue, progress } = this.parts;
    if (message.kind === 'insert') {
      this.insert(message, bytes);
    } else if (message.kind === 'begin') {
      queue.begin({ xid: message.xid, committedAtMs: message.committedAtMs });
      progress.transactionBegan(message.commitLsn);
    } else if (message.kind === 'commit') {
      this.commit(message.endLsn);
    } else if (message.kind === 'relation') {
      this.relations.announce(message);
    } else if (message.kind === 'message') {
      this.heartbeat(message);
    }
    // events are immutable, and what retention removes was settled: a publication that tells of it does no harm
  }

  private insert(message: InsertMessage, bytes: number): void {
    const row = outboxRow(message.row, this.relations.outboxColumns(message.relationId), this.wanted);
    this.parts.queue.add(row, row.event === null ? UNWANTED_ROW_BYTES : bytes);
  }

  private commit(endLsn: bigint): void {
    const { queue, progress } = this.parts;
    if (queue.commit(endLsn)) {
      progress.transactionCame(endLsn);
    } else {
      progress.emptyTransactionCame(endLsn);
    }
  }

  /** One within a transaction says nothing that its commit does not say. */
  private heartbeat(message: LogicalMessage): void {
    if (message.prefix === HEARTBEAT_PREFIX && !message.isTransactional) {
      this.parts.progress.passed(message.lsn);
    }
  }
}
