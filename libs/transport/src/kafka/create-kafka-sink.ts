import { recordBytesMaxOf } from '../batch-limits.js';
import { type SinkPort } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { connectionSettings } from './client-settings.js';
import { KafkaCluster } from './kafka-cluster.js';
import { type KafkaClientName, type KafkaSinkOptions } from './kafka-config.js';
import { type KafkaConsumerPort, type KafkaConsumerSettings } from './kafka-consumer-port.js';
import { type KafkaClientSettings, type KafkaProducerPort } from './kafka-producer-port.js';
import { KafkaSink } from './kafka-sink.js';
import { createKafkajsConsumer } from './kafkajs-consumer.js';
import { createKafkajsProducer } from './kafkajs-producer.js';
import { assertLateRecords } from './late-records.js';
import { createPlatformaticConsumer } from './platformatic-consumer.js';
import { createPlatformaticProducer } from './platformatic-producer.js';
import { TailReader } from './tail-reader.js';
import { TopicReader, type TopicReaderParts } from './topic-reader.js';

const CONNECT_TIMEOUT_MS = 3_000;
/** Connections, handshakes and a first request, over several brokers, in the worst case. */
const LINK_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 5_000;
const METADATA_MAX_AGE_MS = 300_000;
/** What one answer may have when a topic is read back, and what one batch may unfold to. */
const READ_BACK_BYTES_MAX = 4_194_304;
const DECOMPRESSED_BYTES_MAX = 134_217_728;

const CREATE: Readonly<Record<KafkaClientName, (settings: KafkaClientSettings) => Promise<KafkaProducerPort>>> = {
  platformatic: createPlatformaticProducer,
  kafkajs: createKafkajsProducer,
};

const CREATE_CONSUMER: Readonly<
  Record<KafkaClientName, (settings: KafkaConsumerSettings) => Promise<KafkaConsumerPort>>
> = {
  platformatic: createPlatformaticConsumer,
  kafkajs: createKafkajsConsumer,
};

/**
 * A sink for Kafka on the client of your choice; nothing is opened before `start`. The client's package is an optional
 * peer dependency, loaded at `start`: when it is missing or of an unknown major, `start` rejects with `SinkError`
 * `configuration`, as for options that contradict each other. Guarantees and errors: `SinkPort`, and the README of this lib.
 */
export function createKafkaSink(options: KafkaSinkOptions): SinkPort {
  const { messageBytesMax = 1_000_000, batchRecordsMax = 1_000, requestTimeoutMs = 9_000 } = options;
  const bytesMax = recordBytesMaxOf(messageBytesMax);
  const isIdempotent = options.idempotent ?? options.client === 'platformatic';
  return new KafkaSink({
    create: async () => {
      assertIdempotent(options);
      assertLateRecords(options.topics, requestTimeoutMs);
      return CREATE[options.client](await settingsOf(options, requestTimeoutMs));
    },
    isIdempotent,
    link: { connectMs: LINK_TIMEOUT_MS, closeMs: CLOSE_TIMEOUT_MS },
    topics: {
      policy: options.topics,
      refreshMs: 2 * requestTimeoutMs,
      recheckMs: options.metadataMaxAgeMs ?? METADATA_MAX_AGE_MS,
      now: () => performance.now(),
    },
    features: {
      isOrdered: true,
      isBatchAtomic: true,
      isDeduplicating: isIdempotent,
      recordBytesMax: bytesMax,
      batchRecordsMax,
      batchBytesMax: bytesMax,
    },
    sendDeadlineMs: options.sendDeadlineMs ?? 60_000,
    drainMs: options.drainMs ?? 10_000,
    nowMs: Date.now,
    openReader: async () => new TopicReader(await readingParts(options, requestTimeoutMs)),
    openTailReader: async (sinkErrorOf) =>
      new TailReader({ ...(await readingParts(options, requestTimeoutMs)), sinkErrorOf }),
  });
}

/** Throws `SinkError` `configuration` where a client cannot be idempotent. */
function assertIdempotent({ client, idempotent = false }: KafkaSinkOptions): void {
  if (idempotent && client === 'kafkajs') {
    throw new SinkError(
      'configuration',
      'kafkajs cannot be idempotent safely: it keeps the numbers of batches to itself, and loses them with each client that is thrown away. Choose the platformatic client (MILLRACE_KAFKA_CLIENT), or idempotent: false.',
    );
  }
}

async function readingParts(options: KafkaSinkOptions, requestTimeoutMs: number): Promise<TopicReaderParts> {
  const settings = await connectionSettings(options.connection);
  const client = await CREATE_CONSUMER[options.client]({
    ...settings,
    clientId: options.clientId ?? 'millrace',
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requestTimeoutMs: 2 * requestTimeoutMs,
    decompressedBytesMax: DECOMPRESSED_BYTES_MAX,
  });
  const cluster = new KafkaCluster({
    client,
    bootstrap: settings.brokers,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requestTimeoutMs,
  });
  return { cluster, decompress: client.decompress, bytesMax: READ_BACK_BYTES_MAX };
}

async function settingsOf(options: KafkaSinkOptions, requestTimeoutMs: number): Promise<KafkaClientSettings> {
  return {
    ...(await connectionSettings(options.connection)),
    clientId: options.clientId ?? 'millrace',
    compression: options.compression ?? 'none',
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    brokerTimeoutMs: Math.max(requestTimeoutMs - 2_000, 1_000),
    requestTimeoutMs,
    metadataMaxAgeMs: options.metadataMaxAgeMs ?? METADATA_MAX_AGE_MS,
  };
}
