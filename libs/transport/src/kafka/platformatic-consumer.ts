import { isIP } from 'node:net';
import type * as platformatic from '@platformatic/kafka';
import { createDecompress } from './batch-decompression.js';
import { assertClientVersion, assertNodeForPlatformatic, loadKafkaClient } from './kafka-client-loader.js';
import {
  type BrokerLink,
  type KafkaConsumerPort,
  type KafkaConsumerSettings,
  type WireRequest,
} from './kafka-consumer-port.js';

type Client = typeof platformatic;

const PACKAGE = { name: '@platformatic/kafka', version: '2.12.1' };
const FETCH_KEY = 1;

/** `KafkaConsumerPort` on @platformatic/kafka 2. Throws `SinkError` `configuration` when it cannot be loaded. */
export async function createPlatformaticConsumer(settings: KafkaConsumerSettings): Promise<KafkaConsumerPort> {
  assertNodeForPlatformatic(process.versions.node);
  const client = await loadKafkaClient(PACKAGE, () => import('@platformatic/kafka'));
  assertClientVersion(PACKAGE, client.clientSoftwareVersion);
  return {
    decompress: createDecompress(settings.decompressedBytesMax, (codec, bytes) =>
      client.compressionsAlgorithms[codec].decompressSync(bytes),
    ),
    connect: async (address) => {
      const link = new PlatformaticLink(client, settings, address);
      await link.connect();
      return link;
    },
  };
}

/**
 * Uses the client's connections, and not its `Consumer`: that one leaves no moment between the news of a rebalance and the
 * next generation in which running work could end and be committed, and cannot pause a partition.
 */
class PlatformaticLink implements BrokerLink {
  readonly #control: platformatic.Connection;
  #fetching: { readonly connection: platformatic.Connection; readonly ready: Promise<unknown> } | undefined;
  #isClosed = false;

  constructor(
    private readonly client: Client,
    private readonly settings: KafkaConsumerSettings,
    private readonly address: string,
  ) {
    this.#control = this.#open();
  }

  async connect(): Promise<void> {
    await this.#connected(this.#control);
  }

  async send(request: WireRequest): Promise<Buffer> {
    const connection = request.key === FETCH_KEY ? await this.#fetchConnection() : this.#control;
    return this.#ask(connection, request);
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of [this.#control, this.#fetching?.connection]) {
      if (connection !== undefined) {
        end(connection);
      }
    }
  }

  async #fetchConnection(): Promise<platformatic.Connection> {
    if (this.#fetching === undefined) {
      const connection = this.#open();
      this.#fetching = { connection, ready: this.#connected(connection) };
    }
    await this.#fetching.ready;
    return this.#fetching.connection;
  }

  #open(): platformatic.Connection {
    const { clientId, connectTimeoutMs, requestTimeoutMs, tls, sasl } = this.settings;
    const connection = new this.client.Connection(clientId, {
      connectTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // SNI, which hosted clusters route by; Node warns when it is given an address
      ...(tls && { tls, tlsServerName: isIP(hostOf(this.address)) === 0 }),
      ...(sasl && { sasl }),
    });
    // without a listener the process would end; who asks is told by the rejection of its request
    connection.on('error', () => undefined);
    return connection;
  }

  async #connected(connection: platformatic.Connection): Promise<void> {
    await connection.connect(hostOf(this.address), Number(this.address.slice(this.address.lastIndexOf(':') + 1)));
    if (this.#isClosed) {
      end(connection);
    }
  }

  #ask(connection: platformatic.Connection, { key, version, body }: WireRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      connection.send<Buffer>(
        key,
        version,
        () => this.client.Writer.create().append(body),
        (_correlationId, _key, _version, reader) => reader.buffer.buffer,
        false,
        false,
        (error, answer) => {
          if (error !== null || answer === undefined) {
            reject(error ?? new this.client.NetworkError('The client gave no answer.'));
          } else {
            resolve(answer);
          }
        },
      );
    });
  }
}

/** The client's own close waits for what is still to be written, which a dead broker never takes. */
function end(connection: platformatic.Connection): void {
  void connection.close().catch(() => undefined);
  connection.socket.destroy();
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}
