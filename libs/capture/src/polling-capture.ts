import { type OutboxEvent, toPosition } from '@millrace/events';
import { type CaptureClock } from './capture-clock.js';
import { type CapturedPage, type CapturePort, type CaptureStatus, type SettleResult } from './capture-port.js';
import { CaptureError } from './capture.errors.js';
import { type FirstPage } from './first-page.js';
import { type GapBound, type LedgerState, type LedgerStep, lowOf, takeReading } from './ledger.js';
import { type LedgerStorePort } from './ledger-store.js';
import { type OutboxReaderPort, type PolledRow, type PollRequest, type PollResult } from './outbox-reader.js';
import { checkSequencePlace } from './sequence-discipline.js';
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

/** A page together with the ledger as it is once the page has been settled. */
class Page implements CapturedPage {
  readonly rowCount: number;
  readonly bytes: number;
  readonly events: readonly OutboxEvent[];
  readonly isFull: boolean;
  readonly hasWaited = false;

  constructor(
    readonly number: number,
    result: PollResult,
    readonly step: LedgerStep,
    readonly bound: GapBound,
  ) {
    this.rowCount = result.rows.length;
    this.bytes = bytesOf(result.rows);
    this.events = eventsOf(result.rows);
    this.isFull = result.isFull;
  }

  get isChanged(): boolean {
    return this.step.isChanged;
  }
}

/** What a claim hands to its capture. */
export interface PollingCaptureParts {
  readonly reader: OutboxReaderPort;
  readonly store: LedgerStorePort;
  readonly clock: CaptureClock;
  readonly claimed: LedgerState;
  readonly options: PollingOptions;
  /** One for all claims of a route. */
  readonly firstPage: FirstPage;
}

/**
 * Capture by reading the table: rows in gaps and rows above `high`, unfiltered, in one snapshot a page. The table is
 * the truth; nothing is remembered but the ledger. Contract: `CapturePort`.
 */
export class PollingCapture implements CapturePort {
  private state: LedgerState;
  private settled: LedgerState;
  private unbounded: readonly Page[] = [];
  private lastPosition = toPosition(0n);
  private reach: bigint | null = null;
  private rowsMax: number;
  private isReading = false;
  private pages = 0;
  private died = 0n;
  private readonly care: SourceCare;
  private readonly writers: WriterWatch;

  constructor(private readonly parts: PollingCaptureParts) {
    this.state = parts.claimed;
    this.settled = parts.claimed;
    this.rowsMax = Math.min(parts.firstPage.rows, parts.options.pageRowsMax);
    this.care = new SourceCare(parts.reader, parts.clock);
    this.writers = new WriterWatch(parts.reader, parts.clock);
  }

  async nextPage(): Promise<CapturedPage> {
    this.isReading = true;
    try {
      return await this.readPage();
    } finally {
      this.isReading = false;
    }
  }

  async settle(page: CapturedPage): Promise<SettleResult> {
    if (!(page instanceof Page)) {
      throw new CaptureError('internal', 'settle() was given a page that this capture did not hand out.');
    }
    const pages = this.unbounded.filter(({ number }) => number <= page.number);
    const saved = await this.parts.store.save(
      page.step.state,
      pages.map(({ step }) => step.taken),
    );
    this.settled = page.step.state;
    const nowMs = this.parts.clock.nowMs();
    for (const { bound } of pages) {
      bound.xid = saved.xid;
      bound.knownAtMs = nowMs;
    }
    this.unbounded = this.unbounded.filter(({ number }) => number > page.number);
    return { isPaused: saved.isPaused };
  }

  async renew(): Promise<SettleResult> {
    const saved = await this.parts.store.save(this.settled, []);
    if (!this.isReading) {
      await this.takeCare();
    }
    return { isPaused: saved.isPaused };
  }

  status(): CaptureStatus {
    return {
      mode: 'polling',
      reading: 'table',
      slot: null,
      streamsLost: 0,
      low: lowOf(this.settled),
      high: this.settled.high,
      gapRanges: this.state.gaps.length,
      lastPosition: this.lastPosition,
      leavesAhead: this.care.leavesAhead,
      gapHolder: this.state.gaps.length > this.parts.options.gapRangesMax ? this.writers.oldest : null,
      pages: this.pages,
      gapsDied: Number(this.died),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.parts.store.release(), this.parts.reader.close()]);
  }

  private async readPage(): Promise<Page> {
    const { options } = this.parts;
    await this.takeCare();
    const isCrowded = this.state.gaps.length > options.gapRangesMax;
    await this.writers.watch(this.state.gaps, isCrowded);
    const result = await this.poll({
      above: isCrowded ? null : this.state.high,
      reach: this.reach,
      gaps: this.state.gaps,
      rowsMax: this.rowsMax,
      bytesMax: options.pageBytesMax,
    });
    const page = this.takePage(result);
    if (result.rows.length > 0) {
      await this.waitForFlush(result);
    }
    return page;
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

  private async takeCare(): Promise<void> {
    const reading = await this.care.whenDue();
    if (reading !== null) {
      checkSequencePlace(reading.lastPosition, this.state.high);
      this.lastPosition = reading.lastPosition;
    }
  }

  private takePage(result: PollResult): Page {
    const bound: GapBound = { xid: null, knownAtMs: Number.POSITIVE_INFINITY };
    const step = takeReading(this.state, {
      positions: result.rows.map((row) => row.position),
      isFull: result.isFull,
      endedBelow: this.writers.endedBelow > result.snapshotXmin ? this.writers.endedBelow : result.snapshotXmin,
      bound,
    });
    checkSequencePlace(result.lastPosition, step.state.high);
    this.state = step.state;
    this.died += step.diedCount;
    this.lastPosition = result.lastPosition;
    this.reach = !result.isFull && result.lastPosition >= this.state.high + REACH ? null : REACH;
    this.rowsMax = this.nextRowsMax(result);
    this.pages += 1;
    const page = new Page(this.pages, result, step, bound);
    if (result.rows.length > 0) {
      this.unbounded = [...this.unbounded, page];
    }
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

function bytesOf(rows: readonly PolledRow[]): number {
  return rows.reduce((sum, row) => sum + row.bytes, 0);
}

function eventsOf(rows: readonly PolledRow[]): OutboxEvent[] {
  const events: OutboxEvent[] = [];
  for (const { event } of rows) {
    if (event !== null) {
      events.push(event);
    }
  }
  return events;
}
