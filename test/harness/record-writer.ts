import { HEADER } from '@millrace/events';
import { createKafkaSink, type SinkLane, type SinkPort, type SinkRecord, type SinkTopic } from '@millrace/transport';
import { type KafkaClient } from './relay-process.js';

/** An event as a relay has it in hand. */
export interface RelayedEvent {
  readonly id: string;
  readonly position: number;
  readonly type: string;
  readonly key: string;
  readonly version: number;
  /** JSON text. */
  readonly payload: string;
}

/** What a writer says of itself and of the events that it sends. */
export interface RecordWriterOptions {
  readonly brokers: readonly string[];
  readonly client: KafkaClient;
  readonly topic: string;
}

const NAMES = { source: 'main', route: 'consume', epoch: '1' };
const NAME = Object.fromEntries(Object.values(HEADER).map((name) => [name, Buffer.from(name)]));

/**
 * Puts records into a topic as a relay does, without an outbox behind it: the same partitions and headers, a page after
 * the other, each page's `millrace-low` the caller's word.
 */
export class RecordWriter {
  private constructor(
    private readonly sink: SinkPort,
    private readonly topic: SinkTopic,
  ) {}

  static async open({ brokers, client, topic }: RecordWriterOptions): Promise<RecordWriter> {
    const sink = createKafkaSink({ client, connection: { brokers }, topics: { create: false } });
    await sink.start();
    return new RecordWriter(sink, await sink.openTopic(topic));
  }

  /** Sends a page; resolves when all of it is stored. */
  async send(
    events: readonly RelayedEvent[],
    low: number,
    extra: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const lanes = new Map<SinkLane, SinkRecord[]>();
    for (const event of events) {
      const key = Buffer.from(event.key);
      const lane = this.topic.laneOf(key);
      const records = lanes.get(lane) ?? [];
      records.push({ key, value: Buffer.from(event.payload), headers: headersOf(event, low, extra) });
      lanes.set(lane, records);
    }
    await Promise.all([...lanes].map(([lane, records]) => this.sink.send(lane, records)));
  }

  /** The partition that a key's records go to. */
  partitionOf(key: string): number {
    return this.topic.laneOf(Buffer.from(key)).partition;
  }

  async close(): Promise<void> {
    await this.sink.stop();
  }
}

function headersOf(
  { id, position, type, version }: RelayedEvent,
  low: number,
  extra: Readonly<Record<string, string>>,
): [Buffer, Buffer][] {
  const headers: Readonly<Record<string, string>> = {
    [HEADER.id]: id,
    [HEADER.eventType]: type,
    [HEADER.schemaVersion]: '1',
    [HEADER.aggregateVersion]: String(version),
    [HEADER.source]: NAMES.source,
    [HEADER.route]: NAMES.route,
    [HEADER.position]: String(position),
    [HEADER.epoch]: NAMES.epoch,
    [HEADER.low]: String(low),
    ...extra,
  };
  return Object.entries(headers).map(([name, value]) => [NAME[name] ?? Buffer.from(name), Buffer.from(value)]);
}
