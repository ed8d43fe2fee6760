import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createTopic, freePort, LocalKafka, uniqueName, until } from '@millrace/testing';
import { Admin } from '@platformatic/kafka';
import { type SubscriptionPort } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { ChangeSignal } from '../testing/change-signal.js';
import { RecordingListener, type ReceiverBehaviour } from '../testing/recording-listener.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { createKafkaSubscription, type KafkaSubscriptionOptions } from './create-kafka-subscription.js';
import { KAFKA_CLIENTS } from './kafka-config.js';
import { type SubscriptionEvent } from './subscription-events.js';

jest.setTimeout(300_000);

interface Passage {
  readonly client: Socket;
  readonly broker: Socket;
  /** The first request, which names the client. */
  first: Buffer | undefined;
}

/** Stands between clients and the broker: keeps what is sent for a while, or swallows the answers. */
class HoldingProxy {
  readonly #open = new Set<Passage>();
  #held: string | undefined;
  #server: Server | undefined;

  constructor(
    readonly port: number,
    private readonly brokerPort: number,
  ) {}

  async start(): Promise<void> {
    this.#server = createServer((client) => {
      this.#pass(client);
    });
    await new Promise<void>((resolve) => this.#server?.listen(this.port, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    for (const { client, broker } of this.#open) {
      client.destroy();
      broker.destroy();
    }
    await new Promise<void>((resolve) => {
      this.#server?.close(() => {
        resolve();
      });
    });
  }

  /** The connections of a client, old and new, stand still in both directions until they are let go. */
  hold(clientId: string): { readonly letGo: () => void } {
    this.#held = clientId;
    for (const passage of this.#open) {
      this.#holdIfMeant(passage);
    }
    return {
      letGo: () => {
        this.#held = undefined;
        for (const { client, broker } of this.#open) {
          client.resume();
          broker.resume();
        }
      },
    };
  }

  /** No answer comes back any more on the connections that are open now. */
  mute(): void {
    for (const { broker } of this.#open) {
      broker.removeAllListeners('data');
      broker.resume();
    }
  }

  #pass(client: Socket): void {
    const broker = connect(this.brokerPort, '127.0.0.1');
    const passage: Passage = { client, broker, first: undefined };
    this.#open.add(passage);
    client.on('data', (chunk: Buffer) => {
      passage.first ??= chunk;
      this.#holdIfMeant(passage);
      broker.write(chunk);
    });
    broker.on('data', (chunk) => client.write(chunk));
    for (const socket of [client, broker]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        broker.destroy();
        this.#open.delete(passage);
      });
    }
  }

  #holdIfMeant({ client, broker, first }: Passage): void {
    if (this.#held !== undefined && first?.includes(this.#held) === true) {
      client.pause();
      broker.pause();
    }
  }
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-subscription-'));
const signal = new ChangeSignal();
const SESSION_MS = 6_000;

let kafka: LocalKafka;
let proxy: HoldingProxy;
const started: SubscriptionPort[] = [];

beforeAll(async () => {
  const [port, proxyPort] = [await freePort(), await freePort()];
  kafka = new LocalKafka({
    dataDir: join(directory, 'data'),
    port,
    advertisedPort: proxyPort,
    isQuickStart: true,
    temporaryDir: directory,
    settings: {
      'offsets.topic.num.partitions': 3,
      // a broker that comes back after a kill waits for its own old session to end
      'broker.session.timeout.ms': 3_000,
      'broker.heartbeat.interval.ms': 500,
    },
  });
  proxy = new HoldingProxy(proxyPort, port);
  await proxy.start();
  await kafka.start();
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((subscription) => subscription.stop()));
});

afterAll(async () => {
  await kafka.stop();
  await proxy.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Sends in the order of the numbers, each batch until it is taken. */
async function send(topic: string, from: number, to: number): Promise<void> {
  const sink = createKafkaSink({
    client: 'platformatic',
    connection: { brokers: kafka.brokers },
    topics: { create: false },
    requestTimeoutMs: 3_000,
  });
  const records = Array.from({ length: to - from }, (_, index) => ({
    key: Buffer.from('key'),
    value: Buffer.from(String(from + index)),
    headers: [],
  }));
  const deadline = performance.now() + 60_000;
  for (let isSent = false; !isSent;) {
    try {
      const { lanes } = await sink.openTopic(topic);
      await Promise.all(lanes.map((lane) => sink.send(lane, records)));
      isSent = true;
    } catch (error) {
      if (!(error instanceof SinkError) || performance.now() > deadline) {
        throw error;
      }
    }
  }
  await sink.stop();
}

async function newTopic(partitions = 2): Promise<string> {
  const topic = uniqueName('topic');
  await createTopic({ brokers: kafka.brokers, topic, partitions });
  return topic;
}

async function committedOffset(groupId: string): Promise<bigint | undefined> {
  const admin = new Admin({ clientId: 'millrace-test', bootstrapBrokers: kafka.brokers, retries: 3 });
  const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] });
  await admin.close();
  return group?.topics[0]?.partitions[0]?.committedOffset;
}

interface Member {
  readonly subscription: SubscriptionPort;
  readonly listener: RecordingListener;
  readonly events: SubscriptionEvent[];
}

async function startMember(
  options: Pick<KafkaSubscriptionOptions, 'client' | 'groupId' | 'topics' | 'clientId'>,
  behaviour?: ReceiverBehaviour,
): Promise<Member> {
  const events: SubscriptionEvent[] = [];
  const listener = new RecordingListener(signal, behaviour);
  const subscription = createKafkaSubscription({
    connection: { brokers: kafka.brokers },
    sessionTimeoutMs: SESSION_MS,
    heartbeatMs: 300,
    drainMs: 2_000,
    onEvent: (event) => {
      events.push(event);
      signal.changed();
    },
    ...options,
  });
  started.push(subscription);
  await subscription.start(listener);
  return { subscription, listener, events };
}

/** One member per client, each in a group of its own, so that one fault is for both. */
function startBoth(topic: string, behaviour?: ReceiverBehaviour): Promise<Member[]> {
  const topics = [topic];
  return Promise.all(
    KAFKA_CLIENTS.map((client) => startMember({ client, groupId: uniqueName(client), topics }, behaviour)),
  );
}

/** All values from 0 on, in order; what comes again after a fault counts once. */
function hasAll({ listener }: Member, count: number): boolean {
  return [0, 1].every((partition) => {
    const firsts = [...new Set(listener.valuesOf(partition).map(Number))];
    return firsts.length === count && firsts.every((value, index) => value === index);
  });
}

async function untilAll(members: readonly Member[], count: number): Promise<void> {
  for (const member of members) {
    await signal.until(`all of ${count} records in order`, () => hasAll(member, count));
  }
}

describe('the Kafka subscription on either client, under faults', () => {
  it('goes on by itself when the broker is killed and comes back', async () => {
    const topic = await newTopic();
    const members = await startBoth(topic);
    await send(topic, 0, 100);
    await untilAll(members, 100);

    await kafka.kill();
    await kafka.start();
    await send(topic, 100, 200);

    await untilAll(members, 200);
    for (const { subscription } of members) {
      await signal.until('a member that runs', () => subscription.status().kind === 'running');
    }
  });

  it('goes on when the broker stays away for longer than the session, and stops in time meanwhile', async () => {
    const topic = await newTopic();
    const members = await startBoth(topic);
    const [leaving] = await startBoth(topic);
    await send(topic, 0, 100);
    await untilAll(members, 100);

    await kafka.stop();
    const begun = performance.now();
    await leaving?.subscription.stop();
    // the broker is away for as long as it is not started, below
    expect(performance.now() - begun).toBeLessThan(30_000);
    for (const { events } of members) {
      await signal.until('a client given up', () => events.some(({ kind }) => kind === 'rebuilt'));
    }
    await kafka.start();
    await send(topic, 100, 200);

    await untilAll(members, 200);
  });

  it('takes new connections when the old ones stay open and give no answer', async () => {
    const topic = await newTopic();
    const members = await startBoth(topic);
    await send(topic, 0, 100);
    await untilAll(members, 100);

    proxy.mute();
    await send(topic, 100, 200);

    await untilAll(members, 200);
  });

  it.each(KAFKA_CLIENTS)(
    'on %s, cannot move the group back when it was cut off for longer than the session',
    async (client) => {
      const topic = await newTopic(1);
      const groupId = uniqueName('group');
      const committedText = async () => String(await committedOffset(groupId));
      await send(topic, 0, 10);
      const lost = await startMember(
        { client, clientId: 'lost', groupId, topics: [topic] },
        { receive: () => Promise.resolve() },
      );
      await signal.until('10 records', () => lost.listener.deliveries.length === 10);
      const held = proxy.hold('lost');
      lost.listener.opened[0]?.commit(5n);

      const heir = await startMember({ client, groupId, topics: [topic] });
      await signal.until('an heir with all records', () => heir.listener.deliveries.length === 10);
      await until(committedText, (offset) => offset === '10', 'the commit of the heir');
      await heir.subscription.stop();
      held.letGo();
      await signal.until('another assignment', () => lost.listener.opened.length === 2);
      await signal.until('a refused commit', () => lost.events.some(({ kind }) => kind === 'commit_failed'));

      expect(lost.listener.opened[1]?.committedOffset).toBe(10n);
      expect(await committedOffset(groupId)).toBe(10n);
    },
  );

  it('joins again by itself when the process stood still for longer than the session', async () => {
    const topic = await newTopic();
    const members = await startBoth(topic);
    await send(topic, 0, 100);
    await untilAll(members, 100);

    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SESSION_MS + 4_000);
    await send(topic, 100, 200);

    await untilAll(members, 200);
    for (const { listener } of members) {
      await signal.until('a second assignment', () => listener.opened.length >= 4);
    }
  });
});
