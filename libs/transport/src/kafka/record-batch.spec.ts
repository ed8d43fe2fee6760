import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { crc32c, createRecordsBatch, Reader, readRecordsBatch } from '@platformatic/kafka';
import { type SinkHeader, type SinkRecord } from '../sink-port.js';
import { recordBytes } from './batch-limits.js';
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
    const ours = await encodeRecordBatch(records, { timestamp, compression: 'none', crc32c });
    const theirs = encodedByTheClient(records);
    theirs.writeInt32BE(-1, 53);
    theirs.writeUInt32BE(crc32c(theirs.subarray(21)), 17);

    expect(ours.equals(theirs)).toBe(true);
  });

  it('is read back as what was written', async () => {
    const bytes = await encodeRecordBatch(records, { timestamp, compression: 'none', crc32c });

    const batch = readRecordsBatch(Reader.from(bytes));

    expect(batch).toMatchObject({ firstTimestamp: timestamp, maxTimestamp: timestamp, producerId: -1n, attributes: 0 });
    const read = batch.records.map(({ key, value, headers }) => [key, value, headers]);
    expect(read).toEqual(records.map(({ key, value, headers }) => [key, value, headers]));
  });

  it('holds the same records compressed, with a mark that says so', async () => {
    const plain = await encodeRecordBatch(records, { timestamp, compression: 'none', crc32c });
    const small = await encodeRecordBatch(records, { timestamp, compression: 'gzip', crc32c });

    expect(small.readInt16BE(21)).toBe(1);
    expect(small.readInt32BE(8)).toBe(small.length - 12);
    expect(small.readUInt32BE(17)).toBe(crc32c(small.subarray(21)));
    expect(gunzipSync(small.subarray(61)).equals(plain.subarray(61))).toBe(true);
  });

  it('is never larger than the sum of recordBytes and what the batch itself takes', async () => {
    for (const one of records) {
      const bytes = await encodeRecordBatch([one], { timestamp, compression: 'none', crc32c });
      expect(bytes.length).toBeLessThanOrEqual(64 + recordBytes(one));
    }
  });
});
