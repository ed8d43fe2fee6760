import { type OutboxEvent, type Position } from '@millrace/events';
import { type CaptureClock } from './capture-clock.js';
import { type CapturedPage } from './capture-port.js';
import { CaptureError } from './capture.errors.js';
import {
  buryPositions,
  type GapBound,
  isSettledIn,
  type LedgerReading,
  type LedgerState,
  type LedgerStep,
  type PositionRange,
  takeReading,
} from './ledger.js';
import { type LedgerSaved, type LedgerStorePort } from './ledger-store.js';
import { type LedgerNotes } from './offsets/lane-offset.js';
import { type PolledRow } from './outbox-reader.js';

/** What was read, from wherever. */
export interface PageReading extends Pick<LedgerReading, 'isFull' | 'endedBelow'> {
  /** In the order in which their events are to be published. */
  readonly rows: readonly PolledRow[];
  /** The page waited for something to come. */
  readonly hasWaited?: boolean;
  /** There is more to read at once; default: when `isFull`. */
  readonly hasMore?: boolean;
}

/** What a position of a page, and a gap of its ledger, takes. */
const POSITION_BYTES = 40;
const GAP_BYTES = 8;

/** A page together with the ledger as it is once the page has been settled. */
export class LedgerPage implements CapturedPage {
  readonly rowCount: number;
  readonly bytes: number;
  readonly isFull: boolean;
  readonly hasWaited: boolean;
  readonly isChanged: boolean;
  readonly retainedBytes: number;
  private wanted: readonly OutboxEvent[];

  constructor(
    readonly number: number,
    rows: readonly PolledRow[],
    readonly step: LedgerStep,
    { bound, isFull, hasWaited, readAtMs }: PageOrigin,
  ) {
    this.rowCount = rows.length;
    this.bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    this.wanted = eventsOf(rows);
    this.bound = bound;
    this.isFull = isFull;
    this.hasWaited = hasWaited;
    this.readAtMs = readAtMs;
    this.isChanged = step.isChanged;
    this.retainedBytes = step.taken.length * POSITION_BYTES + step.state.gaps.length * GAP_BYTES;
  }

  /** That of the gaps which this page found. */
  readonly bound: GapBound;
  readonly readAtMs: number;

  get events(): readonly OutboxEvent[] {
    return this.wanted;
  }

  forgetEvents(): void {
    this.wanted = [];
  }
}

/** How a page came about; `readAtMs` by the capture's clock. */
interface PageOrigin {
  readonly bound: GapBound;
  readonly isFull: boolean;
  readonly hasWaited: boolean;
  readonly readAtMs: number;
}

/**
 * The ledger of a claim in memory: what was read makes pages, and pages that are settled are written, in their order.
 * It does not matter where a page was read: a position that is settled, or in a page on its way, is not handed out again.
 */
export class LedgerPages {
  private current: LedgerState;
  private written: LedgerState;
  private readonly unsettled: LedgerPage[] = [];
  private count = 0;
  private died = 0n;
  private changed = 0;
  private settledPage = 0;

  constructor(
    private readonly store: LedgerStorePort,
    private readonly clock: CaptureClock,
    claimed: LedgerState,
  ) {
    this.current = claimed;
    this.written = claimed;
  }

  /** With all pages that were handed out. */
  get state(): LedgerState {
    return this.current;
  }

  /** As it is in the database. */
  get settled(): LedgerState {
    return this.written;
  }

  get pages(): number {
    return this.count;
  }

  get gapsDied(): number {
    return Number(this.died);
  }

  /** The last page that has to be settled, or had to; 0: none. */
  get lastChanged(): number {
    return this.changed;
  }

  /** All pages up to this one are in the database; 0: none. */
  get lastSettled(): number {
    return this.settledPage;
  }

  /** Makes the next page. Rows that the ledger has settled, or that are on their way, are left out. */
  take({ rows, isFull, endedBelow, hasWaited = false, hasMore = isFull }: PageReading): LedgerPage {
    const bound: GapBound = { xid: null, knownAtMs: Number.POSITIVE_INFINITY };
    const positions = ascending(rows.map((row) => row.position));
    const step = takeReading(this.current, { positions, isFull, endedBelow, bound });
    const isAllNew = step.taken.length === rows.length;
    const taken = isAllNew ? null : new Set(step.taken);
    const newRows = taken === null ? rows : rows.filter((row) => taken.delete(row.position));
    const isChanged = newRows.length > 0 || step.diedCount > 0n;
    return this.add(newRows, { ...step, isChanged }, { bound, isFull: hasMore, hasWaited });
  }

  /** Makes a page without rows, with which positions die. */
  bury(dead: readonly PositionRange[]): LedgerPage {
    const bound: GapBound = { xid: null, knownAtMs: Number.POSITIVE_INFINITY };
    return this.add([], buryPositions(this.current, dead), { bound, isFull: false, hasWaited: true });
  }

  /** A page that changes nothing, after a wait in vain. */
  nothing(): LedgerPage {
    return this.bury([]);
  }

  /** A row at this position would be left out. */
  has(position: Position): boolean {
    return isSettledIn(this.current, position);
  }

  /** The position is settled in the database. */
  isSettled(position: Position): boolean {
    return isSettledIn(this.written, position);
  }

  /** Contract: `CapturePort.settle`, with all that the write returned. */
  async settle(page: CapturedPage, notes: LedgerNotes = {}): Promise<LedgerSaved> {
    if (!(page instanceof LedgerPage)) {
      throw new CaptureError('internal', 'settle() was given a page that this capture did not hand out.');
    }
    const later = this.unsettled.findIndex(({ number }) => number > page.number);
    const pages = this.unsettled.slice(0, later === -1 ? undefined : later);
    const saved = await this.store.save(
      page.step.state,
      pages.map(({ step }) => step.taken),
      this.unsettledMs(page.number),
      notes,
    );
    this.written = page.step.state;
    this.settledPage = page.number;
    this.boundGaps(pages, saved);
    this.unsettled.splice(0, pages.length);
    return saved;
  }

  /** Writes the ledger as it was written last. Gaps of pages that wait to be settled may die from then on all the same. */
  async renew(notes: LedgerNotes = {}): Promise<LedgerSaved> {
    const pages = this.unsettled.slice();
    const saved = await this.store.save(this.written, [], this.unsettledMs(this.settledPage), notes);
    this.boundGaps(pages, saved);
    return saved;
  }

  /** The write began after all of these were read: whoever may still fill a gap of theirs has an xid below its own. */
  private boundGaps(pages: readonly LedgerPage[], { xid }: LedgerSaved): void {
    const knownAtMs = this.clock.nowMs();
    for (const { bound } of pages) {
      if (bound.xid === null) {
        Object.assign(bound, { xid, knownAtMs });
      }
    }
  }

  /** For how long the oldest page after this one has been on its way. */
  private unsettledMs(after: number): number {
    const oldest = this.unsettled.find(({ number }) => number > after);
    return oldest === undefined ? 0 : this.clock.nowMs() - oldest.readAtMs;
  }

  private add(rows: readonly PolledRow[], step: LedgerStep, origin: Omit<PageOrigin, 'readAtMs'>): LedgerPage {
    this.current = step.state;
    this.died += step.diedCount;
    this.count += 1;
    const page = new LedgerPage(this.count, rows, step, { ...origin, readAtMs: this.clock.nowMs() });
    if (step.isChanged) {
      this.changed = page.number;
      this.unsettled.push(page);
    }
    return page;
  }
}

/** A poll gives them so; the stream in the order of commits. */
function ascending(positions: PolledRow['position'][]): PolledRow['position'][] {
  return positions.every((at, index) => index === 0 || at > (positions[index - 1] ?? at))
    ? positions
    : positions.sort((a, b) => (a < b ? -1 : 1));
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
