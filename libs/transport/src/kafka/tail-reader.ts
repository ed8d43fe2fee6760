import { type ReadTailsRequest, type TailEnd, type TailStart } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { partitionId } from './by-topic.js';
import { ANSWER, assertAnswered } from './kafka-answer.js';
import { type KafkaCluster, type TopicLeaders } from './kafka-cluster.js';
import { inParallel, type LogSpan, readLog } from './log-reading.js';
import { type Decompress, readChunkOver } from './record-chunk.js';
import { EARLIEST, type FoundOffset, LATEST, OFFSETS_AT } from './wire/cluster-apis.js';
import { UnreadableBatchError } from './unreadable-batch-error.js';
import { API_VERSIONS, TOPIC_IDS } from './wire/topic-ids.js';

/** What a tail reader is made of. */
export interface TailReaderParts {
  readonly cluster: KafkaCluster;
  readonly decompress: Decompress;
  /** Of one answer. */
  readonly bytesMax: number;
  /** What an error of the client or the broker means. */
  readonly sinkErrorOf: (error: unknown) => SinkError;
}

/** A lane with the broker that leads it. */
interface Led {
  readonly start: TailStart;
  readonly topicId: string | null;
  readonly address: string;
}

/** By `partitionId`. */
type Offsets = ReadonlyMap<string, FoundOffset>;

/** Reads the ends of partitions, once, without a group. */
export class TailReader {
  constructor(private readonly parts: TailReaderParts) {}

  /** Contract: `SinkPort.readTails`. */
  async read(request: ReadTailsRequest): Promise<void> {
    const { cluster } = this.parts;
    const topics = [...new Set(request.lanes.map(({ topic }) => topic))];
    const leaders = await cluster.leadersOf(topics);
    const ids = await this.#idsOf(leaders);
    const byBroker = new Map<string, Led[]>();
    for (const start of request.lanes) {
      const led = this.#lead(start, leaders, ids);
      if ('kind' in led) {
        request.ended(led);
      } else {
        byBroker.set(led.address, [...(byBroker.get(led.address) ?? []), led]);
      }
    }
    await Promise.all([...byBroker].map(([address, lanes]) => this.#readBroker(address, lanes, request)));
  }

  /** Empty where the brokers have no ids for topics (before Kafka 2.8). */
  async #idsOf(leaders: TopicLeaders): Promise<ReadonlyMap<string, string>> {
    const { cluster } = this.parts;
    const node = [...leaders.values()].flat().find((leader) => leader >= 0);
    if (node === undefined) {
      return new Map();
    }
    const address = cluster.addressOf(node);
    const { errorCode, apis } = await cluster.ask(address, API_VERSIONS, null);
    assertAnswered(errorCode, 'ApiVersions');
    if (!apis.some(({ key, max }) => key === TOPIC_IDS.key && max >= TOPIC_IDS.version)) {
      return new Map();
    }
    const found = await cluster.ask(address, TOPIC_IDS, { topics: [...leaders.keys()] });
    return new Map(found.filter(({ errorCode: code }) => code === 0).map(({ topic, id }) => [topic, id]));
  }

  #lead(start: TailStart, leaders: TopicLeaders, ids: ReadonlyMap<string, string>): Led | TailEnd {
    const { topic, partition, from } = start;
    const leader = leaders.get(topic)?.[partition];
    const topicId = ids.get(topic) ?? null;
    const isOther = from !== null && from.topicId !== null && topicId !== null && from.topicId !== topicId;
    if (leader === undefined || isOther) {
      return { kind: 'replaced', topic, partition, topicId };
    }
    if (leader < 0) {
      const error = new SinkError('unavailable', `Partition ${partitionId(start)} has no leader at the moment.`);
      return { kind: 'failed', topic, partition, error };
    }
    return { start, topicId, address: this.parts.cluster.addressOf(leader) };
  }

  async #readBroker(address: string, lanes: readonly Led[], request: ReadTailsRequest): Promise<void> {
    const failed = ({ start: { topic, partition } }: Led, error: unknown): void => {
      request.ended({ kind: 'failed', topic, partition, error: this.parts.sinkErrorOf(error) });
    };
    try {
      const read = lanes.flatMap(({ start }) => (start.from === null ? [] : [{ start, from: start.from }]));
      // the end is asked for first: a record that comes after it is not ours to know
      const ends = await this.#offsets(
        address,
        lanes.map(({ start }) => ({ start, at: LATEST })),
      );
      const firsts = await this.#offsets(
        address,
        read.map(({ start }) => ({ start, at: EARLIEST })),
      );
      const since = await this.#offsets(
        address,
        read.map(({ start, from }) => ({ start, at: BigInt(Math.max(0, Math.floor(from.sinceMs))) })),
      );
      await inParallel(lanes, (led) =>
        this.#readLane(led, { ends, firsts, since }, request).catch((error: unknown) => {
          failed(led, error);
        }),
      );
    } catch (error) {
      for (const led of lanes) {
        failed(led, error);
      }
    }
  }

  async #offsets(address: string, asked: readonly { start: TailStart; at: bigint }[]): Promise<Offsets> {
    if (asked.length === 0) {
      return new Map();
    }
    const question = asked.map(({ start: { topic, partition }, at }) => ({ topic, partition, at }));
    const found = await this.parts.cluster.ask(address, OFFSETS_AT, question);
    return new Map(found.map((one) => [partitionId(one), one]));
  }

  async #readLane(
    { start, topicId, address }: Led,
    { ends, firsts, since }: { readonly ends: Offsets; readonly firsts: Offsets; readonly since: Offsets },
    request: ReadTailsRequest,
  ): Promise<void> {
    const { topic, partition, from } = start;
    const end = offsetOf(ends, start);
    if (from === null) {
      request.ended({ kind: 'read', topic, partition, topicId, end, records: 0, unreadable: 0 });
    } else if (end < from.offset) {
      request.ended({ kind: 'cut', topic, partition, topicId, end });
    } else {
      const young = offsetOf(since, start);
      const first = max(from.offset, offsetOf(firsts, start), young < 0n ? end : young);
      const span = { topic, partition, address, from: first, to: min(end, from.to ?? end) };
      request.ended({ kind: 'read', topic, partition, topicId, end, ...(await this.#readSpan(span, request)) });
    }
  }

  async #readSpan(
    span: LogSpan,
    { signal, take }: ReadTailsRequest,
  ): Promise<{ readonly records: number; readonly unreadable: number }> {
    const { cluster, bytesMax, decompress } = this.parts;
    let [records, unreadable] = [0, 0];
    const lost = (): void => {
      unreadable += 1;
    };
    const reading = readLog({ cluster, bytesMax, signal }, span, (chunk) => {
      for (const { deliveries } of readChunkOver(chunk, decompress, lost)) {
        const wanted = deliveries.filter(({ offset }) => offset < span.to);
        records += wanted.length;
        take(wanted);
      }
      return Promise.resolve();
    });
    await reading.catch((error: unknown) => {
      if (!(error instanceof UnreadableBatchError)) {
        throw error;
      }
      lost();
    });
    return { records, unreadable };
  }

  close(): void {
    this.parts.cluster.disconnect();
  }
}

function offsetOf(offsets: Offsets, lane: TailStart): bigint {
  const { errorCode, offset } = offsets.get(partitionId(lane)) ?? {
    errorCode: ANSWER.OFFSET_NOT_AVAILABLE,
    offset: -1n,
  };
  assertAnswered(errorCode, `ListOffsets of ${partitionId(lane)}`);
  return offset;
}

function max(...offsets: readonly bigint[]): bigint {
  return offsets.reduce((highest, offset) => (offset > highest ? offset : highest));
}

function min(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
