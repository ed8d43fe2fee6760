import { type CapturedPage } from '@millrace/capture';

/** Beside the bytes of its record, what an event on its way takes: of that the most is Buffers and headers. */
const QUEUED_EVENT_BYTES = 1_000;
/** Its record, above the payload and headers of the outbox. */
const FRAMING_BYTES = 300;
/** What is kept of an event, confirmed or not, until its page is settled; and of a page. */
const KEPT_EVENT_BYTES = 80;
const KEPT_PAGE_BYTES = 512;

/** What all pages of a window come to. */
export interface WindowTotals {
  bytes: number;
  events: number;
  /** Pages with events that are to be confirmed by lanes which keep up. */
  moving: number;
  /** Pages with events in lanes that are behind. */
  delayed: number;
}

/** What an event on its way takes, with a record of so many bytes. */
function queuedBytes(recordBytes: number): number {
  return recordBytes + QUEUED_EVENT_BYTES;
}

/** A page that has been read and is not yet settled. */
export class PageInFlight {
  /**
   * `occurredAtMs` of its first event, which is the earliest but for the time between two statements: positions and
   * times are drawn together. `null` without events.
   */
  readonly oldestEventMs: number | null;
  private count: number;
  private unconfirmed = 0;
  private behind = 0;
  private readonly keptBytes: number;
  private queued: number;

  constructor(
    readonly page: CapturedPage,
    private readonly totals: WindowTotals,
  ) {
    const { events, bytes, retainedBytes } = page;
    this.oldestEventMs = events[0]?.occurredAtMs ?? null;
    this.count = events.length;
    this.keptBytes = KEPT_PAGE_BYTES + retainedBytes + events.length * KEPT_EVENT_BYTES;
    this.queued = bytes + events.length * queuedBytes(FRAMING_BYTES);
    totals.bytes += this.bytes;
    totals.events += this.count;
    this.pending = this.count;
  }

  /** What it takes in memory, about. */
  get bytes(): number {
    return this.keptBytes + this.queued;
  }

  /** Events that are sent by this relay; those of other shards are not. */
  get events(): number {
    return this.count;
  }

  /** Those of them that the sink has not confirmed, and that are not set aside. */
  get pending(): number {
    return this.unconfirmed;
  }

  set pending(count: number) {
    this.change(count, this.behind);
  }

  /** Some of the pending events are in lanes that keep up. */
  get isMoving(): boolean {
    return this.unconfirmed > this.behind;
  }

  /** Its events are in their lanes, as records of so many bytes each; `leftOut` more are another shard's business. */
  dispatched(recordBytes: readonly number[], leftOut: number): void {
    const { bytes } = this;
    this.queued = recordBytes.reduce((sum, each) => sum + queuedBytes(each), 0);
    this.totals.bytes += this.bytes - bytes;
    this.totals.events -= leftOut;
    this.count -= leftOut;
    this.pending -= leftOut;
  }

  /** The sink has stored an event whose record had so many bytes: they are free. */
  confirmed(recordBytes: number): void {
    const freed = Math.min(this.queued, queuedBytes(recordBytes));
    this.queued -= freed;
    this.totals.bytes -= freed;
    this.pending -= 1;
  }

  /** So many more of its pending events are in lanes that are behind. */
  delayed(by: number): void {
    this.change(this.unconfirmed, this.behind + by);
  }

  /** It is settled, and forgotten. */
  leave(): void {
    this.totals.bytes -= this.bytes;
    this.totals.events -= this.count;
    this.change(0, 0);
  }

  private change(unconfirmed: number, behind: number): void {
    const { totals } = this;
    totals.moving -= Number(this.isMoving);
    totals.delayed -= Number(this.behind > 0);
    this.unconfirmed = unconfirmed;
    this.behind = behind;
    totals.moving += Number(this.isMoving);
    totals.delayed += Number(behind > 0);
  }
}
