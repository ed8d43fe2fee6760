import { type ReadBackRequest, type ReadBackResult } from '../sink-port.js';
import { type Delivery } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { assertAnswered } from './kafka-answer.js';
import { type KafkaCluster, type TopicLeaders } from './kafka-cluster.js';
import { inParallel, type LogSpan, readLog } from './log-reading.js';
import { type Decompress, readChunk } from './record-chunk.js';
import { type HeldTopic, whyIncomplete } from './topic-keeping.js';
import { UnreadableBatchError } from './unreadable-batch-error.js';
import { DESCRIBE_TOPICS, EARLIEST, LATEST, OFFSET_AT, type TopicSettings } from './wire/cluster-apis.js';

export interface TopicReaderParts {
  readonly cluster: KafkaCluster;
  readonly decompress: Decompress;
  /** Of one answer. */
  readonly bytesMax: number;
}

type Take = (records: readonly Delivery[]) => Promise<void>;

/** Where the records of a partition are that were asked for. */
interface PartitionSpan extends LogSpan {
  /** The partition has nothing older: what was removed may have been asked for. */
  readonly isFromStart: boolean;
}

const TOPICS_PER_QUESTION = 100;

/** Reads topics back, once, without a group. Every failure rejects: the whole reading is to be made again then. */
export class TopicReader {
  constructor(private readonly parts: TopicReaderParts) {}

  /** Contract: `SinkPort.readBack`. Rejects with what the client or the broker gave, and with what `take` throws. */
  async read(request: ReadBackRequest, take: Take): Promise<ReadBackResult> {
    const leaders = await this.parts.cluster.leadersOf(null, request.isWanted);
    const spans = await inParallel(partitionsOf(leaders), ({ topic, partition, leader }) =>
      this.#spanOf({ topic, partition }, leader, request.sinceMs),
    );
    const reason = whyIncomplete(await this.#heldTopics(spans), { sinceMs: request.sinceMs, nowMs: Date.now() });
    if (reason !== null) {
      return { kind: 'incomplete', reason };
    }
    try {
      await inParallel(spans, (span) => this.#readSpan(span, request.signal, take));
      return { kind: 'complete' };
    } catch (error) {
      if (error instanceof UnreadableBatchError) {
        return { kind: 'incomplete', reason: error.message };
      }
      throw error;
    }
  }

  close(): void {
    this.parts.cluster.disconnect();
  }

  async #spanOf(partition: TopicPartition, leader: number, sinceMs: number): Promise<PartitionSpan> {
    const { cluster } = this.parts;
    if (leader < 0) {
      throw new SinkError('unavailable', `Partition ${partitionId(partition)} has no leader at the moment.`);
    }
    const address = cluster.addressOf(leader);
    const offsetAt = async (at: bigint): Promise<bigint> => {
      const { errorCode, offset } = await cluster.ask(address, OFFSET_AT, { ...partition, at });
      assertAnswered(errorCode, `ListOffsets of ${partitionId(partition)}`);
      return offset;
    };
    // the end is asked for first: a record that comes after it is not ours to know
    const to = await offsetAt(LATEST);
    const since = await offsetAt(BigInt(Math.max(0, Math.floor(sinceMs))));
    const earliest = await offsetAt(EARLIEST);
    const from = since < 0n || since > to ? to : since;
    return { ...partition, address, from, to, isFromStart: earliest > 0n && from <= earliest };
  }

  async #heldTopics(spans: readonly PartitionSpan[]): Promise<readonly HeldTopic[]> {
    const topics = [...new Set(spans.map(({ topic }) => topic))];
    const address = spans[0]?.address;
    const settings: TopicSettings[] = [];
    for (let at = 0; at < topics.length && address !== undefined; at += TOPICS_PER_QUESTION) {
      const question = { topics: topics.slice(at, at + TOPICS_PER_QUESTION), names: SETTINGS };
      settings.push(...(await this.parts.cluster.ask(address, DESCRIBE_TOPICS, question)));
    }
    return topics.map((topic) => {
      const known = settings.find((one) => one.topic === topic && one.errorCode === 0);
      const isFromStart = spans.some((span) => span.topic === topic && span.isFromStart);
      return { topic, isFromStart, settings: known?.values ?? null };
    });
  }

  #readSpan(span: PartitionSpan, signal: AbortSignal, take: Take): Promise<void> {
    const { cluster, bytesMax, decompress } = this.parts;
    return readLog({ cluster, bytesMax, signal }, span, async (chunk) => {
      for (const { deliveries } of readChunk(chunk, decompress)) {
        const wanted = deliveries.filter((delivery) => delivery.offset < span.to);
        if (wanted.length > 0) {
          await take(wanted);
        }
      }
    });
  }
}

const SETTINGS = ['cleanup.policy', 'retention.ms', 'retention.bytes'];

function partitionsOf(leaders: TopicLeaders): readonly (TopicPartition & { readonly leader: number })[] {
  return [...leaders].flatMap(([topic, byPartition]) =>
    byPartition.map((leader, partition) => ({ topic, partition, leader })),
  );
}
