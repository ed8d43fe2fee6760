import { type DeliveredChunk, type Delivery } from '../subscription-port.js';
import { readBatchRecords } from './batch-records.js';
import { crc32c } from './crc32c.js';
import { UnreadableBatchError } from './unreadable-batch-error.js';
import { type AbortedTransaction } from './wire/fetch-api.js';
import { WireFormatError } from './wire/wire-buffers.js';

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
/** Of a batch, the bytes before those that its length counts. */
const UNCOUNTED_BYTES = 12;
/** Of a batch, the bytes before those that its checksum covers. */
const UNCHECKED_BYTES = 21;
const MAGIC = 2;
const COMPRESSION_BITS = 0b111;
const LOG_APPEND_TIME = 0b1000;
const TRANSACTIONAL = 0b10000;
const CONTROL = 0b100000;
/** A part ends with the batch that makes it so large: what a chunk unfolds to is never in memory as a whole. */
const PART_BYTES = 1_048_576;

/** One batch in a chunk; the fields of its head are read where they are. */
interface Batch {
  readonly at: number;
  readonly end: number;
  readonly baseOffset: bigint;
  readonly nextOffset: bigint;
  readonly attributes: number;
}

/**
 * The offset after the last whole batch, or the chunk's first one when it is empty. Reads the heads of the batches only.
 * Throws `UnreadableBatchError` when there is something, and nothing that can be read.
 */
export function chunkEnd(chunk: RecordChunk): bigint {
  let end = chunk.firstOffset;
  for (const { nextOffset } of batchesOf(chunk)) {
    end = nextOffset;
  }
  if (chunk.bytes.length > 0 && end <= chunk.firstOffset) {
    throw new UnreadableBatchError(chunk, chunk.firstOffset, 'it ends below the offset that was asked for');
  }
  return end;
}

/**
 * As `readChunk`, but goes on after a batch that cannot be read: `lost` is told of each. Throws `UnreadableBatchError` when
 * there is nothing that can be read as a batch at all.
 */
export function* readChunkOver(
  chunk: RecordChunk,
  decompress: Decompress,
  lost: (error: UnreadableBatchError) => void,
): Generator<DeliveredChunk, void> {
  for (const { at, end, baseOffset } of batchesOf(chunk)) {
    const firstOffset = baseOffset > chunk.firstOffset ? baseOffset : chunk.firstOffset;
    try {
      yield* readChunk({ ...chunk, firstOffset, bytes: chunk.bytes.subarray(at, end) }, decompress);
    } catch (error) {
      if (!(error instanceof UnreadableBatchError)) {
        throw error;
      }
      lost(error);
    }
  }
}

/**
 * Reads the records of a chunk in order, without those below `firstOffset`, those of aborted transactions and Kafka's own
 * markers; a part may have none. Keys, values and headers are views into the chunk. Throws `UnreadableBatchError` at a
 * batch that is broken, in a format before Kafka 0.11 or too large, after everything before it was given.
 * Source: https://kafka.apache.org/documentation/#recordbatch.
 */
export function* readChunk(chunk: RecordChunk, decompress: Decompress): Generator<DeliveredChunk, void> {
  const aborted = new AbortedBatches(chunk.aborted);
  let part = new GrowingPart(chunk.firstOffset);
  for (const batch of batchesOf(chunk)) {
    const kept = part.deliveries.length;
    try {
      assertChecksum(chunk.bytes, batch);
      const isWanted = aborted.isWanted(batch, chunk.bytes.readBigInt64BE(batch.at + 43));
      part.bytes += isWanted ? readBatch(chunk, batch, decompress, part.deliveries) : batch.end - batch.at;
    } catch (error) {
      part.deliveries.length = kept;
      yield* part.unlessEmpty();
      throw new UnreadableBatchError(chunk, batch.baseOffset, error);
    }
    part.nextOffset = batch.nextOffset;
    if (part.bytes >= PART_BYTES) {
      yield part;
      part = new GrowingPart(batch.nextOffset);
    }
  }
  yield* part.unlessEmpty();
}

class GrowingPart implements DeliveredChunk {
  readonly deliveries: Delivery[] = [];
  nextOffset: bigint;
  bytes = 0;

  constructor(readonly firstOffset: bigint) {
    this.nextOffset = firstOffset;
  }

  unlessEmpty(): readonly DeliveredChunk[] {
    return this.nextOffset > this.firstOffset ? [this] : [];
  }
}

/** Tells which batches hold what a reader gets, by the list of aborted transactions that came with them. */
class AbortedBatches {
  readonly #coming: AbortedTransaction[];
  readonly #open = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = [...aborted].sort((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  }

  /** To be asked of each batch, in order. */
  isWanted({ baseOffset, attributes }: Batch, producerId: bigint): boolean {
    for (let next = this.#coming[0]; next !== undefined && next.firstOffset <= baseOffset; next = this.#coming[0]) {
      this.#open.add(next.producerId);
      this.#coming.shift();
    }
    if ((attributes & CONTROL) !== 0) {
      this.#open.delete(producerId);
      return false;
    }
    return (attributes & TRANSACTIONAL) === 0 || !this.#open.has(producerId);
  }
}

/** Returns how many bytes the records are in. */
function readBatch(chunk: RecordChunk, batch: Batch, decompress: Decompress, deliveries: Delivery[]): number {
  const { bytes, topic, partition, firstOffset } = chunk;
  const { at, end, attributes, baseOffset } = batch;
  const compression = attributes & COMPRESSION_BITS;
  const codec = CODECS[compression];
  if (codec === undefined && compression !== 0) {
    throw new WireFormatError(`its compression has the unknown number ${compression}`);
  }
  const body = bytes.subarray(at + HEADER_BYTES, end);
  const records = codec === undefined ? body : decompress(codec, body);
  readBatchRecords(records, deliveries, {
    topic,
    partition,
    firstOffset,
    baseOffset,
    count: bytes.readInt32BE(at + 57),
    baseTimestampMs: Number(bytes.readBigInt64BE(at + 27)),
    appendedMs: (attributes & LOG_APPEND_TIME) === 0 ? undefined : Number(bytes.readBigInt64BE(at + 35)),
  });
  return codec === undefined ? end - at : records.length;
}

/** Ends before a batch that was cut or has a broken head, and throws when that is the first: then there is nothing else. */
function* batchesOf(chunk: RecordChunk): Generator<Batch, void> {
  const { bytes } = chunk;
  let at = 0;
  let expected = 0n;
  while (at < bytes.length) {
    const batch = batchAt(bytes, at, expected);
    if (typeof batch !== 'string') {
      yield batch;
      expected = batch.nextOffset;
      at = batch.end;
    } else if (at === 0) {
      throw new UnreadableBatchError(chunk, chunk.firstOffset, batch);
    } else {
      return;
    }
  }
}

/** The batch that begins there, or why there is none. Its head is looked at, which the checksum does not cover. */
function batchAt(bytes: Buffer, at: number, expected: bigint): Batch | string {
  if (at + HEADER_BYTES > bytes.length) {
    return 'it is cut';
  }
  if (bytes.readInt8(at + 16) !== MAGIC) {
    return 'its format is not that of Kafka 0.11 and later: let such records expire, or copy them with a current producer';
  }
  const end = at + UNCOUNTED_BYTES + bytes.readInt32BE(at + 8);
  if (end < at + HEADER_BYTES) {
    return 'its length is less than that of its head';
  }
  if (end > bytes.length) {
    return 'it is cut';
  }
  const baseOffset = bytes.readBigInt64BE(at);
  const nextOffset = baseOffset + BigInt(bytes.readInt32BE(at + 23)) + 1n;
  if (baseOffset < expected || nextOffset <= baseOffset) {
    return 'its offsets go back';
  }
  return { at, end, baseOffset, nextOffset, attributes: bytes.readInt16BE(at + 21) };
}

function assertChecksum(bytes: Buffer, { at, end }: Batch): void {
  if (crc32c(bytes.subarray(at + UNCHECKED_BYTES, end)) !== bytes.readUInt32BE(at + 17)) {
    throw new WireFormatError('its checksum does not fit');
  }
}
