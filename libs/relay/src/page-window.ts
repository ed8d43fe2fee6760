import { type CapturedPage } from '@millrace/capture';

const EVENT_OVERHEAD_BYTES = 256;

/** A page that has been read and is not yet settled. */
export interface PageInFlight {
  readonly page: CapturedPage;
  readonly bytes: number;
  /**
   * `occurredAtMs` of its first event, which is the earliest but for the time between two statements: positions and
   * times are drawn together. `null` without events.
   */
  readonly oldestEventMs: number | null;
  /** Events that are sent by this relay; those of other shards are not. */
  events: number;
  /** Those of them that the sink has not confirmed yet. */
  pending: number;
}

/**
 * The pages between the reading and the ledger, in order. A page may be settled when all its events and all pages
 * before it are confirmed: that rule is here and nowhere else.
 */
export class PageWindow {
  private readonly pages: PageInFlight[] = [];
  private bytesHeld = 0;

  constructor(private readonly limits: { readonly pagesMax: number; readonly bytesMax: number }) {}

  get size(): number {
    return this.pages.length;
  }

  get bytes(): number {
    return this.bytesHeld;
  }

  /** Events of all pages held, confirmed or not. */
  get eventsHeld(): number {
    return this.pages.reduce((sum, { events }) => sum + events, 0);
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

  hasRoom(): boolean {
    return this.pages.length < this.limits.pagesMax && this.bytesHeld < this.limits.bytesMax;
  }

  add(page: CapturedPage): PageInFlight {
    const bytes = page.bytes + page.events.length * EVENT_OVERHEAD_BYTES;
    const { length: events } = page.events;
    const inFlight = { page, bytes, oldestEventMs: page.events[0]?.occurredAtMs ?? null, events, pending: events };
    this.pages.push(inFlight);
    this.bytesHeld += bytes;
    return inFlight;
  }

  /** So many events of the page are another shard's business. */
  leaveOut(inFlight: PageInFlight, events: number): void {
    inFlight.events -= events;
    inFlight.pending -= events;
  }

  /** The last page of the confirmed prefix: settling it settles all before it. `null` when the first one is not confirmed. */
  settleable(): PageInFlight | null {
    let last: PageInFlight | null = null;
    for (const page of this.pages) {
      if (page.pending > 0) {
        break;
      }
      last = page;
    }
    return last;
  }

  /** Forgets the pages up to `last`; returns how many they were. */
  settledThrough(last: PageInFlight): number {
    const count = this.pages.indexOf(last) + 1;
    for (const { bytes } of this.pages.splice(0, count)) {
      this.bytesHeld -= bytes;
    }
    return count;
  }
}
