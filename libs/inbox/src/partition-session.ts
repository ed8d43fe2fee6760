import {
  type AssignedPartition,
  type DeliveredChunk,
  type Delivery,
  type PartitionReceiver,
} from '@millrace/transport';
import { type AttemptResult, type Attempts, type PendingRecord } from './attempts.js';
import { type BatchLimit } from './batch-limit.js';
import { type BatchScheduler, type BatchSource } from './batch-scheduler.js';
import { type Decoded, decodeDelivery, type LowMark, type Mark } from './decode-delivery.js';
import { type HandlerRegistry } from './handler-registry.js';
import { type ConsumerLimits } from './inbox.config.js';
import { type InboxClock } from './inbox-clock.js';
import { type InboxObserver, type Settlement } from './inbox-observer.js';
import { type Arrival, type HoldVerdict, type PartitionProgress } from './inbox-port.js';
import { KeyLanes } from './key-lanes.js';
import { OffsetWindow, type WindowChunk, type WindowEntry } from './offset-window.js';
import { type Hole, PartitionPlace } from './partition-place.js';
import { policyFor } from './retry-policy.js';
import { UnsettledRecords } from './unsettled-records.js';

/** What the sessions of a consumer have in common. */
export interface SessionParts {
  readonly registry: HandlerRegistry;
  readonly attempts: Attempts;
  readonly scheduler: BatchScheduler;
  readonly clock: InboxClock;
  readonly limits: Pick<ConsumerLimits, 'windowRecordsMax' | 'windowBytesMax'>;
  readonly batchLimit: BatchLimit;
  readonly observer: Required<InboxObserver>;
  /** There is progress to write. */
  readonly touched: () => void;
  /** Records of a queue are done, of which there is no progress. */
  readonly settled: () => void;
  /** Writes the progress of this session and commits it, if it can. */
  readonly flush: (session: PartitionSession) => Promise<void>;
}

/**
 * One assignment of a partition: takes its records in, lets their keys run beside each other, and knows how far all of
 * them are done. Once it is closed it begins nothing, and what had not begun comes again to whoever is next.
 */
export class PartitionSession implements PartitionReceiver, BatchSource {
  /** Where the database is: behind the group's offset when it was set back, and then what it has lost comes again. */
  readonly startOffset: bigint | null;
  readonly #lanes = new KeyLanes<Taken>();
  readonly #window: OffsetWindow;
  readonly #waits = new Set<() => void>();
  readonly #place: PartitionPlace;
  readonly #unsettled: UnsettledRecords;
  #savedHole: Hole | null;
  #isClosing = false;
  #isAbandoned = false;
  #isTouched = false;
  #running = 0;
  #wakeReceiver = (): void => undefined;
  #wakeCloser = (): void => undefined;

  constructor(
    private readonly parts: SessionParts,
    private readonly assigned: AssignedPartition,
    known: PartitionProgress,
  ) {
    const { windowRecordsMax: recordsMax, windowBytesMax: bytesMax } = parts.limits;
    this.#window = new OffsetWindow({ recordsMax, bytesMax });
    this.#place = new PartitionPlace(known, assigned.committedOffset);
    this.#unsettled = new UnsettledRecords(assigned);
    this.#savedHole = known.hole;
    this.startOffset = known.nextOffset;
    parts.scheduler.add(this);
    this.#tellUnknown();
  }

  get topic(): string {
    return this.assigned.topic;
  }

  get partition(): number {
    return this.assigned.partition;
  }

  /** Records taken in and not below the watermark. */
  get pending(): number {
    return this.#window.size;
  }

  get hole(): Hole | null {
    return this.#place.hole;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** The hole is known to the database, so that its absence there means that somebody has thawed the partition. */
  get isFrozenForAll(): boolean {
    return this.hole !== null && this.hole === this.#savedHole;
  }

  async receive({ deliveries, firstOffset, nextOffset, bytes }: DeliveredChunk): Promise<void> {
    if (!(await this.#hasRoom(() => this.#window.hasRoomForChunk()))) {
      return;
    }
    this.#arrive({ firstOffset, nextOffset });
    const chunk = this.#window.begin(bytes);
    for (const delivery of deliveries) {
      if (!(await this.#hasRoom(() => this.#window.hasRoomForRecord()))) {
        return;
      }
      this.#takeIn(delivery, chunk);
    }
    this.#passOver(nextOffset, deliveries, chunk);
    this.#window.end(chunk);
    this.parts.scheduler.pump();
  }

  /** Begins nothing more, and what it knows as done is never written: the database may not have it. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#beginNothing();
  }

  async close(): Promise<void> {
    this.#beginNothing();
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#wakeCloser = resolve;
      });
    }
    await this.parts.flush(this);
    this.parts.scheduler.remove(this);
  }

  get readyEvents(): number {
    return this.#isClosing ? 0 : this.#lanes.readyItems;
  }

  async runBatch(eventsMax: number): Promise<void> {
    const batch = this.#lanes.take(Math.min(eventsMax, this.parts.batchLimit.size), isAlone);
    this.#running++;
    const result = await this.parts.attempts.run(batch.map(({ record }) => record));
    this.#running--;
    this.#ended(batch, result);
    if (this.#running === 0) {
      this.#wakeCloser();
    }
  }

  /** What is to be written, or null when nothing has changed; until `saved` or `notSaved` nothing else is. */
  takeProgress(): PartitionProgress | null {
    const nextOffset = this.#window.nextOffset ?? this.#offsetAfterUnknown();
    if (!this.#isTouched || this.#isAbandoned || this.#unsettled.isQueue || nextOffset === null) {
      return null;
    }
    this.#isTouched = false;
    const progress = this.#place.progress(nextOffset);
    // a hole is told once: told again, it would undo the thaw of somebody who was faster
    return this.isFrozenForAll ? { ...progress, hole: null } : progress;
  }

  /** The progress is durable: the group may go on from there. */
  saved(progress: PartitionProgress): void {
    if (progress.hole !== null) {
      this.#savedHole = progress.hole;
    }
    if (progress.nextOffset !== null) {
      this.assigned.commit(progress.nextOffset);
    }
  }

  notSaved(): void {
    this.#isTouched = true;
  }

  /** What the database has of a frozen partition; without a hole the floors move again. */
  refresh(known: PartitionProgress): void {
    if (this.isFrozenForAll && known.hole === null) {
      this.#place.thaw(known);
      this.parts.observer.partitionThawed({ topic: this.topic, partition: this.partition });
    }
  }

  #beginNothing(): void {
    this.#isClosing = true;
    this.#wakeReceiver();
    for (const cancel of this.#waits) {
      cancel();
    }
    this.#waits.clear();
  }

  /** It is written at once, not with the first record: so it can be thawed, and a restart knows of it. */
  #tellUnknown(): void {
    const { unknown } = this.#place;
    if (unknown !== null) {
      this.#touch();
      this.parts.observer.progressMissing({ topic: this.topic, partition: this.partition, ...unknown });
    }
  }

  #offsetAfterUnknown(): bigint | null {
    const { unknown } = this.#place;
    return unknown === null ? null : unknown.to + 1n;
  }

  /** Waits until there is; false when it closes meanwhile. */
  async #hasRoom(isThere: () => boolean): Promise<boolean> {
    while (!isThere() && !this.#isClosing) {
      this.parts.scheduler.pump();
      await new Promise<void>((resolve) => {
        this.#wakeReceiver = resolve;
      });
    }
    return !this.#isClosing;
  }

  #arrive(offsets: Pick<DeliveredChunk, 'firstOffset' | 'nextOffset'>): void {
    const hole = this.#place.arrive(offsets);
    if (hole !== null) {
      this.#touch();
      this.parts.observer.partitionFrozen({ topic: this.topic, partition: this.partition, ...hole });
    }
  }

  /** What a chunk has behind its last record, or has alone, is done with what is before it. */
  #passOver(nextOffset: bigint, deliveries: readonly Delivery[], chunk: WindowChunk): void {
    const last = deliveries.at(-1)?.offset;
    if (last === undefined || last + 1n < nextOffset) {
      this.#finish(this.#window.add(chunk, nextOffset - 1n, null));
    }
  }

  #takeIn(delivery: Delivery, chunk: WindowChunk): void {
    const isHandled = (type: string): boolean => this.parts.registry.handlerOf(type) !== undefined;
    const decoded = this.#unsettled.read(decodeDelivery(delivery, isHandled));
    const mark = decoded.kind === 'malformed' ? null : this.#believed(delivery, decoded.mark);
    const entry = this.#window.add(chunk, delivery.offset, mark);
    this.#unsettled.add(entry, delivery);
    switch (decoded.kind) {
      case 'unhandled':
        this.#settleAtOnce(delivery, entry, { settlement: 'unhandled', type: decoded.type });
        return;
      case 'malformed':
        this.#queue(decoded.arrival, entry, malformedVerdict(decoded));
        return;
      case 'event':
        this.#takeEvent(decoded.arrival, entry);
    }
  }

  #takeEvent(arrival: Arrival, entry: WindowEntry): void {
    if (this.#place.isBelowFloor(arrival)) {
      this.#settleAtOnce(arrival.delivery, entry, { settlement: 'duplicate', type: arrival.type });
    } else {
      this.#queue(arrival, entry, null);
    }
  }

  #believed({ topic, partition, offset }: Delivery, mark: Mark): LowMark | null {
    if (mark !== 'refused') {
      return mark;
    }
    this.parts.observer.lowRefused({ topic, partition, offset });
    return null;
  }

  #queue(arrival: Arrival, entry: WindowEntry, verdict: HoldVerdict | null): void {
    const isAlone = verdict !== null;
    const record = { arrival, verdict, isAlone, attempts: 0, holdFailures: 0, firstFailedMs: null };
    this.#lanes.add(arrival.key, { entry, record });
  }

  #settleAtOnce(
    { topic, partition, timestampMs }: Delivery,
    entry: WindowEntry,
    what: { readonly settlement: Settlement; readonly type: string },
  ): void {
    this.#finish(entry);
    const ageMs = this.parts.clock.wallMs() - timestampMs;
    this.parts.observer.recordSettled({ ...what, topic, partition, ageMs });
  }

  #ended(batch: readonly Taken[], result: AttemptResult): void {
    const keys = new Set(batch.map(({ record }) => record.arrival.key));
    switch (result.kind) {
      case 'settled':
        for (const key of keys) {
          this.#lanes.finish(key);
        }
        for (const { entry } of batch) {
          this.#finish(entry);
        }
        return;
      case 'back':
        this.#putBack(keys, result.waitMs);
    }
  }

  #putBack(keys: ReadonlySet<string>, waitMs: number): void {
    if (this.#isClosing) {
      return;
    }
    const putBack = (): void => {
      for (const key of keys) {
        this.#lanes.putBack(key);
      }
    };
    if (waitMs === 0) {
      putBack();
      return;
    }
    const cancel = this.parts.clock.after(waitMs, () => {
      this.#waits.delete(cancel);
      putBack();
      this.parts.scheduler.pump();
    });
    this.#waits.add(cancel);
  }

  #finish(entry: WindowEntry): void {
    const passed = this.#window.finish(entry);
    this.#unsettled.finish(entry, !this.#isAbandoned);
    this.#wakeReceiver();
    if (passed.length > 0) {
      this.#touch();
    }
    for (const { mark } of passed) {
      if (mark !== null) {
        this.#place.pass(mark);
      }
    }
  }

  #touch(): void {
    this.#isTouched = true;
    if (this.#unsettled.isQueue) {
      this.parts.settled();
    } else {
      this.parts.touched();
    }
  }
}

interface Taken {
  readonly entry: WindowEntry;
  readonly record: PendingRecord;
}

function isAlone({ record }: Taken): boolean {
  return record.isAlone;
}

function malformedVerdict({ reason }: Extract<Decoded, { kind: 'malformed' }>): HoldVerdict {
  return { kind: 'parked', code: 'malformed', reason: `${reason}. ${policyFor('malformed').advice}` };
}
