import * as zlib from 'node:zlib';
import { SinkError } from '../transport.errors.js';
import { type Decompress } from './record-chunk.js';

/** Kafka's Java client writes snappy in blocks behind this; others write one block alone. */
const XERIAL = Buffer.from('82534e4150505900', 'hex');
const XERIAL_HEAD_BYTES = 16;

const LZ4_MAGIC = 0x184d2204;
const LZ4_BLOCK_CHECKSUM = 0b10000;
const LZ4_CONTENT_SIZE = 0b1000;
const LZ4_CONTENT_CHECKSUM = 0b100;
const LZ4_DICTIONARY = 0b1;
const LZ4_STORED = 0x80000000;
/** No byte of a compressed block stands for more. */
const LZ4_RATIO_MAX = 255;

/**
 * Decompression that takes no more memory than `bytesMax`, whatever a batch unfolds to: brokers limit the size of what is
 * compressed only. Throws `SinkError` `record_too_large` beyond it. `client` reads what Node does not; it is asked only
 * once the size is known.
 */
export function createDecompress(bytesMax: number, client: Decompress): Decompress {
  const limit = { maxOutputLength: bytesMax };
  return (codec, bytes) => {
    switch (codec) {
      case 'gzip':
        return unlessTooLarge(bytesMax, () => zlib.gunzipSync(bytes, limit));
      case 'zstd':
        // Node has it from 22.15 on
        return 'zstdDecompressSync' in zlib
          ? unlessTooLarge(bytesMax, () => zlib.zstdDecompressSync(bytes, limit))
          : client(codec, bytes);
      case 'lz4':
        assertWithin(bytesMax, lz4Bytes(bytes));
        return client(codec, bytes);
      case 'snappy':
        assertWithin(bytesMax, snappyBytes(bytes));
        return client(codec, bytes);
    }
  };
}

function unlessTooLarge(bytesMax: number, decompress: () => Buffer): Buffer {
  try {
    return decompress();
  } catch (error) {
    throw Reflect.get(Object(error), 'code') === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(bytesMax, error) : error;
  }
}

function assertWithin(bytesMax: number, bytes: number): void {
  if (bytes > bytesMax) {
    throw tooLarge(bytesMax);
  }
}

function tooLarge(bytesMax: number, cause?: unknown): SinkError {
  return new SinkError(
    'record_too_large',
    `it unfolds to more than ${bytesMax} bytes: raise decompressedBytesMax if the producer means it`,
    { cause },
  );
}

/** What the bytes say that they unfold to; a reader refuses those that lie. */
function snappyBytes(bytes: Buffer): number {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) {
    return leadingVarint(bytes, 0);
  }
  let sum = 0;
  for (let at = XERIAL_HEAD_BYTES; at + 4 <= bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    sum += leadingVarint(bytes, at + 4);
  }
  return sum;
}

/** Without a sign, 32 bits. */
function leadingVarint(bytes: Buffer, start: number): number {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[start + index] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      break;
    }
  }
  return value;
}

/** The most that the bytes can unfold to. Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. What no frame says counts the most it could be. */
function lz4Bytes(bytes: Buffer): number {
  let sum = 0;
  let at = 0;
  while (at + 7 <= bytes.length && bytes.readUInt32LE(at) === LZ4_MAGIC) {
    const flags = bytes.readUInt8(at + 4);
    const blockMax = 2 ** (8 + 2 * ((bytes.readUInt8(at + 5) >> 4) & 0b111));
    at += 7 + has(flags, LZ4_CONTENT_SIZE, 8) + has(flags, LZ4_DICTIONARY, 4);
    for (let size = blockSize(bytes, at); size !== 0; size = blockSize(bytes, at)) {
      const stored = size % LZ4_STORED;
      sum += size >= LZ4_STORED ? stored : Math.min(blockMax, LZ4_RATIO_MAX * stored);
      at += 4 + stored + has(flags, LZ4_BLOCK_CHECKSUM, 4);
    }
    at += 4 + has(flags, LZ4_CONTENT_CHECKSUM, 4);
  }
  return sum + LZ4_RATIO_MAX * Math.max(bytes.length - at, 0);
}

function blockSize(bytes: Buffer, at: number): number {
  return at + 4 <= bytes.length ? bytes.readUInt32LE(at) : 0;
}

function has(flags: number, flag: number, bytes: number): number {
  return (flags & flag) === 0 ? 0 : bytes;
}
