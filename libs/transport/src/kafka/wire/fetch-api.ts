import { type WireApi, type WireReader } from './wire-buffers.js';

export interface FetchQuestion {
  /** How long the broker waits for a first byte. */
  readonly maxWaitMs: number;
  /** Of the whole answer, and of one partition in it; a batch that is larger still comes, alone. */
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
  /** The first ones are served first. */
  readonly partitions: readonly { readonly topic: string; readonly partition: number; readonly offset: bigint }[];
  /** Also what producers' transactions have not committed, up to the high watermark. */
  readonly readsUncommitted?: boolean;
}

/** Of a producer's transaction that ended without a commit: where its records begin. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Record batches as they are in the log; the first may begin below the offset asked for, the last may be cut. */
  readonly records: Buffer;
}

export interface FetchAnswer {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
const NO_SESSION_EPOCH = -1;

/** Without a fetch session: each request names all that it wants, so nothing is left to get out of step. */
export const FETCH: WireApi<FetchQuestion, FetchAnswer> = {
  name: 'Fetch',
  key: 1,
  version: 11,
  write(writer, { maxWaitMs, bytesMax, partitionBytesMax, partitions, readsUncommitted = false }) {
    writer.int32(-1).int32(maxWaitMs).int32(1).int32(bytesMax);
    writer
      .int8(readsUncommitted ? READ_UNCOMMITTED : READ_COMMITTED)
      .int32(0)
      .int32(NO_SESSION_EPOCH);
    // one entry per partition, because the order decides who is served first
    writer.array(partitions, (topics, { topic, partition, offset }) =>
      topics
        .string(topic)
        .array([partition], (to) => to.int32(partition).int32(-1).int64(offset).int64(-1n).int32(partitionBytesMax)),
    );
    writer.array([], () => undefined).string('');
  },
  read(reader) {
    reader.int32(); // throttle time
    const errorCode = reader.int16();
    reader.int32(); // session
    const partitions = reader.array((topics) => {
      const topic = topics.string();
      return topics.array((item) => readPartition(item, topic));
    });
    return { errorCode, partitions: partitions.flat() };
  },
};

function readPartition(reader: WireReader, topic: string): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16();
  reader.int64(); // high watermark
  reader.int64(); // last stable offset
  reader.int64(); // log start
  const aborted = reader.array((item) => ({ producerId: item.int64(), firstOffset: item.int64() }));
  reader.int32(); // preferred replica
  return { topic, partition, errorCode, aborted, records: reader.bytes() };
}
