import { type LedgerPage, type LedgerPages } from './ledger-pages.js';
import { type PolledRow } from './outbox-reader.js';
import { type ReplicationStream } from './replication/replication-stream.js';

/** What is used of a stream. */
export type OpenStream = Pick<
  ReplicationStream,
  | 'pid'
  | 'startLsn'
  | 'confirmedLsn'
  | 'receivedLsn'
  | 'takeQueued'
  | 'arrival'
  | 'askForProgress'
  | 'confirm'
  | 'close'
>;

/** How much of it makes a page. */
export interface StreamPageLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/**
 * Makes pages of what a stream brings, in the order of commits, and confirms to it what is settled: an LSN when the page
 * of its transaction, and every page before it, is in the database. Rows that the ledger has settled, or that are on
 * their way from wherever they were read, are passed over. Errors of the stream are thrown by `take`.
 */
export class StreamReader {
  private readonly marks: { readonly page: number; readonly endLsn: bigint }[] = [];
  private taken: bigint;
  private strays = 0;
  private straysTold = 0;

  constructor(
    private readonly stream: OpenStream,
    private readonly pages: LedgerPages,
    private readonly limits: StreamPageLimits,
  ) {
    this.taken = stream.startLsn;
  }

  get pid(): number {
    return this.stream.pid;
  }

  get confirmedLsn(): bigint {
    return this.stream.confirmedLsn;
  }

  /** All that was committed below it is in the ledger or in pages that were handed out. */
  get takenLsn(): bigint {
    return this.taken;
  }

  /**
   * Rows that came though the ledger had settled their positions long ago, and that were not published: positions that
   * were not drawn from the sequence.
   */
  get strayRows(): number {
    return this.strays;
  }

  /** For an operator, once whenever there are more such rows; otherwise `null`. */
  strayNews(): string | null {
    if (this.strays === this.straysTold) {
      return null;
    }
    this.straysTold = this.strays;
    return (
      `The stream brought rows at positions that this route had settled (${this.strays} so far); they were not published. ` +
      'Somebody wrote positions of his own into the outbox: positions come from the sequence alone.'
    );
  }

  /**
   * What has come, as one page; `null` when nothing has that is new. `tableLsn`: no statement that read the table for
   * this route saw anything that was committed above it; `null` while the table is read as well.
   */
  take(tableLsn: bigint | null): LedgerPage | null {
    const { receivedLsn } = this.stream;
    const { rows, endLsn, isDrained } = this.takeQueued(tableLsn);
    const page =
      rows.length > 0
        ? this.pages.take({ rows, isFull: false, endedBelow: 0n, hasWaited: true, hasMore: !isDrained })
        : null;
    if (endLsn !== null) {
      this.marks.push({ page: this.pages.lastChanged, endLsn });
    }
    this.passed(isDrained && receivedLsn > (endLsn ?? 0n) ? receivedLsn : endLsn);
    if (page?.isChanged === true) {
      return page;
    }
    this.settled();
    return null;
  }

  /** Confirms what has become confirmable. */
  settled(): void {
    let confirmable: bigint | null = null;
    let count = 0;
    for (const { page, endLsn } of this.marks) {
      if (page > this.pages.lastSettled) {
        break;
      }
      confirmable = endLsn;
      count += 1;
    }
    this.marks.splice(0, count);
    if (confirmable !== null) {
      this.stream.confirm(confirmable);
    }
  }

  /** Resolves when something may have come, or after `timeoutMs`. */
  async arrival(timeoutMs: number): Promise<void> {
    await this.stream.arrival(timeoutMs);
  }

  askForProgress(): void {
    this.stream.askForProgress();
  }

  async close(): Promise<void> {
    await this.stream.close();
  }

  private takeQueued(tableLsn: bigint | null): {
    readonly rows: readonly PolledRow[];
    /** Of the last transaction that is complete. */
    readonly endLsn: bigint | null;
    readonly isDrained: boolean;
  } {
    const { rowsMax, bytesMax } = this.limits;
    const rows: PolledRow[] = [];
    let bytes = 0;
    let endLsn: bigint | null = null;
    while (rows.length < rowsMax && bytes < bytesMax) {
      const next = this.stream.takeQueued();
      if (next === null) {
        return { rows, endLsn, isDrained: true };
      }
      const isBeyondTable = tableLsn !== null && next.isLast && next.endLsn > tableLsn;
      for (const row of next.rows) {
        rows.push(row);
        bytes += row.bytes;
        this.strays += isBeyondTable && this.pages.has(row.position) ? 1 : 0;
      }
      endLsn = next.endLsn ?? endLsn;
    }
    return { rows, endLsn, isDrained: false };
  }

  private passed(lsn: bigint | null): void {
    this.taken = lsn !== null && lsn > this.taken ? lsn : this.taken;
  }
}
