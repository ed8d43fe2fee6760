import { type CapturedPage } from '@millrace/capture';
import { PageInFlight, type WindowTotals } from './page-in-flight.js';
import { type RouteTuning } from './route-config.js';

/** How much may be between the reading and the ledger. Reading stops there, so it may be one page more. */
export type WindowLimits = Pick<RouteTuning, 'pagesInFlightMax' | 'eventsInFlightMax' | 'bytesInFlightMax'>;

/**
 * The pages between the reading and the ledger, in order. A page may be settled when all its events and all pages
 * before it are confirmed: that rule is here and nowhere else.
 *
 * A lane that is behind holds back the ledger and no other lane: pages that wait for such lanes alone, and those that are
 * confirmed and come after them, do not count as pages. Their events and bytes do; those are the bound of what a lane can
 * hold back.
 */
export class PageWindow {
  private readonly pages: PageInFlight[] = [];
  private readonly totals: WindowTotals = { bytes: 0, events: 0, moving: 0, delayed: 0 };

  constructor(private readonly limits: WindowLimits) {}

  get size(): number {
    return this.pages.length;
  }

  /** In memory, about: of what is confirmed only what is kept for the ledger. */
  get bytes(): number {
    return this.totals.bytes;
  }

  /** Events of all pages held, confirmed or not. */
  get eventsHeld(): number {
    return this.totals.events;
  }

  /** Number of the first page that is not settled; `null` when all are. */
  get firstPage(): number | null {
    return this.pages[0]?.page.number ?? null;
  }

  /** When the earliest event that is not settled occurred; `null` when there is none. */
  get oldestEventMs(): number | null {
    let oldest: number | null = null;
    for (const { oldestEventMs } of this.pages) {
      oldest = oldest === null ? oldestEventMs : Math.min(oldest, oldestEventMs ?? oldest);
    }
    return oldest;
  }

  /** Nothing more is to be read, whoever waits for it. */
  get isFull(): boolean {
    return this.totals.bytes >= this.limits.bytesInFlightMax || this.totals.events >= this.limits.eventsInFlightMax;
  }

  /** It is full, and all that is not confirmed waits for lanes that are behind. */
  get isStuck(): boolean {
    return this.isFull && this.totals.delayed > 0 && this.totals.moving === 0;
  }

  /** `othersKeepUp`: there are lanes that need not wait for those which are behind. */
  hasRoom(othersKeepUp: boolean): boolean {
    const isPassing = othersKeepUp && this.totals.delayed > 0;
    const pages = isPassing ? this.totals.moving + this.confirmedPages() : this.pages.length;
    return pages < this.limits.pagesInFlightMax && !this.isFull;
  }

  add(page: CapturedPage): PageInFlight {
    const inFlight = new PageInFlight(page, this.totals);
    this.pages.push(inFlight);
    return inFlight;
  }

  /** The last page of the confirmed prefix: settling it settles all before it. `null` when the first one is not confirmed. */
  settleable(): PageInFlight | null {
    return this.pages[this.confirmedPages() - 1] ?? null;
  }

  /** Forgets the pages up to `last`; returns how many they were. */
  settledThrough(last: PageInFlight): number {
    const count = this.pages.indexOf(last) + 1;
    for (const page of this.pages.splice(0, count)) {
      page.leave();
    }
    return count;
  }

  /** How many pages are confirmed, with all before them. */
  private confirmedPages(): number {
    const first = this.pages.findIndex(({ pending }) => pending > 0);
    return first === -1 ? this.pages.length : first;
  }
}
