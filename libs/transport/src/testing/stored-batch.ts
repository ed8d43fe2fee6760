import { batchCompression } from '../kafka/batch-compression.js';
import { crc32c } from '../kafka/crc32c.js';
import { encodeRecordBatch } from '../kafka/record-batch.js';
import { type SinkRecord } from '../sink-port.js';

/** A record batch and where it is in the log. */
export interface StoredBatch {
  readonly at: number;
  readonly attributes?: number;
  readonly producerId?: bigint;
  readonly compression?: 'none' | 'gzip';
  readonly records: readonly SinkRecord[];
}

/** The batch as a broker stores it. */
export async function storedBatch(batch: StoredBatch): Promise<Buffer> {
  const { at, attributes = 0, producerId = -1n, compression = 'none', records } = batch;
  const bytes = await encodeRecordBatch(records, {
    timestamp: 1_000n,
    compression: batchCompression(compression),
    crc32c,
  });
  bytes.writeBigInt64BE(BigInt(at), 0);
  bytes.writeInt16BE(bytes.readInt16BE(21) | attributes, 21);
  bytes.writeBigInt64BE(producerId, 43);
  return sealed(bytes);
}

/** A batch whose bytes a test has changed, with the checksum that fits them. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

export function storedRecord(value: string, headers: SinkRecord['headers'] = []): SinkRecord {
  return { key: Buffer.from('key'), value: Buffer.from(value), headers };
}
