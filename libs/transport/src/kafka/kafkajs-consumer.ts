import { createRequire } from 'node:module';
import type * as kafkajs from 'kafkajs';
import { SinkError } from '../transport.errors.js';
import { createDecompress } from './batch-decompression.js';
import { ClientSockets } from './client-sockets.js';
import { assertClientVersion, loadKafkaClient } from './kafka-client-loader.js';
import {
  type BrokerLink,
  type KafkaConsumerPort,
  type KafkaConsumerSettings,
  type WireRequest,
} from './kafka-consumer-port.js';
import { stopIdleTimers } from './kafkajs-idle-timers.js';
import { kafkajsInternals, type KafkajsInternals, type KafkajsPool } from './kafkajs-internals.js';
import { saslOf } from './kafkajs-shapes.js';
import { type CompressionCodec } from './record-chunk.js';

const PACKAGE = { name: 'kafkajs', version: '2.2.4' };

/** `KafkaConsumerPort` on kafkajs 2. Throws `SinkError` `configuration` when it cannot be loaded. */
export async function createKafkajsConsumer(settings: KafkaConsumerSettings): Promise<KafkaConsumerPort> {
  // the default export: of a CommonJS module, Node sees only some of the names
  const { default: client } = await loadKafkaClient(PACKAGE, () => import('kafkajs'));
  const require = createRequire(import.meta.url);
  const manifest: unknown = require('kafkajs/package.json');
  assertClientVersion(PACKAGE, Reflect.get(Object(manifest), 'version'));
  stopIdleTimers(require);
  const internals = kafkajsInternals(require);
  const logger = silentLogger(client);
  return {
    decompress: createDecompress(settings.decompressedBytesMax, refuse),
    connect: async (address) => {
      const link = new KafkajsLink(internals, settings, { address, logger });
      await link.connect();
      return link;
    },
  };
}

/** The client's own log repeats our errors, and one of its texts quotes a record. */
function silentLogger({ Kafka, logLevel }: (typeof kafkajs)['default']): unknown {
  const silent = new Kafka({ brokers: [], logLevel: logLevel.NOTHING, logCreator: () => () => undefined });
  return silent.logger();
}

/**
 * Uses the client's connections, and not its `Consumer`: that one joins the next generation while running work goes on,
 * moves to the end of a log whose offset is gone when it is told so, and stops for good after some of its errors.
 */
class KafkajsLink implements BrokerLink {
  readonly #sockets: ClientSockets;
  readonly #pool: KafkajsPool;
  readonly #connect: () => Promise<void>;

  constructor(
    { Pool, Broker }: KafkajsInternals,
    { clientId, connectTimeoutMs, requestTimeoutMs, tls, sasl }: KafkaConsumerSettings,
    { address, logger }: { readonly address: string; readonly logger: unknown },
  ) {
    this.#sockets = new ClientSockets(tls);
    this.#pool = new Pool({
      host: address.slice(0, address.lastIndexOf(':')),
      port: Number(address.slice(address.lastIndexOf(':') + 1)),
      logger,
      clientId,
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      enforceRequestTimeout: false,
      // made here, because the client never ends one that has stopped answering
      socketFactory: ({ host, port, onConnect }) => this.#sockets.open(host, port, onConnect),
      ...(tls && { ssl: tls }),
      ...(sasl && { sasl: saslOf(sasl) }),
    });
    const broker = new Broker({
      connectionPool: this.#pool,
      logger,
      authenticationTimeout: requestTimeoutMs,
      allowAutoTopicCreation: false,
    });
    this.#connect = () => broker.connect();
  }

  async connect(): Promise<void> {
    try {
      await this.#connect();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  send({ name, key, version, body }: WireRequest): Promise<Buffer> {
    return this.#pool.send({
      request: {
        apiKey: key,
        apiName: name,
        apiVersion: version,
        encode: () => Promise.resolve({ buf: body, buffer: body }),
      },
      response: { decode: (payload) => Promise.resolve(payload), parse: (payload) => Promise.resolve(payload) },
    });
  }

  close(): void {
    this.#sockets.close();
  }
}

function refuse(codec: CompressionCodec): never {
  throw new SinkError(
    'configuration',
    `${codec} cannot be read with kafkajs on Node ${process.versions.node}: choose the platformatic client (MILLRACE_KAFKA_CLIENT), or another compression of the producer`,
  );
}
