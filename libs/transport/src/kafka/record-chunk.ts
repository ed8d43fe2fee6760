import { type Delivery } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { readBatchRecords } from './batch-records.js';
import { type AbortedTransaction } from './wire/fetch-api.js';

/** What a fetch brought of one partition, still as it is in the log. */
export interface RecordChunk {
  readonly topic: string;
  readonly partition: number;
  /** Records below it came along, because their batch did, and are not wanted. */
  readonly firstOffset: bigint;
  /** Whole batches, and perhaps the beginning of one more. */
  readonly bytes: Buffer;
  readonly aborted: readonly AbortedTransaction[];
}

export type CompressionCodec = 'gzip' | 'snappy' | 'lz4' | 'zstd';
export type Decompress = (codec: CompressionCodec, bytes: Buffer) => Buffer;

/** By Kafka's numbers. */
const CODECS: readonly (CompressionCodec | undefined)[] = [undefined, 'gzip', 'snappy', 'lz4', 'zstd'];
const HEADER_BYTES = 61;
const MAGIC = 2;
const COMPRESSION_BITS = 0b111;
const LOG_APPEND_TIME = 0b1000;
const TRANSACTIONAL = 0b10000;
const CONTROL = 0b100000;

/** One batch in a chunk; the fields of its head are read where they are. */
interface Batch {
  readonly at: number;
  readonly end: number;
  readonly baseOffset: bigint;
  readonly attributes: number;
}

/** The offset after the last whole batch; undefined when there is none. Reads the heads of the batches only. */
export function chunkEnd(bytes: Buffer): bigint | undefined {
  let end: bigint | undefined;
  for (const { at, baseOffset } of batchesOf(bytes)) {
    end = baseOffset + BigInt(bytes.readInt32BE(at + 23)) + 1n;
  }
  return end;
}

/**
 * Reads the records of a chunk in order, without those below `firstOffset`, those of aborted transactions and Kafka's own
 * markers. Keys, values and headers are views into the chunk. Throws `SinkError` `configuration` for records in a format
 * before Kafka 0.11. Source: https://kafka.apache.org/documentation/#recordbatch.
 */
export function readChunk(chunk: RecordChunk, decompress: Decompress): Delivery[] {
  const { bytes, topic } = chunk;
  const deliveries: Delivery[] = [];
  const openAborts = new Set<bigint>();
  const aborts = [...chunk.aborted].sort((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  for (const batch of batchesOf(bytes)) {
    assertFormat(bytes, batch, topic);
    const producerId = bytes.readBigInt64BE(batch.at + 43);
    while (aborts[0] !== undefined && aborts[0].firstOffset <= batch.baseOffset) {
      openAborts.add(aborts.shift()?.producerId ?? -1n);
    }
    if ((batch.attributes & CONTROL) !== 0) {
      openAborts.delete(producerId);
    } else if ((batch.attributes & TRANSACTIONAL) === 0 || !openAborts.has(producerId)) {
      readBatch(chunk, batch, decompress, deliveries);
    }
  }
  return deliveries;
}

function readBatch(chunk: RecordChunk, batch: Batch, decompress: Decompress, deliveries: Delivery[]): void {
  const { bytes, topic, partition, firstOffset } = chunk;
  const { at, end, attributes, baseOffset } = batch;
  const codec = CODECS[attributes & COMPRESSION_BITS];
  const body = bytes.subarray(at + HEADER_BYTES, end);
  readBatchRecords(codec === undefined ? body : decompress(codec, body), deliveries, {
    topic,
    partition,
    firstOffset,
    baseOffset,
    count: bytes.readInt32BE(at + 57),
    baseTimestampMs: Number(bytes.readBigInt64BE(at + 27)),
    appendedMs: (attributes & LOG_APPEND_TIME) === 0 ? undefined : Number(bytes.readBigInt64BE(at + 35)),
  });
}

/** Ends before a batch that was cut. */
function* batchesOf(bytes: Buffer): Generator<Batch> {
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    const end = at + 12 + bytes.readInt32BE(at + 8);
    if (end > bytes.length) {
      return;
    }
    yield { at, end, baseOffset: bytes.readBigInt64BE(at), attributes: bytes.readInt16BE(at + 21) };
    at = end;
  }
}

function assertFormat(bytes: Buffer, { at }: Batch, topic: string): void {
  if (bytes.readInt8(at + 16) !== MAGIC) {
    throw new SinkError(
      'configuration',
      `Topic ${topic} has records in a format from before Kafka 0.11, which is not read: let them expire, or copy them with a current producer.`,
    );
  }
}
