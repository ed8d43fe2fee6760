import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { compressionsAlgorithms } from '@platformatic/kafka';
import { createDecompress } from './batch-decompression.js';
import { type CompressionCodec } from './record-chunk.js';

const LIMIT = 1_000_000;
const { snappy, lz4 } = compressionsAlgorithms;

const compress: Readonly<Record<CompressionCodec | 'xerial', (bytes: Buffer) => Buffer>> = {
  gzip: gzipSync,
  zstd: zstdCompressSync,
  lz4: (bytes) => lz4.compressSync(bytes),
  snappy: (bytes) => snappy.compressSync(bytes),
  // as the Java client writes it: a head, then blocks with their lengths
  xerial: (bytes) => {
    const blocks = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)].flatMap((half) => {
      const block = snappy.compressSync(half);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(block.length);
      return [length, block];
    });
    return Buffer.concat([Buffer.from('82534e4150505900', 'hex'), Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]), ...blocks]);
  },
};

const CASES: readonly (readonly [keyof typeof compress, CompressionCodec])[] = [
  ['gzip', 'gzip'],
  ['zstd', 'zstd'],
  ['lz4', 'lz4'],
  ['snappy', 'snappy'],
  ['xerial', 'snappy'],
];

/** Remembers whether the client's codec was asked. */
function decompressor(): { decompress: ReturnType<typeof createDecompress>; asked: CompressionCodec[] } {
  const asked: CompressionCodec[] = [];
  const decompress = createDecompress(LIMIT, (codec, bytes) => {
    asked.push(codec);
    return compressionsAlgorithms[codec].decompressSync(bytes);
  });
  return { decompress, asked };
}

describe('the decompression of record batches', () => {
  it.each(CASES)('reads %s up to its limit', (form, codec) => {
    const { decompress } = decompressor();
    const text = Buffer.from('order-1 '.repeat(100_000));
    expect(decompress(codec, compress[form](text)).equals(text)).toBe(true);
    const noise = Buffer.from(Array.from({ length: 50_000 }, (_, index) => (index * index * 31 + (index >> 3)) % 251));
    expect(decompress(codec, compress[form](noise)).equals(noise)).toBe(true);
  });

  it.each(CASES)('refuses %s beyond its limit, before the memory is taken', (form, codec) => {
    const { decompress, asked } = decompressor();
    const bomb = compress[form](Buffer.alloc(20 * LIMIT));
    expect(() => decompress(codec, bomb)).toThrow(
      expect.objectContaining({
        name: 'SinkError',
        code: 'record_too_large',
        message: expect.stringContaining('more than 1000000 bytes'),
      }),
    );
    expect(asked).toEqual([]);
  });

  it.each(CASES)('tells of %s that is cut or broken, and never hangs', (form, codec) => {
    const { decompress } = decompressor();
    const whole = compress[form](Buffer.from('order-1 '.repeat(1_000)));
    for (const bytes of [whole.subarray(0, whole.length - 7), whole.subarray(0, 5), Buffer.alloc(40, 0xff)]) {
      expect(() => decompress(codec, bytes)).toThrow();
    }
  });
});
