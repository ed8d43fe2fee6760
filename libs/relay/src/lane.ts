import { type AggregateKey } from '@millrace/capture';
import { type EventId, type OutboxEvent, type Position } from '@millrace/events';
import { type SinkLane, type SinkRecord } from '@millrace/transport';
import { type EncodedEvent } from './event-record.js';
import { type PageInFlight } from './page-in-flight.js';

/** One event on its way through a lane. */
export interface LaneItem extends AggregateKey {
  readonly record: SinkRecord;
  readonly bytes: number;
  /** `null`: an event that was held, and is not settled with a page. */
  readonly page: PageInFlight | null;
  readonly position: Position;
  readonly id: EventId;
}

/** The event as it enters its lane. */
export function laneItem(event: OutboxEvent, { record, bytes }: EncodedEvent, page: PageInFlight | null): LaneItem {
  const { position, id, aggregateType, aggregateId } = event;
  return { record, bytes, page, position, id, aggregateType, aggregateId };
}

/** The records of one send, in order; sent again as they are until the sink has answered for certain. */
export interface LaneBatch {
  readonly items: readonly LaneItem[];
  readonly records: readonly SinkRecord[];
  readonly bytes: number;
}

/** How large a batch may be. */
export interface BatchLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

const BATCH_BYTES_FLOOR = 16 * 1024;

/**
 * One ordered stream: what enters first is confirmed first. Pure: no clock, no promise.
 *
 * `next` hands out a batch, of which exactly one of `acked`, `failed` or `refused` must then tell the outcome; until
 * then nothing more is handed out. After `failed` (outcome unknown) the same batch comes again, once `retry` was
 * called. After `refused` (nothing stored) the batch is cut smaller, until one single item stands refused.
 */
export class Lane {
  private readonly items: LaneItem[] = [];
  private batch: LaneBatch | null = null;
  private phase: 'idle' | 'sending' | 'waiting' = 'idle';
  private isBehind = false;
  private suspects = 0;
  private readonly failures = new Map<string, number>();
  private bytesMax: number;

  constructor(
    readonly sinkLane: SinkLane,
    private readonly limits: BatchLimits,
  ) {
    this.bytesMax = limits.bytesMax;
  }

  /** There is something to send, nothing is out and no wait is on. */
  get isReady(): boolean {
    return this.phase === 'idle' && this.items.length > 0;
  }

  get isEmpty(): boolean {
    return this.items.length === 0;
  }

  /** Failures of the batch at the head: of all codes, or of one. */
  attempts(code?: string): number {
    if (code !== undefined) {
      return this.failures.get(code) ?? 0;
    }
    let sum = 0;
    for (const count of this.failures.values()) {
      sum += count;
    }
    return sum;
  }

  push(item: LaneItem): void {
    this.items.push(item);
    if (this.isBehind) {
      item.page?.delayed(1);
    }
  }

  /** From now on its events are those of a lane that is behind: their pages wait for it, and nobody else does. */
  fallBehind(): void {
    if (!this.isBehind) {
      this.isBehind = true;
      this.delay(this.items, 1);
    }
  }

  /** The end of `fallBehind`. */
  catchUp(): void {
    this.delay(this.items, -1);
    this.isBehind = false;
  }

  /** The batch to send now; `null` while one is out, while the lane waits, or without items of pages up to `pageMax`. */
  next(pageMax: number): LaneBatch | null {
    const first = this.items[0];
    if (this.phase !== 'idle' || first === undefined || pageOf(first) > pageMax) {
      return null;
    }
    this.batch ??= this.cut(pageMax);
    this.phase = 'sending';
    return this.batch;
  }

  /** `next` would hand out a batch. */
  hasNext(pageMax: number): boolean {
    const first = this.items[0];
    return this.phase === 'idle' && first !== undefined && pageOf(first) <= pageMax;
  }

  /** Takes out what is queued, but nothing of a batch that is out or has to come again. */
  sweep(isSwept: (item: LaneItem) => boolean): LaneItem[] {
    const kept = this.batch?.items.length ?? 0;
    const swept: LaneItem[] = [];
    const left: LaneItem[] = [];
    for (const item of this.items.splice(kept)) {
      (isSwept(item) ? swept : left).push(item);
    }
    for (const item of left) {
      this.items.push(item);
    }
    this.delay(swept, -1);
    return swept;
  }

  /** The sink has stored the batch. */
  acked(): void {
    const count = this.batch?.items.length ?? 0;
    this.suspects = Math.max(0, this.suspects - count);
    this.failures.clear();
    this.delay(this.items.splice(0, count), -1);
    this.batch = null;
    this.phase = 'idle';
  }

  /** The sink may or may not have stored the batch, and failed with `code`. */
  failed(code: string): void {
    this.failures.set(code, this.attempts(code) + 1);
    this.phase = 'waiting';
  }

  /** The wait after `failed` or `hold` is over. */
  retry(): void {
    if (this.phase === 'waiting') {
      this.phase = 'idle';
    }
  }

  /** Sends nothing until `retry`. */
  hold(): void {
    if (this.phase === 'idle') {
      this.phase = 'waiting';
    }
  }

  /** The sink has stored nothing of the batch and never will. When it is down to one item, takes that out and returns it. */
  refused(reason: 'too_large' | 'invalid'): LaneItem | null {
    const batch = this.batch;
    this.batch = null;
    this.failures.clear();
    this.phase = 'idle';
    const count = batch?.items.length ?? 0;
    if (count === 1) {
      this.suspects = Math.max(0, this.suspects - 1);
      const [item = null] = this.items.splice(0, 1);
      this.delay(item === null ? [] : [item], -1);
      return item;
    }
    this.suspects = count;
    if (reason === 'too_large') {
      this.bytesMax = Math.max(BATCH_BYTES_FLOOR, Math.floor((batch?.bytes ?? 0) / 2));
    }
    return null;
  }

  private delay(items: readonly LaneItem[], by: 1 | -1): void {
    if (this.isBehind) {
      for (const { page } of items) {
        page?.delayed(by);
      }
    }
  }

  private cut(pageMax: number): LaneBatch {
    const countMax = this.suspects > 0 ? Math.ceil(this.suspects / 2) : this.limits.recordsMax;
    const items: LaneItem[] = [];
    const records: SinkRecord[] = [];
    let bytes = 0;
    for (const item of this.items) {
      const isTooMuch = items.length === countMax || (items.length > 0 && bytes + item.bytes > this.bytesMax);
      if (isTooMuch || pageOf(item) > pageMax) {
        break;
      }
      items.push(item);
      records.push(item.record);
      bytes += item.bytes;
    }
    return { items, records, bytes };
  }
}

/** What is of no page may leave whatever the limit is. */
function pageOf({ page }: LaneItem): number {
  return page?.page.number ?? 0;
}
