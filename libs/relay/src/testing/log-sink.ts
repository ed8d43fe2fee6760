import {
  type Delivery,
  type ReadTailsRequest,
  SinkError,
  type SinkLane,
  type SinkPort,
  type SinkReceipt,
  type SinkRecord,
  type SinkTopic,
  type TailEnd,
  type TailStart,
} from '@millrace/transport';
import { headerOf } from './fake-sink.js';

/** A sink of two lanes per topic that keeps what it is sent, and can be read. */
export class LogSink implements SinkPort {
  readonly kind = 'log';
  readonly features = {
    isOrdered: true,
    isBatchAtomic: true,
    isDeduplicating: false,
    recordBytesMax: 1_000_000,
    batchRecordsMax: 1_000,
    batchBytesMax: 1_000_000,
  };
  /** By lane. */
  readonly logs = new Map<string, SinkRecord[]>();
  topicId: string | null = 'id-1';
  readings = 0;
  /** Sends are stored, and have no answer. */
  isMute = false;
  /** Readings wait until it is resolved. */
  readHold: Promise<void> | null = null;
  /** Each of these lanes, and all after it, are read when its promise is resolved. */
  readonly slow = new Map<string, Promise<void>>();
  /** Of these lanes no reading succeeds. */
  readonly failing = new Map<string, SinkError>();

  start(): Promise<void> {
    return Promise.resolve();
  }

  openTopic(topic: string): Promise<SinkTopic> {
    const lanes: [SinkLane, SinkLane] = [
      { id: `${topic}/0`, topic, partition: 0 },
      { id: `${topic}/1`, topic, partition: 1 },
    ];
    return Promise.resolve({ name: topic, lanes, laneOf: (key) => (key.toString() === 'other' ? lanes[1] : lanes[0]) });
  }

  send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    const log = this.logOf(lane.id);
    const baseOffset = BigInt(log.length);
    log.push(...records);
    return this.isMute
      ? Promise.reject(new SinkError('timeout', 'There was no answer.'))
      : Promise.resolve({ baseOffset });
  }

  async readTails({ lanes, take, ended }: ReadTailsRequest): Promise<void> {
    this.readings += 1;
    await this.readHold;
    for (const lane of lanes) {
      await this.slow.get(`${lane.topic}/${lane.partition}`);
      ended(this.tailOf(lane, take));
    }
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  logOf(laneId: string): SinkRecord[] {
    const known = this.logs.get(laneId) ?? [];
    this.logs.set(laneId, known);
    return known;
  }

  /** Positions in a lane, in order. */
  positionsIn(laneId: string): string[] {
    return this.logOf(laneId).map((record) => headerOf(record, 'millrace-position') ?? '');
  }

  private tailOf({ topic, partition, from }: TailStart, take: ReadTailsRequest['take']): TailEnd {
    const lane = { topic, partition };
    const log = this.logOf(`${topic}/${partition}`);
    const { topicId } = this;
    const end = BigInt(log.length);
    const error = this.failing.get(`${topic}/${partition}`);
    if (error !== undefined) {
      return { kind: 'failed', ...lane, error };
    }
    if (from !== null && from.topicId !== null && from.topicId !== topicId) {
      return { kind: 'replaced', ...lane, topicId };
    }
    if (from !== null && from.offset > end) {
      return { kind: 'cut', ...lane, topicId, end };
    }
    const records = log
      .map((record, offset) => deliveryOf(record, { ...lane, offset: BigInt(offset) }))
      .filter(({ offset }) => from !== null && offset >= from.offset && offset < (from.to ?? end));
    take(records);
    return { kind: 'read', ...lane, topicId, end, records: records.length, unreadable: 0 };
  }
}

function deliveryOf(
  { key, value, headers }: SinkRecord,
  place: Pick<Delivery, 'topic' | 'partition' | 'offset'>,
): Delivery {
  const read = new Map(headers.map(([name, text]) => [name.toString(), text]));
  return { ...place, key, value, headers: read, timestampMs: 1_800_000_000_000 };
}
