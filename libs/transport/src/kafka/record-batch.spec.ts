import { randomBytes } from 'node:crypto';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { compressionsAlgorithms, crc32c, createRecordsBatch, Reader, readRecordsBatch } from '@platformatic/kafka';
import { type SinkHeader, type SinkRecord } from '../sink-port.js';
import { batchCompression } from './batch-compression.js';
import { recordBytes } from '../batch-limits.js';
import { encodeRecordBatch } from './record-batch.js';

const timestamp = 1_795_000_000_123n;

function record(key: string, value: Buffer, headers: readonly SinkHeader[] = []): SinkRecord {
  return { key: Buffer.from(key), value, headers };
}

/** Lengths around every edge of a varint, empty fields, bytes that are no text, a header name that comes twice. */
const records: readonly SinkRecord[] = [
  record('', Buffer.alloc(0)),
  record('a', Buffer.from([0, 255, 128, 127]), [[Buffer.from('id'), Buffer.alloc(0)]]),
  ...[1, 23, 24, 25, 63, 64, 65, 8_191, 8_192, 300_000].map((size) => record(`k${size}`, Buffer.alloc(size, size))),
  record('headers', Buffer.from('v'), [
    [Buffer.from('id'), Buffer.from('1')],
    [Buffer.from('id'), Buffer.from('2')],
    [Buffer.from('long'), Buffer.alloc(100, 7)],
  ]),
  ...Array.from({ length: 200 }, (_, index) =>
    record(`key ${index}`, Buffer.from(`value ${index}`), [[Buffer.from('n'), Buffer.from(String(index))]]),
  ),
];

/** What another implementation makes of the same records, with the two fields that mean "none" as -1 like Java. */
function encodedByTheClient(plain: readonly SinkRecord[]): Buffer {
  const messages = plain.map(({ key, value, headers }) => ({
    topic: 't',
    partition: 0,
    key,
    value,
    headers: new Map(headers.map(([name, content]) => [name, content])),
    timestamp,
  }));
  return createRecordsBatch(messages, { producerEpoch: -1, partitionLeaderEpoch: -1 }).buffer;
}

describe('a record batch', () => {
  it('is byte for byte what another client writes, apart from the base sequence', async () => {
    const ours = await encodeRecordBatch(records, { timestamp, crc32c });
    const theirs = encodedByTheClient(records);
    theirs.writeInt32BE(-1, 53);
    theirs.writeUInt32BE(crc32c(theirs.subarray(21)), 17);

    expect(ours.equals(theirs)).toBe(true);
  });

  it('is read back as what was written', async () => {
    const bytes = await encodeRecordBatch(records, { timestamp, crc32c });

    const batch = readRecordsBatch(Reader.from(bytes));

    expect(batch).toMatchObject({ firstTimestamp: timestamp, maxTimestamp: timestamp, producerId: -1n, attributes: 0 });
    const read = batch.records.map(({ key, value, headers }) => [key, value, headers]);
    expect(read).toEqual(records.map(({ key, value, headers }) => [key, value, headers]));
  });

  it.each([
    ['gzip', 1, gunzipSync],
    ['snappy', 2, compressionsAlgorithms.snappy.decompressSync],
    ['lz4', 3, compressionsAlgorithms.lz4.decompressSync],
    ['zstd', 4, zstdDecompressSync],
  ] as const)('holds the same records compressed by %s, with a mark that says so', async (codec, mark, decompress) => {
    const compression = batchCompression(codec, (name, bytes) => compressionsAlgorithms[name].compressSync(bytes));
    const plain = await encodeRecordBatch(records, { timestamp, crc32c });
    const small = await encodeRecordBatch(records, { timestamp, compression, crc32c });

    expect(small.readInt16BE(21)).toBe(mark);
    expect(small.readInt32BE(8)).toBe(small.length - 12);
    expect(small.readUInt32BE(17)).toBe(crc32c(small.subarray(21)));
    expect(small.length).toBeLessThan(plain.length / 2);
    expect(decompress(small.subarray(61)).equals(plain.subarray(61))).toBe(true);
  });

  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'goes as it is where %s does not make it smaller',
    async (codec) => {
      const compression = batchCompression(codec, (name, bytes) => compressionsAlgorithms[name].compressSync(bytes));
      const noise = [record('', randomBytes(100_000))];

      const batch = await encodeRecordBatch(noise, { timestamp, compression, crc32c });

      expect(batch.equals(await encodeRecordBatch(noise, { timestamp, crc32c }))).toBe(true);
    },
  );

  it('names its producer and its number where it has them', async () => {
    const stamp = { producerId: 2n ** 40n, producerEpoch: 3, baseSequence: 77 };

    const batch = readRecordsBatch(Reader.from(await encodeRecordBatch(records, { timestamp, crc32c, stamp })));

    const { producerId, producerEpoch, baseSequence: firstSequence } = stamp;
    expect(batch).toMatchObject({ producerId, producerEpoch, firstSequence, attributes: 0 });
  });

  it('is never larger than the sum of recordBytes and what the batch itself takes', async () => {
    for (const one of records) {
      const bytes = await encodeRecordBatch([one], { timestamp, crc32c });
      expect(bytes.length).toBeLessThanOrEqual(64 + recordBytes(one));
    }
  });
});
