import { SinkError } from '../transport.errors.js';
import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { ANSWER, assertAnswered } from './kafka-answer.js';
import { type KafkaCluster } from './kafka-cluster.js';
import { chunkEnd, type RecordChunk } from './record-chunk.js';
import { FETCH } from './wire/fetch-api.js';

/** A part of a partition, and the broker that has it. */
export interface LogSpan extends TopicPartition {
  readonly address: string;
  readonly from: bigint;
  readonly to: bigint;
}

/** With what a log is read. */
export interface LogReading {
  readonly cluster: KafkaCluster;
  /** Of one answer. */
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

const MAX_WAIT_MS = 500;
/** Answers without a record while there must be some: the leader has moved, or lost its end. */
const EMPTY_ANSWERS_MAX = 5;
/** Partitions that are read beside each other: while one answer is decoded, the others are on their way. */
const READERS = 4;

/** Reads a span chunk by chunk, without a group; the last one may reach beyond its end. Every failure rejects. */
export async function readLog(
  { cluster, bytesMax, signal }: LogReading,
  span: LogSpan,
  take: (chunk: RecordChunk) => Promise<void>,
): Promise<void> {
  let offset = span.from;
  for (let empty = 0; offset < span.to;) {
    if (signal.aborted) {
      throw new SinkError('unavailable', 'The reading back was called off.');
    }
    const chunk = await fetchChunk(cluster, span, { offset, bytesMax });
    const end = chunkEnd(chunk);
    empty = end > offset ? 0 : empty + 1;
    if (empty > EMPTY_ANSWERS_MAX) {
      throw new SinkError('unavailable', `Partition ${partitionId(span)} gives no record below its end.`);
    }
    await take(chunk);
    offset = end;
  }
}

async function fetchChunk(
  cluster: KafkaCluster,
  { topic, partition, address }: LogSpan,
  { offset, bytesMax }: { readonly offset: bigint; readonly bytesMax: number },
): Promise<RecordChunk> {
  const question = {
    maxWaitMs: MAX_WAIT_MS,
    bytesMax,
    partitionBytesMax: bytesMax,
    partitions: [{ topic, partition, offset }],
    readsUncommitted: true,
  };
  const answer = await cluster.ask(address, FETCH, question);
  assertAnswered(answer.errorCode, 'Fetch');
  const [fetched] = answer.partitions;
  assertAnswered(fetched?.errorCode ?? ANSWER.UNKNOWN_TOPIC_OR_PARTITION, `Fetch of ${topic}/${partition}`);
  return { topic, partition, firstOffset: offset, bytes: fetched?.records ?? Buffer.alloc(0), aborted: [] };
}

/** The results in the order of the items. The first failure ends it; what is under way is waited for. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) {
      const item = items[at];
      if (item !== undefined) {
        results[at] = await work(item);
      }
    }
  };
  const stop = (error: unknown): never => {
    next = items.length;
    throw error;
  };
  const outcomes = await Promise.allSettled(Array.from({ length: READERS }, () => worker().catch(stop)));
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') {
      throw outcome.reason;
    }
  }
  return results;
}
