import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { SinkError } from '../transport.errors.js';
import { type KafkaCompression } from './kafka-config.js';

/** How the records of a batch are written smaller. */
export interface BatchCompression {
  /** Of the batch's attributes. */
  readonly bits: number;
  readonly compress: (records: Buffer) => Promise<Buffer>;
}

/** Compression of a client's own, in one step: it holds up the process while it works. */
export type ClientCompression = (codec: 'lz4' | 'snappy', records: Buffer) => Buffer;

const gzip = promisify(zlib.gzip);

/**
 * gzip and zstd by Node, beside the event loop; lz4 and snappy by the client, when it has them. Undefined: none is
 * wanted. Throws `SinkError` `configuration` for one that cannot be had here.
 */
export function batchCompression(codec: KafkaCompression, client?: ClientCompression): BatchCompression | undefined {
  switch (codec) {
    case 'none':
      return undefined;
    case 'gzip':
      return { bits: 1, compress: gzip };
    case 'zstd':
      return { bits: 4, compress: zstd() };
    case 'snappy':
    case 'lz4':
      if (client === undefined) {
        throw new SinkError(
          'configuration',
          `kafkajs has no ${codec}: choose compression gzip or zstd, or the platformatic client (MILLRACE_KAFKA_CLIENT).`,
        );
      }
      return { bits: codec === 'snappy' ? 2 : 3, compress: (records) => Promise.resolve(client(codec, records)) };
  }
}

/** Node has it from 22.15 on. */
function zstd(): BatchCompression['compress'] {
  if (!('zstdCompress' in zlib)) {
    throw new SinkError(
      'configuration',
      `Node ${process.versions.node} has no zstd: use Node 22.15 or later, or choose another compression.`,
    );
  }
  return promisify(zlib.zstdCompress);
}
