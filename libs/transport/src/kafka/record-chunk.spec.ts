import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { type SinkRecord } from '../sink-port.js';
import { encodeRecordBatch } from './record-batch.js';
import { chunkEnd, type RecordChunk, readChunk } from './record-chunk.js';
import { type AbortedTransaction } from './wire/fetch-api.js';
import { WireFormatError } from './wire/wire-buffers.js';

const TRANSACTIONAL = 0b10000;
const CONTROL = 0b100000;
const LOG_APPEND_TIME = 0b1000;

interface Placed {
  readonly at: number;
  readonly attributes?: number;
  readonly producerId?: bigint;
  readonly compression?: 'none' | 'gzip';
  readonly records: readonly SinkRecord[];
}

function record(value: string, headers: SinkRecord['headers'] = []): SinkRecord {
  return { key: Buffer.from('key'), value: Buffer.from(value), headers };
}

/** A batch as a broker stores it. */
async function batch({ at, attributes = 0, producerId = -1n, compression = 'none', records }: Placed): Promise<Buffer> {
  const bytes = await encodeRecordBatch(records, { timestamp: 1_000n, compression, crc32c: () => 0 });
  bytes.writeBigInt64BE(BigInt(at), 0);
  bytes.writeInt16BE(bytes.readInt16BE(21) | attributes, 21);
  bytes.writeBigInt64BE(producerId, 43);
  return bytes;
}

async function chunk(
  batches: readonly Placed[],
  { from = 0n, aborted = [] }: { from?: bigint; aborted?: readonly AbortedTransaction[] } = {},
): Promise<RecordChunk> {
  const bytes = Buffer.concat(await Promise.all(batches.map(batch)));
  return { topic: 't', partition: 3, firstOffset: from, bytes, aborted };
}

function valuesOf(read: RecordChunk): string[] {
  return readChunk(read, (_, bytes) => gunzipSync(bytes)).map(({ offset, value }) => `${offset} ${String(value)}`);
}

describe('the records of a fetched chunk', () => {
  it('are read with all that they have', async () => {
    const headers = [
      [Buffer.from('id'), Buffer.from([0, 255])],
      [Buffer.from('ä'), Buffer.from('first')],
      [Buffer.from('ä'), Buffer.from('last')],
    ] as const;
    const [delivery] = readChunk(await chunk([{ at: 40, records: [record('value', headers)] }]), () => Buffer.alloc(0));
    expect(delivery).toEqual({
      topic: 't',
      partition: 3,
      offset: 40n,
      key: Buffer.from('key'),
      value: Buffer.from('value'),
      headers: new Map([
        ['id', Buffer.from([0, 255])],
        ['ä', Buffer.from('last')],
      ]),
      timestampMs: 1_000,
    });
  });

  it('come in order over batches, from the offset asked for, compressed or not', async () => {
    const read = await chunk(
      [
        { at: 10, records: [record('a'), record('b'), record('c')] },
        { at: 13, compression: 'gzip', records: [record('d'), record('x'.repeat(300))] },
        { at: 20, records: [record('e')] },
      ],
      { from: 11n },
    );
    expect(valuesOf(read)).toEqual(['11 b', '12 c', '13 d', `14 ${'x'.repeat(300)}`, '20 e']);
    expect(chunkEnd(read.bytes)).toBe(21n);
  });

  it('leave out a batch that was cut, wherever it was', async () => {
    const whole = await batch({ at: 0, records: [record('a')] });
    const next = await batch({ at: 1, records: [record('b')] });
    for (let cut = 0; cut < next.length; cut += 1) {
      const bytes = Buffer.concat([whole, next.subarray(0, cut)]);
      expect(chunkEnd(bytes)).toBe(1n);
      expect(valuesOf({ topic: 't', partition: 0, firstOffset: 0n, bytes, aborted: [] })).toEqual(['0 a']);
    }
    expect(chunkEnd(Buffer.alloc(0))).toBeUndefined();
    expect(chunkEnd(next.subarray(0, 30))).toBeUndefined();
  });

  it('leave out what a transaction took back, and the markers of transactions', async () => {
    const read = await chunk(
      [
        { at: 0, attributes: TRANSACTIONAL, producerId: 7n, records: [record('kept')] },
        { at: 1, attributes: TRANSACTIONAL | CONTROL, producerId: 7n, records: [record('commit')] },
        { at: 2, attributes: TRANSACTIONAL, producerId: 7n, records: [record('taken back')] },
        { at: 3, attributes: TRANSACTIONAL, producerId: 8n, records: [record('of another')] },
        { at: 4, records: [record('plain')] },
        { at: 5, attributes: TRANSACTIONAL | CONTROL, producerId: 7n, records: [record('abort')] },
        { at: 6, attributes: TRANSACTIONAL, producerId: 7n, records: [record('kept again')] },
      ],
      { aborted: [{ producerId: 7n, firstOffset: 2n }] },
    );
    expect(valuesOf(read)).toEqual(['0 kept', '3 of another', '4 plain', '6 kept again']);
    expect(chunkEnd(read.bytes)).toBe(7n);
  });

  it('have the time of the broker where the topic says so', async () => {
    const read = await chunk([{ at: 0, attributes: LOG_APPEND_TIME, records: [record('a')] }]);
    read.bytes.writeBigInt64BE(1_700_000_000_123n, 35);
    expect(readChunk(read, (_, bytes) => bytes)[0]?.timestampMs).toBe(1_700_000_000_123);
  });

  it('are refused in a format from before Kafka 0.11', async () => {
    const read = await chunk([{ at: 0, records: [record('a')] }]);
    read.bytes.writeInt8(1, 16);
    expect(() => readChunk(read, (_, bytes) => bytes)).toThrow('before Kafka 0.11');
  });

  it('are refused when they end beyond their batch', async () => {
    const read = await chunk([{ at: 0, records: [record('a')] }]);
    read.bytes.writeInt32BE(5, 57);
    expect(() => readChunk(read, (_, bytes) => bytes)).toThrow(WireFormatError);
  });
});
