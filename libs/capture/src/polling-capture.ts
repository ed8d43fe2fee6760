import { type Position } from '@millrace/events';
import { type CaptureClock } from './capture-clock.js';
import {
  type CapturedPage,
  type CaptureMode,
  type CapturePort,
  type CaptureStatus,
  type SettleResult,
} from './capture-port.js';
import { type FirstPage } from './first-page.js';
import { type LedgerState, lowOf } from './ledger.js';
import { LedgerPages } from './ledger-pages.js';
import { type LedgerSaved, type LedgerStorePort } from './ledger-store.js';
import { type LedgerNotes } from './offsets/lane-offset.js';
import { type OutboxReaderPort } from './outbox-reader.js';
import { type PollingOptions, TableReader } from './table-reader.js';

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

/** What the route is to be captured by, for its status: as configured, and as an operator has set it (`null`: not). */
export interface AskedMode {
  readonly mode: CaptureMode;
  readonly modeSet: CaptureMode | null;
}

/**
 * Capture by reading the table: rows in gaps and rows above `high`, unfiltered, in one snapshot a page. The table is
 * the truth; nothing is remembered but the ledger. Contract: `CapturePort`.
 */
export class PollingCapture implements CapturePort {
  private readonly pages: LedgerPages;
  private readonly table: TableReader;
  private isReading = false;

  constructor(
    private readonly parts: PollingCaptureParts,
    private asked: AskedMode = { mode: 'polling', modeSet: null },
  ) {
    this.pages = new LedgerPages(parts.store, parts.clock, parts.claimed);
    this.table = new TableReader(parts, this.pages);
  }

  async nextPage(): Promise<CapturedPage> {
    this.isReading = true;
    try {
      await this.table.takeCare();
      const { page } = await this.table.readPage();
      return page;
    } finally {
      this.isReading = false;
    }
  }

  async settle(page: CapturedPage, notes?: LedgerNotes): Promise<SettleResult> {
    return this.saved(await this.pages.settle(page, notes));
  }

  async renew(notes?: LedgerNotes): Promise<SettleResult> {
    const result = this.saved(await this.pages.renew(notes));
    if (!this.isReading) {
      await this.table.takeCare();
    }
    return result;
  }

  isSettled(position: Position): boolean {
    return this.pages.isSettled(position);
  }

  status(): CaptureStatus {
    const mode = this.asked.modeSet ?? this.asked.mode;
    return { mode, reading: 'table', slot: null, streamsLost: 0, ...ledgerStatus(this.pages, this.table) };
  }

  async close(): Promise<void> {
    await Promise.all([this.parts.store.release(), this.parts.reader.close()]);
  }

  private saved({ mode: modeSet, ...saved }: LedgerSaved): SettleResult {
    this.asked = { ...this.asked, modeSet };
    return settleResult(saved);
  }
}

/** What a capture tells of a ledger write. */
export function settleResult({ isPaused, heldRevision }: Omit<LedgerSaved, 'mode'>): SettleResult {
  return { isPaused, ...(heldRevision !== undefined && { heldRevision }) };
}

/** The part of a status that is the same wherever pages are read. */
export function ledgerStatus(
  pages: LedgerPages,
  table: TableReader,
): Omit<CaptureStatus, 'mode' | 'reading' | 'slot' | 'streamsLost'> {
  return {
    low: lowOf(pages.settled),
    high: pages.settled.high,
    gapRanges: pages.state.gaps.length,
    lastPosition: table.lastPosition,
    leavesAhead: table.leavesAhead,
    gapHolder: table.gapHolder,
    pages: pages.pages,
    gapsDied: pages.gapsDied,
  };
}
