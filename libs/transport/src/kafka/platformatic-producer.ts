import { isIP } from 'node:net';
import type * as platformatic from '@platformatic/kafka';
import { SinkError } from '../transport.errors.js';
import { batchCompression, type BatchCompression } from './batch-compression.js';
import { assertClientVersion, assertNodeForPlatformatic, loadKafkaClient } from './kafka-client-loader.js';
import {
  type KafkaAck,
  type KafkaBatch,
  type KafkaClientSettings,
  type KafkaLane,
  type KafkaProducerPort,
  type KafkaTopicShape,
  type ProducerIdentity,
} from './kafka-producer-port.js';
import { newProducerIdOver, produceOver, produceVersionOf } from './platformatic-requests.js';
import { encodeRecordBatch } from './record-batch.js';

type Client = typeof platformatic;

const PACKAGE = { name: '@platformatic/kafka', version: '2.12.1' };
const TOPIC_ALREADY_EXISTS = 36;
const LATEST = -1n;
/** Of a broker that is asked for leaders: after it another one is asked. */
const LOOK_TIMEOUT_MS = 2_000;

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
  /**
   * Asks for leaders over connections of its own. The client always asks the same broker first, and a frozen one takes all
   * of the time that it is given, while the lanes that wait for the answer have spent theirs on their sends already.
   */
  readonly #looker: platformatic.Admin;
  readonly #compression: BatchCompression | undefined;
  #produceVersion = 0;

  constructor(
    private readonly client: Client,
    private readonly settings: KafkaClientSettings,
  ) {
    this.#compression = batchCompression(settings.compression, (codec, records) =>
      client.compressionsAlgorithms[codec].compressSync(records),
    );
    this.#admin = new client.Admin(adminOptions(settings));
    this.#looker = new client.Admin({
      ...adminOptions(settings),
      connectTimeout: Math.min(settings.connectTimeoutMs, LOOK_TIMEOUT_MS),
      requestTimeout: Math.min(settings.requestTimeoutMs, LOOK_TIMEOUT_MS),
    });
  }

  async connect(): Promise<void> {
    this.#produceVersion = produceVersionOf(await this.#admin.listApis());
  }

  async refreshTopic(topic: string): Promise<number | undefined> {
    try {
      const metadata = await this.#looker.metadata({ topics: [topic], forceUpdate: true, retries: 3 });
      return metadata.topics.get(topic)?.partitionsCount;
    } catch (error) {
      // connected as we are, the only user error of a metadata request is an unknown topic
      if (error instanceof this.client.UserError && error.cause === undefined) {
        return undefined;
      }
      throw error;
    }
  }

  async createTopic(topic: string, { partitions, replication, settings }: KafkaTopicShape): Promise<void> {
    try {
      const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
      await this.#admin.createTopics({ topics: [topic], partitions, replicas: replication, configs });
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

  async newProducerId(lane: KafkaLane): Promise<ProducerIdentity> {
    return newProducerIdOver(this.client, await this.#leaderOf(lane));
  }

  async produce(batch: KafkaBatch): Promise<readonly KafkaAck[]> {
    const connection = await this.#leaderOf(batch);
    const records = await encodeRecordBatch(batch.records, {
      timestamp: BigInt(batch.sentMs),
      crc32c: this.client.crc32c,
      compression: this.#compression,
      stamp: batch.stamp,
    });
    const request = { batch, records, timeoutMs: this.settings.brokerTimeoutMs };
    const response = await produceOver(this.client, connection, this.#produceVersion, request);
    return response.responses.flatMap(({ name, partitionResponses }) =>
      partitionResponses.map(({ index, baseOffset }) => ({ topic: name, partition: index, baseOffset })),
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.#admin, this.#looker].map(closeAtOnce));
  }

  async #leaderOf({ topic, partition }: KafkaLane): Promise<platformatic.Connection> {
    const { topics, brokers } = await this.#looker.metadata({ topics: [topic] });
    const leader = brokers.get(topics.get(topic)?.partitions[partition]?.leader ?? -1);
    if (leader === undefined) {
      throw new SinkError('unavailable', `Partition ${partition} of ${topic} has no leader at the moment.`);
    }
    return this.#admin.connections.get(leader);
  }
}

function adminOptions(settings: KafkaClientSettings): platformatic.AdminOptions {
  return {
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
  };
}

/** The client's own close waits for what is still to be written, which a dead broker never takes. */
async function closeAtOnce(admin: platformatic.Admin): Promise<void> {
  const sockets = [...admin.connections].map(([, connection]) => connection.socket);
  const closed = admin.close();
  for (const socket of sockets) {
    socket.destroy();
  }
  await closed.catch(() => undefined);
}

function isAddress(broker: string): boolean {
  return isIP(broker.slice(0, broker.lastIndexOf(':'))) !== 0;
}
