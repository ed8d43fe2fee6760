import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { consoleConsume, freePort, LocalKafka, uniqueName } from '@millrace/testing';
import { type SinkLane, type SinkPort, type SinkRecord } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { KAFKA_CLIENTS, type KafkaConnection, type KafkaSinkOptions } from './kafka-config.js';

jest.setTimeout(300_000);

const PRODUCE = 0;
/** Of a request that is meant to get no answer: those that are meant to get one have as long. */
const ANSWER_MS = 4_000;

/** Stands between clients and the broker: breaks off, swallows answers, and reads what is asked for. */
class FaultProxy {
  readonly acksSeen: number[] = [];
  readonly #connections = new Set<{ client: Socket; broker: Socket; isMute: boolean }>();
  #server: Server | undefined;
  #isSilent = false;

  constructor(
    readonly port: number,
    private readonly brokerPort: number,
  ) {}

  async start(): Promise<void> {
    const server = createServer((client) => {
      this.#accept(client);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const { client, broker } of this.#connections) {
      client.destroy();
      broker.destroy();
    }
    await new Promise<void>((resolve) => {
      if (server === undefined) {
        resolve();
      } else {
        server.close(() => {
          resolve();
        });
      }
    });
  }

  /** From now on nothing comes back on the connections that are open; new ones work. */
  muteOpenConnections(): void {
    for (const connection of this.#connections) {
      connection.isMute = true;
    }
  }

  /** While silent nothing comes back on any connection; one that was opened then stays mute. */
  setSilent(isSilent: boolean): void {
    this.#isSilent = isSilent;
    if (isSilent) {
      this.muteOpenConnections();
    }
  }

  #accept(client: Socket): void {
    const broker = connect(this.brokerPort, '127.0.0.1');
    const connection = { client, broker, isMute: this.#isSilent };
    this.#connections.add(connection);
    let asked: Buffer = Buffer.alloc(0);
    client.on('data', (chunk: Buffer) => {
      asked = this.#readRequests(Buffer.concat([asked, chunk]));
      broker.write(chunk);
    });
    broker.on('data', (chunk) => {
      if (!connection.isMute) {
        client.write(chunk);
      }
    });
    for (const socket of [client, broker]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        broker.destroy();
        this.#connections.delete(connection);
      });
    }
  }

  #readRequests(bytes: Buffer): Buffer {
    let rest = bytes;
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      if (rest.readInt16BE(4) === PRODUCE) {
        this.acksSeen.push(acksOf(rest));
      }
      rest = rest.subarray(end);
    }
    return rest;
  }
}

/** Of a Produce request: behind the header (version 2 from 9 on) and a transactional id that is null. */
function acksOf(request: Buffer): number {
  const isFlexible = request.readInt16BE(6) >= 9;
  const body = 14 + request.readInt16BE(12) + (isFlexible ? 1 : 0);
  return request.readInt16BE(body + (isFlexible ? 1 : 2));
}

function record(value: string): SinkRecord {
  return { key: Buffer.from('key'), value: Buffer.from(value), headers: [] };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'resolved',
    (reason: unknown) => reason,
  );
  return error instanceof SinkError ? error.code : String(error);
}

async function openSockets(): Promise<number> {
  await new Promise(setImmediate);
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'TLSWrap').length;
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-sink-'));

/** A broker behind a proxy. */
async function startBroker(): Promise<{ kafka: LocalKafka; proxy: FaultProxy }> {
  const [port, proxyPort] = await Promise.all([freePort(), freePort()]);
  const proxy = new FaultProxy(proxyPort, port);
  await proxy.start();
  const kafka = new LocalKafka({
    dataDir: join(directory, 'data'),
    port,
    advertisedPort: proxyPort,
    isQuickStart: true,
    temporaryDir: directory,
  });
  await kafka.start();
  return { kafka, proxy };
}

describe('the Kafka sink under faults', () => {
  let kafka: LocalKafka;
  let proxy: FaultProxy;
  let sink: SinkPort;

  beforeAll(async () => {
    ({ kafka, proxy } = await startBroker());
  });

  afterEach(async () => {
    await sink.stop();
  });

  afterAll(async () => {
    await proxy.stop();
    await kafka.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  describe.each(KAFKA_CLIENTS)('on %s', (client) => {
    function sinkTo(connection: Partial<KafkaConnection> = {}, options: Partial<KafkaSinkOptions> = {}): SinkPort {
      sink = createKafkaSink({
        client,
        connection: { brokers: [`127.0.0.1:${proxy.port}`], ...connection },
        topics: { create: true, partitions: 1, replication: 1 },
        requestTimeoutMs: 20_000,
        ...options,
      });
      return sink;
    }

    async function openLane(name = uniqueName('faults')): Promise<SinkLane> {
      const { lanes } = await sink.openTopic(name);
      const [lane] = lanes;
      if (lane === undefined) {
        throw new Error('no lane');
      }
      return lane;
    }

    /** As the relay does it: the same records, in the same order, until they are taken. */
    async function resend(lane: SinkLane, records: readonly SinkRecord[]): Promise<readonly string[]> {
      const codes: string[] = [];
      const deadline = performance.now() + 60_000;
      while (codes.at(-1) !== 'resolved' && performance.now() < deadline) {
        codes.push(await codeOf(sink.send(lane, records)));
      }
      return codes;
    }

    async function valuesIn({ topic }: SinkLane): Promise<(string | null)[]> {
      const records = await consoleConsume({ brokers: [`127.0.0.1:${kafka.port}`], topic });
      return records.map(({ value }) => value);
    }

    it('asks for the acknowledgement of all replicas on the wire', async () => {
      sinkTo();
      const lane = await openLane();
      proxy.acksSeen.length = 0;

      await sink.send(lane, [record('a'), record('b')]);
      await sink.send(lane, [record('c')]);

      expect(proxy.acksSeen).toEqual([-1, -1]);
    });

    it('starts when Kafka is up, and says that it is not while it is not', async () => {
      await proxy.stop();
      sinkTo();
      await expect(sink.start()).rejects.toMatchObject({
        code: 'unavailable',
        outcome: 'unknown',
        message: 'Kafka could not be reached: ECONNREFUSED.',
      });
      expect(await codeOf(sink.openTopic('orders'))).toBe('unavailable');

      await proxy.start();
      await sink.start();
      const lane = await openLane();
      expect(await sink.send(lane, [record('a')])).toEqual({ baseOffset: 0n });
    });

    it('loses and repeats nothing when the broker is restarted between sends', async () => {
      sinkTo();
      const lane = await openLane();
      await sink.send(lane, [record('a'), record('b')]);

      await kafka.stop();
      expect(await codeOf(sink.send(lane, [record('c')]))).toBe('unavailable');
      await kafka.start();
      const codes = await resend(lane, [record('c')]);

      expect(codes.at(-1)).toBe('resolved');
      expect(await valuesIn(lane)).toEqual(['a', 'b', 'c']);
    });

    it('rejects a send that is never answered at its own deadline, and goes on over a new client', async () => {
      sinkTo({}, { idempotent: false, requestTimeoutMs: 60_000, sendDeadlineMs: ANSWER_MS });
      const lane = await openLane();
      await sink.send(lane, [record('a')]);

      proxy.muteOpenConnections();
      expect(await codeOf(sink.send(lane, [record('b')]))).toBe('timeout');
      const { baseOffset } = await sink.send(lane, [record('b')]);

      // the first one was stored, and its answer swallowed: the outcome was unknown indeed
      expect(baseOffset).toBe(2n);
      expect(await valuesIn(lane)).toEqual(['a', 'b', 'b']);
    });

    it('stores what is sent again once in idempotent mode, and refuses the mode by name otherwise', async () => {
      if (client === 'kafkajs') {
        await expect(sinkTo({}, { idempotent: true }).start()).rejects.toMatchObject({
          code: 'configuration',
          message: expect.stringContaining('kafkajs cannot be idempotent safely'),
        });
        return;
      }
      sinkTo({}, { idempotent: true, requestTimeoutMs: ANSWER_MS });
      const lane = await openLane();
      await sink.send(lane, [record('a')]);
      const records = [record('b'), record('c')];

      for (let attempt = 0; attempt < 2; attempt += 1) {
        proxy.setSilent(true);
        expect(await codeOf(sink.send(lane, records))).toBe('timeout');
        proxy.setSilent(false);
      }
      expect(await sink.send(lane, records)).toEqual({ baseOffset: 1n });
      expect(await sink.send(lane, [record('d')])).toEqual({ baseOffset: 3n });

      await kafka.stop();
      await codeOf(sink.send(lane, [record('e')]));
      await kafka.start();
      const codes = await resend(lane, [record('e')]);

      expect(codes.at(-1)).toBe('resolved');
      expect(await valuesIn(lane)).toEqual(['a', 'b', 'c', 'd', 'e']);
    });

    it('leaves a connection that stopped answering when the client itself times out', async () => {
      sinkTo({}, { requestTimeoutMs: ANSWER_MS });
      const lane = await openLane();
      await sink.send(lane, [record('a')]);

      proxy.muteOpenConnections();
      proxy.acksSeen.length = 0;
      expect(await codeOf(sink.send(lane, [record('b')]))).toBe('timeout');
      // once: a retry of the client's own could overtake what the caller does next
      expect(proxy.acksSeen).toEqual([-1]);

      expect(await codeOf(sink.send(lane, [record('b')]))).toBe('resolved');
    });

    it('goes on once there are answers again, though clients have connected in silence', async () => {
      const seeds = Array.from({ length: 3 }, () => `127.0.0.1:${proxy.port}`);
      sinkTo({ brokers: seeds }, { requestTimeoutMs: ANSWER_MS });
      const lane = await openLane();
      await sink.send(lane, [record('a')]);

      proxy.setSilent(true);
      expect(await codeOf(sink.send(lane, [record('b')]))).toBe('timeout');
      expect(await codeOf(sink.send(lane, [record('b')]))).not.toBe('resolved');
      proxy.setSilent(false);

      expect((await resend(lane, [record('b')])).at(-1)).toBe('resolved');
    });

    it('leaves no socket open, nor after a deadline or when it is stopped twice', async () => {
      const before = await openSockets();
      sinkTo({}, { requestTimeoutMs: 60_000, sendDeadlineMs: ANSWER_MS });
      const lane = await openLane();
      await sink.send(lane, [record('a')]);
      proxy.muteOpenConnections();
      await codeOf(sink.send(lane, [record('b')]));
      await sink.send(lane, [record('b')]);

      await Promise.all([sink.stop(), sink.stop()]);
      await proxy.stop();
      await proxy.start();

      while ((await openSockets()) > before) {
        await sleep(20);
      }
    });
  });
});
