import { isIP } from 'node:net';
import type * as platformatic from '@platformatic/kafka';
import { SinkError } from '../transport.errors.js';
import { assertClientVersion, assertNodeForPlatformatic, loadKafkaClient } from './kafka-client-loader.js';
import {
  type KafkaAck,
  type KafkaBatch,
  type KafkaClientSettings,
  type KafkaProducerPort,
  type KafkaTopicShape,
} from './kafka-producer-port.js';
import { writeProduceRequest } from './produce-request.js';
import { encodeRecordBatch } from './record-batch.js';

type Client = typeof platformatic;
type ProduceResponse = ReturnType<Client['produceV11']['parseResponse']>;

const PACKAGE = { name: '@platformatic/kafka', version: '2.12.1' };
const PRODUCE_KEY = 0;
/** 9 (Kafka 2.8) to 11 have one request and one response; 12 needs nothing that we have, 13 wants topic ids. */
const PRODUCE_VERSIONS = { min: 9, max: 11 };
const TOPIC_ALREADY_EXISTS = 36;
const LATEST = -1n;

/** `KafkaProducerPort` on @platformatic/kafka 2. Throws `SinkError` `configuration` when it cannot be loaded. */
export async function createPlatformaticProducer(settings: KafkaClientSettings): Promise<KafkaProducerPort> {
  assertNodeForPlatformatic(process.versions.node);
  const client = await loadKafkaClient(PACKAGE, () => import('@platformatic/kafka'));
  assertClientVersion(PACKAGE, client.clientSoftwareVersion);
  return new PlatformaticProducer(client, settings);
}

/**
 * Uses the client's connections, metadata and protocol, and not its `Producer`: that one defaults to acks=1, retries,
 * stores what is no Buffer as an empty record, and spends 15 us on a record with nine headers. A batch is one Produce
 * request to the leader, sent once.
 */
class PlatformaticProducer implements KafkaProducerPort {
  readonly #admin: platformatic.Admin;
  #produceVersion = PRODUCE_VERSIONS.max;

  constructor(
    private readonly client: Client,
    private readonly settings: KafkaClientSettings,
  ) {
    this.#admin = new client.Admin({
      clientId: settings.clientId,
      bootstrapBrokers: [...settings.brokers],
      retries: 0,
      retryDelay: 20,
      strict: true,
      connectTimeout: settings.connectTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      timeout: settings.brokerTimeoutMs,
      metadataMaxAge: settings.metadataMaxAgeMs,
      // one send per lane is all that is ever in flight: a queue inside the client would only hide its age
      maxInflights: 10_000,
      autocreateTopics: false,
      // SNI, which hosted clusters route by; Node warns when it is given an address
      ...(settings.tls && { tls: settings.tls, tlsServerName: !settings.brokers.some(isAddress) }),
      ...(settings.sasl && { sasl: settings.sasl }),
    });
  }

  async connect(): Promise<void> {
    const apis = await this.#admin.listApis();
    const produce = apis.find((api) => api.apiKey === PRODUCE_KEY);
    this.#produceVersion = Math.min(produce?.maxVersion ?? 0, PRODUCE_VERSIONS.max);
    if (this.#produceVersion < PRODUCE_VERSIONS.min) {
      throw new SinkError('configuration', 'The brokers are too old: Kafka 2.8 or later is needed.');
    }
  }

  async refreshTopic(topic: string): Promise<number | undefined> {
    try {
      const metadata = await this.#admin.metadata({ topics: [topic], forceUpdate: true, retries: 3 });
      return metadata.topics.get(topic)?.partitionsCount;
    } catch (error) {
      // connected as we are, the only user error of a metadata request is an unknown topic
      if (error instanceof this.client.UserError && error.cause === undefined) {
        return undefined;
      }
      throw error;
    }
  }

  async createTopic(topic: string, { partitions, replication }: KafkaTopicShape): Promise<void> {
    try {
      await this.#admin.createTopics({ topics: [topic], partitions, replicas: replication });
    } catch (error) {
      if (!(error instanceof this.client.MultipleErrors) || error.findBy('apiCode', TOPIC_ALREADY_EXISTS) === null) {
        throw error;
      }
    }
  }

  async isTopicServed(topic: string, partitions: number): Promise<boolean> {
    const asked = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: LATEST }));
    const [answer] = await this.#admin.listOffsets({ topics: [{ name: topic, partitions: asked }] });
    return answer?.partitions.length === partitions;
  }

  async produce(batch: KafkaBatch): Promise<readonly KafkaAck[]> {
    const { compression } = this.settings;
    const connection = await this.#leaderOf(batch);
    const records = await encodeRecordBatch(batch.records, {
      timestamp: BigInt(Date.now()),
      compression,
      crc32c: this.client.crc32c,
    });
    const response = await this.#request(connection, batch, records);
    return response.responses.flatMap(({ name, partitionResponses }) =>
      partitionResponses.map(({ index, baseOffset }) => ({ topic: name, partition: index, baseOffset })),
    );
  }

  async close(): Promise<void> {
    const sockets = [...this.#admin.connections].map(([, connection]) => connection.socket);
    const closed = this.#admin.close();
    // the client's own close waits for what is still to be written, which a dead broker never takes
    for (const socket of sockets) {
      socket.destroy();
    }
    await closed.catch(() => undefined);
  }

  async #leaderOf({ topic, partition }: KafkaBatch): Promise<platformatic.Connection> {
    const metadata = await this.#admin.metadata({ topics: [topic] });
    const leader = metadata.topics.get(topic)?.partitions[partition]?.leader ?? -1;
    const connections = await this.#admin.connectToBrokers([leader]);
    const connection = connections.get(leader);
    if (connection === undefined) {
      throw new SinkError('unavailable', `Partition ${partition} of ${topic} has no leader at the moment.`);
    }
    return connection;
  }

  #request(connection: platformatic.Connection, batch: KafkaBatch, records: Buffer): Promise<ProduceResponse> {
    const { Writer, produceV11 } = this.client;
    const createPayload = () =>
      writeProduceRequest(Writer.create(), { batch, records, timeoutMs: this.settings.brokerTimeoutMs });
    return new Promise((resolve, reject) => {
      connection.send<ProduceResponse>(
        PRODUCE_KEY,
        this.#produceVersion,
        createPayload,
        produceV11.parseResponse,
        true,
        true,
        (error, response) => {
          if (error !== null || response === undefined) {
            reject(error ?? new SinkError('unavailable', 'The client gave no answer to a Produce request.'));
          } else {
            resolve(response);
          }
        },
      );
    });
  }
}

function isAddress(broker: string): boolean {
  return isIP(broker.slice(0, broker.lastIndexOf(':'))) !== 0;
}
