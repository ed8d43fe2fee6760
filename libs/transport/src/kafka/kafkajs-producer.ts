import { createRequire } from 'node:module';
import type * as kafkajs from 'kafkajs';
import { SinkError } from '../transport.errors.js';
import { assertClientVersion, loadKafkaClient } from './kafka-client-loader.js';
import { ClientSockets } from './client-sockets.js';
import {
  type KafkaAck,
  type KafkaBatch,
  type KafkaClientSettings,
  type KafkaProducerPort,
  type KafkaTopicShape,
} from './kafka-producer-port.js';
import { stopIdleTimers } from './kafkajs-idle-timers.js';
import { acksOf, compressionOf, messagesOf, partitionNamed, saslOf } from './kafkajs-shapes.js';

type Client = (typeof kafkajs)['default'];

const PACKAGE = { name: 'kafkajs', version: '2.2.4' };
const UNKNOWN_TOPIC = 3;

/** `KafkaProducerPort` on kafkajs 2. Throws `SinkError` `configuration` when it cannot be loaded. */
export async function createKafkajsProducer(settings: KafkaClientSettings): Promise<KafkaProducerPort> {
  // the default export: of a CommonJS module, Node sees only some of the names
  const { default: client } = await loadKafkaClient(PACKAGE, () => import('kafkajs'));
  const require = createRequire(import.meta.url);
  const manifest: unknown = require('kafkajs/package.json');
  assertClientVersion(PACKAGE, Reflect.get(Object(manifest), 'version'));
  stopIdleTimers(require);
  return new KafkajsProducer(client, settings);
}

/**
 * `retries: 0`: the client's own retry loses batches when a leader moves, so a batch is sent once and the sink decides.
 * The sockets are made here, because the client never ends one that has stopped answering.
 */
class KafkajsProducer implements KafkaProducerPort {
  readonly #sockets: ClientSockets;
  readonly #kafka: kafkajs.Kafka;
  readonly #producer: kafkajs.Producer;
  readonly #compression: kafkajs.CompressionTypes;

  constructor(
    private readonly client: Client,
    private readonly settings: KafkaClientSettings,
  ) {
    this.#compression = compressionOf(client, settings.compression);
    this.#sockets = new ClientSockets(settings.tls);
    this.#kafka = new client.Kafka({
      clientId: settings.clientId,
      brokers: [...settings.brokers],
      connectionTimeout: settings.connectTimeoutMs,
      authenticationTimeout: settings.requestTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      enforceRequestTimeout: true,
      retry: { retries: Math.min(settings.brokers.length - 1, 2), initialRetryTime: 100 },
      // the client's own log repeats our errors, and one of its texts quotes a record
      logLevel: client.logLevel.NOTHING,
      logCreator: () => () => undefined,
      socketFactory: ({ host, port, onConnect }) => this.#sockets.open(host, port, onConnect),
      ...(settings.tls && { ssl: settings.tls }),
      ...(settings.sasl && { sasl: saslOf(settings.sasl) }),
    });
    this.#producer = this.#kafka.producer({
      retry: { retries: 0 },
      metadataMaxAge: settings.metadataMaxAgeMs,
      allowAutoTopicCreation: false,
      idempotent: false,
      createPartitioner: () => partitionNamed,
    });
  }

  async connect(): Promise<void> {
    await this.#producer.connect();
  }

  /** Only tells: the client refreshes its own leaders on stale metadata and lost connections, and is rebuilt on timeouts. */
  async refreshTopic(topic: string): Promise<number | undefined> {
    return this.#withAdmin(async (admin) => {
      try {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        return topics[0]?.partitions.length;
      } catch (error) {
        if (error instanceof this.client.KafkaJSProtocolError && error.code === UNKNOWN_TOPIC) {
          return undefined;
        }
        throw error;
      }
    });
  }

  async createTopic(topic: string, { partitions, replication, settings }: KafkaTopicShape): Promise<void> {
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    const made = { topic, numPartitions: partitions, replicationFactor: replication, configEntries };
    // resolves with false when the topic is there
    await this.#withAdmin((admin) => admin.createTopics({ topics: [made] }));
  }

  async isTopicServed(topic: string, partitions: number): Promise<boolean> {
    const offsets = await this.#withAdmin((admin) => admin.fetchTopicOffsets(topic));
    return offsets.length === partitions;
  }

  async produce(batch: KafkaBatch): Promise<readonly KafkaAck[]> {
    const answer = await this.#send({
      topic: batch.topic,
      acks: batch.acks,
      timeout: this.settings.brokerTimeoutMs,
      compression: this.#compression,
      messages: messagesOf(batch),
    });
    return acksOf(answer);
  }

  async close(): Promise<void> {
    const disconnected = this.#producer.disconnect();
    // disconnect waits for every answer, also from a broker that gives none
    this.#sockets.close();
    await disconnected.catch(() => undefined);
  }

  /**
   * A login that fails on a connection that is opened again may only have been cut: the client does not tell the two
   * apart, and the same user was let in before. Not a definite refusal, then.
   */
  async #send(batch: kafkajs.ProducerRecord): Promise<kafkajs.RecordMetadata[]> {
    try {
      return await this.#producer.send(batch);
    } catch (error) {
      if (error instanceof this.client.KafkaJSSASLAuthenticationError) {
        throw new SinkError('unavailable', 'A broker did not let the client in again.', { cause: error });
      }
      throw error;
    }
  }

  async #withAdmin<Result>(work: (admin: kafkajs.Admin) => Promise<Result>): Promise<Result> {
    const admin = this.#kafka.admin({ retry: { retries: 2, initialRetryTime: 250 } });
    try {
      await admin.connect();
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }
}
