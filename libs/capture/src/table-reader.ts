import { toPosition } from '@millrace/events';
import { type CaptureClock } from './capture-clock.js';
import { type FirstPage } from './first-page.js';
import { deadPositions, type GapBound, type GapRange, type PositionRange } from './ledger.js';
import { type LedgerPage, type LedgerPages } from './ledger-pages.js';
import { type OutboxReaderPort, type PollRequest, type PollResult } from './outbox-reader.js';
import { checkSequencePlace } from './sequence-discipline.js';
import { pollCoverage } from './slot/fence-reading.js';
import { SourceCare } from './source-care.js';
import { WriterWatch } from './writer-watch.js';

/** Limits of one capture. */
export interface PollingOptions {
  readonly pageRowsMax: number;
  readonly pageBytesMax: number;
  /** Above so many gap ranges `high` waits and the status names who holds them open. */
  readonly gapRangesMax: number;
}

export const DEFAULT_POLLING_OPTIONS: PollingOptions = {
  pageRowsMax: 2_000,
  pageBytesMax: 8 * 1024 * 1024,
  gapRangesMax: 50_000,
};

const REACH = 1_000_000n;
const FLUSH_WAIT_MS = 1;
const FLUSH_READS_BEFORE_FORCE = 3;
/** A look at the gaps alone is not after rows: those that it meets are on their way in the stream. */
const PROBE_ROWS_MAX = 500;

/** A page that was read from the table, and how far it looked. */
export interface TablePage {
  readonly page: LedgerPage;
  /** The last page that has to be settled, wherever it was read: this one or one before it; 0: none. */
  readonly lastChanged: number;
  /** Every writer with an xid below this had ended when the page's statement began. */
  readonly endedBelow: bigint;
  /** The statement looked at all unsettled positions up to here. */
  readonly coveredTo: bigint | 'all';
  /** Every row that the statement saw was committed below this place in the WAL. */
  readonly insertLsn: bigint;
}

/** What a look at the gaps found. */
export interface GapProbe {
  /** Positions that are never to come. */
  readonly dead: readonly PositionRange[];
  /** Whoever could have written them ended below this place in the WAL. */
  readonly insertLsn: bigint;
}

/** With what the table is read. */
export interface TableReaderParts {
  readonly reader: OutboxReaderPort;
  readonly clock: CaptureClock;
  readonly options: PollingOptions;
  /** One for all claims of a route. */
  readonly firstPage: FirstPage;
}

/** Reads the table into the pages of a claim: each page is one statement in one snapshot. */
export class TableReader {
  private last = toPosition(0n);
  private reach: bigint | null = null;
  private rowsMax: number;
  private readonly care: SourceCare;
  private readonly writers: WriterWatch;

  constructor(
    private readonly parts: TableReaderParts,
    private readonly pages: LedgerPages,
  ) {
    this.rowsMax = Math.min(parts.firstPage.rows, parts.options.pageRowsMax);
    this.care = new SourceCare(parts.reader, parts.clock);
    this.writers = new WriterWatch(parts.reader, parts.clock);
  }

  /** The last number that the sequence has given out, as last read. */
  get lastPosition(): ReturnType<typeof toPosition> {
    return this.last;
  }

  get leavesAhead(): number | null {
    return this.care.leavesAhead;
  }

  /** There are so many gaps that nothing above `high` is taken. */
  get isCrowded(): boolean {
    return this.pages.state.gaps.length > this.parts.options.gapRangesMax;
  }

  /** Who holds the gaps open while there are too many. */
  get gapHolder(): string | null {
    return this.isCrowded ? this.writers.oldest : null;
  }

  /** Every ten seconds: leaves ahead of the sequence, and a look at it. */
  async takeCare(): Promise<void> {
    const reading = await this.care.whenDue();
    if (reading !== null) {
      checkSequencePlace(reading.lastPosition, this.pages.state.high);
      this.last = reading.lastPosition;
    }
  }

  /** `alsoEnded`: the bound of a fence, for which the writers are looked at as for those of the gaps. */
  async readPage(alsoEnded?: GapBound): Promise<TablePage> {
    const { options } = this.parts;
    const { state } = this.pages;
    const { isCrowded } = this;
    await this.writers.watch(boundsOf(state.gaps, alsoEnded), isCrowded);
    const request: PollRequest = {
      above: isCrowded ? null : state.high,
      reach: this.reach,
      gaps: state.gaps,
      rowsMax: this.rowsMax,
      bytesMax: options.pageBytesMax,
    };
    const result = await this.poll(request);
    const endedBelow = this.endedBelow(result);
    const page = this.takePage(result, endedBelow);
    if (result.rows.length > 0) {
      await this.waitForFlush(result);
    }
    const { lastChanged } = this.pages;
    return { page, lastChanged, endedBelow, coveredTo: pollCoverage(request, result), insertLsn: result.insertLsn };
  }

  /** Looks at the gaps alone, and takes nothing. */
  async probe(): Promise<GapProbe> {
    const gaps = this.pages.state.gaps.filter(({ bound }) => bound.xid !== null);
    await this.writers.watch(boundsOf(gaps), this.isCrowded);
    const { pageBytesMax: bytesMax } = this.parts.options;
    const result = await this.parts.reader.poll({ above: null, reach: null, gaps, rowsMax: PROBE_ROWS_MAX, bytesMax });
    const { rows, isFull, insertLsn } = result;
    const positions = rows.map((row) => row.position);
    return { dead: deadPositions(gaps, { positions, isFull, endedBelow: this.endedBelow(result) }), insertLsn };
  }

  private async poll(request: PollRequest): Promise<PollResult> {
    const { reader, firstPage } = this.parts;
    try {
      const result = await reader.poll(request);
      firstPage.pollAnswered();
      return result;
    } catch (error) {
      firstPage.pollFailed(request.rowsMax);
      throw error;
    }
  }

  private endedBelow(result: PollResult): bigint {
    return this.writers.endedBelow > result.snapshotXmin ? this.writers.endedBelow : result.snapshotXmin;
  }

  private takePage(result: PollResult, endedBelow: bigint): LedgerPage {
    const { rows, isFull, lastPosition } = result;
    const { high } = this.pages.state;
    const highest = rows[rows.length - 1]?.position ?? high;
    checkSequencePlace(lastPosition, highest > high ? highest : high);
    const page = this.pages.take({ rows, isFull, endedBelow });
    this.last = lastPosition;
    this.reach = !isFull && lastPosition >= this.pages.state.high + REACH ? null : REACH;
    this.rowsMax = this.nextRowsMax(result);
    return page;
  }

  /** The server prints all rows of a statement before it cuts them by bytes: big events are asked for in small numbers. */
  private nextRowsMax({ rows, isFull }: PollResult): number {
    return isFull ? Math.min(this.parts.options.pageRowsMax, rows.length * 2) : this.rowsMax;
  }

  /** The flush gate: a row whose commit could still vanish in a crash of the server leaves nobody. */
  private async waitForFlush(result: PollResult): Promise<void> {
    const { reader, clock } = this.parts;
    let flushed = result.flushLsn;
    for (let reads = 1; flushed < result.insertLsn; reads += 1) {
      if (reads > FLUSH_READS_BEFORE_FORCE) {
        await reader.forceFlush();
      } else if (reads > 1) {
        await clock.sleep(FLUSH_WAIT_MS);
      }
      flushed = await reader.flushedLsn();
    }
  }
}

function* boundsOf(gaps: readonly GapRange[], also?: GapBound): Generator<GapBound> {
  if (also !== undefined) {
    yield also;
  }
  for (const { bound } of gaps) {
    yield bound;
  }
}
