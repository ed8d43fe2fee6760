import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type * as kafkajs from 'kafkajs';
import { batchCompression } from './batch-compression.js';
import { type ClientLogin } from './client-settings.js';
import { type KafkaCompression } from './kafka-config.js';
import { type KafkaAck, type KafkaBatch } from './kafka-producer-port.js';

const NO_BASE_OFFSET = '-1';
const NO_PARTITION = -1;

/** Our login in the shape of kafkajs. */
export function saslOf(sasl: ClientLogin): kafkajs.SASLOptions {
  if (sasl.mechanism === 'OAUTHBEARER') {
    const { token } = sasl;
    return {
      mechanism: 'oauthbearer',
      oauthBearerProvider: async () => ({ value: typeof token === 'string' ? token : await token() }),
    };
  }
  const { username, password } = sasl;
  switch (sasl.mechanism) {
    case 'PLAIN':
      return { mechanism: 'plain', username, password };
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', username, password };
    case 'SCRAM-SHA-512':
      return { mechanism: 'scram-sha-512', username, password };
  }
}

/** Our records in the shape of kafkajs. */
export function messagesOf({ partition, records, sentMs }: KafkaBatch): kafkajs.Message[] {
  const timestamp = String(sentMs);
  return records.map(({ key, value, headers }) => ({ partition, key, value, headers: named(headers), timestamp }));
}

/** The client's partitioner: it is asked even when the record names its partition. */
export function partitionNamed({ message }: kafkajs.PartitionerArgs): number {
  return message.partition ?? NO_PARTITION;
}

/** The client takes headers by name; a name that comes twice becomes a list. */
function named(headers: KafkaBatch['records'][number]['headers']): NonNullable<kafkajs.Message['headers']> {
  const byName = new Map<string, Buffer | Buffer[]>();
  for (const [name, value] of headers) {
    const text = name.toString();
    const before = byName.get(text);
    byName.set(text, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(byName);
}

/** A partition without a base offset is one that the client was told nothing of. */
export function acksOf(answer: readonly kafkajs.RecordMetadata[]): KafkaAck[] {
  return answer.map(({ topicName, partition, baseOffset }) => ({
    topic: topicName,
    partition,
    baseOffset: BigInt(baseOffset ?? NO_BASE_OFFSET),
  }));
}

/** The client has gzip; zstd is given to it, for every user of the package in the process. */
export function compressionOf(client: (typeof kafkajs)['default'], codec: KafkaCompression): kafkajs.CompressionTypes {
  const { CompressionTypes: types, CompressionCodecs: codecs } = client;
  const compression = batchCompression(codec);
  if (codec === 'zstd') {
    codecs[types.ZSTD] = () => ({
      compress: ({ buffer }: { readonly buffer: Buffer }) => compression?.compress(buffer),
      decompress: (buffer: Buffer) => promisify(zlib.zstdDecompress)(buffer),
    });
    return types.ZSTD;
  }
  return codec === 'gzip' ? types.GZIP : types.None;
}
