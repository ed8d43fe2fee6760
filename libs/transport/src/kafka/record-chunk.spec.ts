import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { type Delivery } from '../subscription-port.js';
import { sealed, storedBatch, type StoredBatch, storedRecord as record } from '../testing/stored-batch.js';
import { chunkEnd, type Decompress, readChunk, readChunkOver, type RecordChunk } from './record-chunk.js';
import { UnreadableBatchError } from './unreadable-batch-error.js';
import { type AbortedTransaction } from './wire/fetch-api.js';

const TRANSACTIONAL = 0b10000;
const CONTROL = 0b100000;
const LOG_APPEND_TIME = 0b1000;

const unpack: Decompress = (_, bytes) => gunzipSync(bytes);

async function chunk(
  batches: readonly StoredBatch[],
  { from = 0n, aborted = [] }: { from?: bigint; aborted?: readonly AbortedTransaction[] } = {},
): Promise<RecordChunk> {
  return chunkOf(Buffer.concat(await Promise.all(batches.map(storedBatch))), from, aborted);
}

function chunkOf(bytes: Buffer, firstOffset = 0n, aborted: readonly AbortedTransaction[] = []): RecordChunk {
  return { topic: 't', partition: 3, firstOffset, bytes, aborted };
}

function deliveriesOf(read: RecordChunk): Delivery[] {
  return [...readChunk(read, unpack)].flatMap(({ deliveries }) => deliveries);
}

function valuesOf(read: RecordChunk): string[] {
  return deliveriesOf(read).map(({ offset, value }) => `${offset} ${String(value)}`);
}

/** What is read before it fails, and how it fails. */
function readUntilFault(read: RecordChunk, decompress: Decompress = unpack): { values: string[]; fault: string } {
  const values: string[] = [];
  try {
    for (const { deliveries } of readChunk(read, decompress)) {
      values.push(...deliveries.map(({ offset, value }) => `${offset} ${String(value)}`));
    }
  } catch (error) {
    return { values, fault: error instanceof UnreadableBatchError ? error.message : String(error) };
  }
  throw new Error('There was no fault.');
}

describe('the records of a fetched chunk', () => {
  it('are read with all that they have', async () => {
    const headers = [
      [Buffer.from('id'), Buffer.from([0, 255])],
      [Buffer.from('ä'), Buffer.from('first')],
      [Buffer.from('ä'), Buffer.from('last')],
    ] as const;
    const [delivery] = deliveriesOf(await chunk([{ at: 40, records: [record('value', headers)] }]));
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
    expect(chunkEnd(read)).toBe(21n);
  });

  it('leave out a batch that was cut, wherever it was', async () => {
    const whole = await storedBatch({ at: 0, records: [record('a')] });
    const next = await storedBatch({ at: 1, records: [record('b')] });
    for (let cut = 0; cut < next.length; cut += 1) {
      const read = chunkOf(Buffer.concat([whole, next.subarray(0, cut)]));
      expect(chunkEnd(read)).toBe(1n);
      expect(valuesOf(read)).toEqual(['0 a']);
    }
    expect(chunkEnd(chunkOf(Buffer.alloc(0), 7n))).toBe(7n);
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
    expect(chunkEnd(read)).toBe(7n);
  });

  it('have the time of the broker where the topic says so', async () => {
    const read = await chunk([{ at: 0, attributes: LOG_APPEND_TIME, records: [record('a')] }]);
    read.bytes.writeBigInt64BE(1_700_000_000_123n, 35);
    sealed(read.bytes);
    expect(deliveriesOf(read)[0]?.timestampMs).toBe(1_700_000_000_123);
  });

  it('come in parts that say which offsets they stand for, with or without a record', async () => {
    const large = record('x'.repeat(600_000));
    const read = await chunk(
      [
        { at: 8, records: [record('below')] },
        { at: 12, compression: 'gzip', records: [large] },
        { at: 13, compression: 'gzip', records: [large] },
        { at: 20, attributes: TRANSACTIONAL | CONTROL, producerId: 7n, records: [record('commit')] },
      ],
      { from: 9n },
    );
    const parts = [...readChunk(read, unpack)];
    expect(parts.map(({ firstOffset, nextOffset }) => [firstOffset, nextOffset])).toEqual([
      [9n, 14n],
      [14n, 21n],
    ]);
    expect(parts.map(({ deliveries }) => deliveries.map(({ offset }) => offset))).toEqual([[12n, 13n], []]);
    expect(parts[0]?.bytes).toBeGreaterThan(1_200_000);
    expect(parts[1]?.bytes).toBeLessThan(200);
  });

  describe('that cannot be read', () => {
    /** The second of two batches, which a test breaks. */
    async function withBroken(
      breakIt: (batch: Buffer) => void,
      compression: 'none' | 'gzip' = 'none',
    ): Promise<RecordChunk> {
      const broken = await storedBatch({ at: 6, compression, records: [record('b'), record('c'.repeat(300))] });
      breakIt(broken);
      return chunkOf(Buffer.concat([await storedBatch({ at: 5, records: [record('a')] }), broken]), 5n);
    }

    it.each<[string, (batch: Buffer) => void, string]>([
      [
        'a bit of its records has flipped',
        (batch) => {
          batch.writeUInt8(batch.readUInt8(batch.length - 2) ^ 1, batch.length - 2);
        },
        'its checksum does not fit',
      ],
      [
        'it says that it has more records than there are',
        (batch) => {
          batch.writeInt32BE(5, 57);
          sealed(batch);
        },
        'records do not end where they say',
      ],
      [
        'it says that it has less than none',
        (batch) => {
          batch.writeInt32BE(-1, 57);
          sealed(batch);
        },
        'it has -1 records',
      ],
      [
        'a record says that it is shorter',
        (batch) => {
          batch.writeInt8(batch.readInt8(61) - 2, 61);
          sealed(batch);
        },
        'records do not end where they say',
      ],
      [
        'nobody knows its compression',
        (batch) => {
          batch.writeInt16BE(7, 21);
          sealed(batch);
        },
        'its compression has the unknown number 7',
      ],
      [
        'it is not compressed as it says',
        (batch) => {
          batch.writeInt16BE(1, 21);
          sealed(batch);
        },
        'Z_DATA_ERROR',
      ],
    ])('are told by place when %s, after all before it was given', async (_what, breakIt, fault) => {
      const read = await withBroken(breakIt);
      expect(chunkEnd(read)).toBe(8n);
      const found = readUntilFault(read);
      expect(found.values).toEqual(['5 a']);
      expect(found.fault).toContain('The record batch of t/3 at offset 6 cannot be read: ');
      expect(found.fault).toContain(fault);
    });

    it.each<[string, (batch: Buffer) => void, string]>([
      ['has a length below that of its head', (batch) => batch.writeInt32BE(48, 8), 'its length is less'],
      ['has a length that leads nowhere', (batch) => batch.writeInt32BE(-12, 8), 'its length is less'],
      ['ends beyond the answer', (batch) => batch.writeInt32BE(2_000_000_000, 8), 'it is cut'],
      ['is of a format before Kafka 0.11', (batch) => batch.writeInt8(1, 16), 'its format is not'],
      ['goes back', (batch) => batch.writeInt32BE(-2, 23), 'its offsets go back'],
    ])('end a chunk before a batch that %s, and are told when it is the first', async (_what, breakIt, fault) => {
      const read = await withBroken(breakIt);
      expect([chunkEnd(read), valuesOf(read)]).toEqual([6n, ['5 a']]);
      const first = await storedBatch({ at: 5, records: [record('a')] });
      const broken = chunkOf(read.bytes.subarray(first.length), 6n);
      expect(() => chunkEnd(broken)).toThrow(`The record batch of t/3 at offset 6 cannot be read: ${fault}`);
    });

    it('are passed over by who wants the others all the same', async () => {
      const read = await chunk([
        { at: 5, records: [record('a')] },
        { at: 6, records: [record('b')] },
        { at: 7, records: [record('c')] },
      ]);
      const second = read.bytes.subarray(read.bytes.length / 3);
      second.writeUInt32BE((second.readUInt32BE(17) + 1) >>> 0, 17);
      const lost: string[] = [];

      const parts = [...readChunkOver(read, unpack, ({ message }) => lost.push(message))];

      expect(parts.flatMap(({ deliveries }) => deliveries.map(({ offset }) => offset))).toEqual([5n, 7n]);
      expect(lost).toEqual(['The record batch of t/3 at offset 6 cannot be read: its checksum does not fit.']);
    });

    it('are told when they lie below what was asked for', async () => {
      const read = await chunk([{ at: 0, records: [record('a')] }], { from: 4n });
      expect(() => chunkEnd(read)).toThrow('t/3 at offset 4 cannot be read: it ends below');
    });

    it('are told without a word of what another reader says of them', async () => {
      const read = await withBroken(() => undefined, 'gzip');
      const found = readUntilFault(read, () => {
        throw new TypeError('the card number 4711');
      });
      expect(found.fault).toBe('The record batch of t/3 at offset 6 cannot be read: TypeError.');
    });
  });
});
