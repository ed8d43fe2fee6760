import { afterEach, beforeAll, afterAll, describe, expect, it } from '@jest/globals';
import { createTopic, deleteTopic, testKafkaBrokers, uniqueName, until } from '@millrace/testing';
import { Admin, Producer } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { type SinkPort } from '../sink-port.js';
import { type AssignedPartition, type SubscriptionPort } from '../subscription-port.js';
import { ChangeSignal } from '../testing/change-signal.js';
import { commitAll, RecordingListener, type ReceiverBehaviour } from '../testing/recording-listener.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { createKafkaSubscription, type KafkaSubscriptionOptions } from './create-kafka-subscription.js';
import { KAFKA_CLIENTS } from './kafka-config.js';
import { type SubscriptionEvent } from './subscription-events.js';

const brokers = testKafkaBrokers();
const signal = new ChangeSignal();
const admin = new Admin({ clientId: 'millrace-test', bootstrapBrokers: brokers, retries: 3 });
const sink = newSink();

beforeAll(() => sink.start());
afterAll(async () => {
  await sink.stop();
  await admin.close();
});

function newSink(): SinkPort {
  return createKafkaSink({ client: 'platformatic', connection: { brokers }, topics: { create: false } });
}

/** For what a test does beside: patient, because that is not what it tests. */
function newKafkajs(): kafkajs.Kafka {
  const logLevel = kafkajs.logLevel.NOTHING;
  return new kafkajs.Kafka({
    brokers,
    logLevel,
    connectionTimeout: 30_000,
    retry: { retries: 20, maxRetryTime: 1_000 },
  });
}

/** A topic of two partitions. */
async function newTopic(): Promise<string> {
  const topic = uniqueName('topic');
  await createTopic({ brokers, topic, partitions: 2 });
  return topic;
}

/** Sends values to a partition, one record each. */
async function send(topic: string, partition: number, values: readonly string[], through = sink): Promise<void> {
  const { lanes } = await through.openTopic(topic);
  const lane = lanes[partition];
  if (lane === undefined) {
    throw new Error(`${topic} has no partition ${partition}`);
  }
  await through.send(
    lane,
    values.map((value) => ({ key: Buffer.from('key'), value: Buffer.from(value), headers: [] })),
  );
}

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => String(from + index));
}

async function committedOffsets(groupId: string): Promise<Record<number, bigint>> {
  const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] });
  const partitions = group?.topics.flatMap((topic) => topic.partitions) ?? [];
  return Object.fromEntries(partitions.map((one) => [one.partitionIndex, one.committedOffset]));
}

function isSettled(event: SubscriptionEvent): boolean {
  return event.kind === 'rebuilt' || event.kind === 'commit_failed';
}

describe.each(KAFKA_CLIENTS)('the Kafka subscription on %s', (client) => {
  const started: SubscriptionPort[] = [];

  interface Member {
    readonly subscription: SubscriptionPort;
    readonly listener: RecordingListener;
    readonly events: SubscriptionEvent[];
  }

  /** Not started yet. */
  function newMember(
    options: Partial<KafkaSubscriptionOptions> & Pick<KafkaSubscriptionOptions, 'groupId' | 'topics'>,
    behaviour?: ReceiverBehaviour,
  ): Member {
    const events: SubscriptionEvent[] = [];
    const listener = new RecordingListener(signal, behaviour);
    const subscription = createKafkaSubscription({
      client,
      connection: { brokers },
      heartbeatMs: 200,
      missingTopicPollMs: 100,
      onEvent: (event) => {
        events.push(event);
        signal.changed();
      },
      ...options,
    });
    started.push(subscription);
    return { subscription, listener, events };
  }

  async function startMember(...args: Parameters<typeof newMember>): Promise<Member> {
    const member = newMember(...args);
    await member.subscription.start(member.listener);
    return member;
  }

  /** Waits until the partitions of the group are dealt out as `owned` says. */
  async function dealtOut(...members: readonly (readonly [Member, number])[]): Promise<void> {
    for (const [{ listener }, count] of members) {
      await signal.until(`a member with ${count} partitions`, () => listener.owned.length === count);
    }
  }

  afterEach(async () => {
    await Promise.all(started.splice(0).map((subscription) => subscription.stop()));
  });

  it('delivers every partition in order from the earliest record, and goes on with what comes', async () => {
    const topic = await newTopic();
    await send(topic, 0, numbers(500));
    await send(topic, 1, numbers(500));

    const { listener, events, subscription } = await startMember({ groupId: uniqueName('group'), topics: [topic] });
    await signal.until('1000 records', () => listener.deliveries.length === 1000);
    await send(topic, 0, numbers(100, 500));
    await signal.until('100 more', () => listener.deliveries.length === 1100);

    expect(listener.valuesOf(0)).toEqual(numbers(600));
    expect(listener.valuesOf(1)).toEqual(numbers(500));
    const offsets = listener.deliveries.filter(({ partition }) => partition === 0).map(({ offset }) => offset);
    expect(offsets).toEqual(Array.from({ length: 600 }, (_, index) => BigInt(index)));
    expect(listener.opened.map(({ committedOffset }) => committedOffset)).toEqual([null, null]);
    expect(subscription.status()).toEqual({ kind: 'running', partitions: 2, missingTopics: [] });
    expect(events.map(({ kind }) => kind)).toEqual(['joined', 'assigned']);
  });

  it('delivers keys, values and headers byte by byte, and tells null from empty', async () => {
    const topic = await newTopic();
    const bytes = Buffer.from([0, 255, 128, 10, 13, 0]);
    const kafka = newKafkajs();
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await producer.connect();
    const timestamp = Date.now() - 5_000;
    await producer.send({
      topic,
      messages: [
        { partition: 0, key: bytes, value: bytes, headers: { ä: bytes, empty: '' }, timestamp: String(timestamp) },
        { partition: 0, key: null, value: null },
        { partition: 0, key: '', value: '', headers: { twice: ['first', 'last'] } },
      ],
    });
    await producer.disconnect();

    const { listener } = await startMember({ groupId: uniqueName('group'), topics: [topic] });
    await signal.until('3 records', () => listener.deliveries.length === 3);

    const [first, second, third] = listener.deliveries;
    expect(first).toEqual({
      topic,
      partition: 0,
      offset: 0n,
      key: bytes,
      value: bytes,
      headers: new Map([
        ['ä', bytes],
        ['empty', Buffer.alloc(0)],
      ]),
      timestampMs: timestamp,
    });
    expect(second).toMatchObject({ key: null, value: null, headers: new Map() });
    expect(third?.key).toEqual(Buffer.alloc(0));
    expect(third?.value).toEqual(Buffer.alloc(0));
    expect(third?.headers.get('twice')?.toString()).toBe('last');
  });

  it('goes on from the committed offset, and commits nothing that was not given', async () => {
    const topic = await newTopic();
    const groupId = uniqueName('group');
    await send(topic, 0, numbers(10));
    await send(topic, 1, numbers(10));

    const first = await startMember(
      { groupId, topics: [topic] },
      {
        receive: (_, partition) => {
          if (partition.partition === 0) {
            partition.commit(4n);
            partition.commit(2n);
          }
          return Promise.resolve();
        },
      },
    );
    await signal.until('20 records', () => first.listener.deliveries.length === 20);
    await first.subscription.stop();
    for (const partition of first.listener.opened) {
      partition.commit(9n);
    }

    expect(await committedOffsets(groupId)).toEqual({ 0: 4n });
    const second = await startMember({ groupId, topics: [topic] });
    await signal.until('16 records', () => second.listener.deliveries.length === 16);
    expect(second.listener.valuesOf(0)).toEqual(numbers(6, 4));
    expect(second.listener.valuesOf(1)).toEqual(numbers(10));
    expect(second.listener.opened.map(({ committedOffset }) => committedOffset)).toEqual([4n, null]);
  });

  it('commits while it runs, the newest offset of each partition once per interval', async () => {
    const topic = await newTopic();
    const groupId = uniqueName('group');
    await send(topic, 0, numbers(50));

    const { listener } = await startMember({ groupId, topics: [topic], commitIntervalMs: 20 });
    await signal.until('50 records', () => listener.deliveries.length === 50);

    const committed = async () => String((await committedOffsets(groupId))[0]);
    await until(committed, (offset) => offset === '50', 'the commit of all records');
  });

  it('hands partitions over to a new member once their receivers are closed, without a record twice', async () => {
    const topic = await newTopic();
    const groupId = uniqueName('group');
    const order: string[] = [];
    let tellToClose: () => void = () => undefined;
    const toldToClose = new Promise<void>((resolve) => {
      tellToClose = resolve;
    });
    const first = await startMember(
      { groupId, topics: [topic] },
      {
        receive: async (deliveries, partition) => {
          await toldToClose;
          await commitAll(deliveries, partition);
        },
        close: async () => {
          tellToClose();
          // time for a member that does not wait for this to open its partition: nothing tells that none did
          await new Promise((resolve) => setTimeout(resolve, 500));
          order.push('closed');
        },
      },
    );
    await dealtOut([first, 2]);
    await send(topic, 0, numbers(20));
    await send(topic, 1, numbers(20));
    await signal.until('records under way', () => first.listener.deliveries.length > 0);

    const second = await startMember(
      { groupId, topics: [topic] },
      {
        open: () => {
          order.push('opened');
          return Promise.resolve();
        },
      },
    );
    await dealtOut([first, 1], [second, 1]);
    await send(topic, 0, numbers(20, 20));
    await send(topic, 1, numbers(20, 20));
    const all = () => [...first.listener.deliveries, ...second.listener.deliveries];
    await signal.until('all records', () => all().length >= 80);

    expect(order).toEqual(['closed', 'closed', 'opened']);
    expect(all().map(({ partition, offset }) => `${partition}/${offset}`)).toHaveLength(80);
    expect(new Set(all().map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(80);
    const revoked = first.events.filter(({ kind }) => kind === 'revoked');
    expect(revoked).toEqual([expect.objectContaining({ isDrained: true })]);
  });

  it('waits for a receiver no longer than its drain time, and ignores what it commits afterwards', async () => {
    const topic = await newTopic();
    const groupId = uniqueName('group');
    await send(topic, 0, numbers(10));
    await send(topic, 1, numbers(10));
    const stuck = await startMember(
      { groupId, topics: [topic], drainMs: 300 },
      { receive: () => Promise.resolve(), close: () => new Promise<void>(() => undefined) },
    );
    await signal.until('20 records', () => stuck.listener.deliveries.length === 20);

    const begun = performance.now();
    await stuck.subscription.stop();

    // the default is 10 s
    expect(performance.now() - begun).toBeLessThan(9_000);
    expect(stuck.events.at(-1)).toMatchObject({ kind: 'revoked', isDrained: false });
    stuck.listener.opened[0]?.commit(10n);
    expect(await committedOffsets(groupId)).toEqual({});
  });

  it('gives a partition whose receiver is busy nothing more, and the others go on', async () => {
    const topic = await newTopic();
    let isReleased = false;
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = () => {
        isReleased = true;
        resolve();
      };
    });
    const { listener } = await startMember(
      { groupId: uniqueName('group'), topics: [topic], fetchBytesMax: 262_144 },
      {
        receive: async (deliveries, partition) => {
          if (partition.partition === 0) {
            await released;
          }
          await commitAll(deliveries, partition);
        },
      },
    );
    const large = numbers(200).map((value) => value.padEnd(2_000, '.'));
    await dealtOutOf(listener, 2);
    await send(topic, 0, large);
    await signal.until('a busy receiver', () => listener.valuesOf(0).length > 0);
    const given = listener.valuesOf(0).length;
    await send(topic, 0, large);
    for (let batch = 0; batch < 5; batch += 1) {
      await send(topic, 1, large);
      await signal.until('the other partition', () => listener.valuesOf(1).length === 200 * (batch + 1));
    }

    expect(isReleased).toBe(false);
    expect(listener.valuesOf(0)).toHaveLength(given);
    release();
    await signal.until('the rest', () => listener.valuesOf(0).length === 400);
  });

  it('waits for topics that are missing, and notices them and new partitions soon', async () => {
    const topic = await newTopic();
    const late = uniqueName('late');
    await send(topic, 0, ['early']);
    const { listener, subscription, events } = await startMember({
      groupId: uniqueName('group'),
      topics: [topic, late],
    });
    await signal.until('the first record', () => listener.valuesOf(0).includes('early'));
    expect(subscription.status()).toEqual({ kind: 'running', partitions: 2, missingTopics: [late] });

    await createTopic({ brokers, topic: late, partitions: 1 });
    await send(late, 0, ['late']);
    await signal.until('the late record', () => listener.valuesOf(0).includes('late'));
    expect(subscription.status()).toEqual({ kind: 'running', partitions: 3, missingTopics: [] });

    await addPartition(late);
    await signal.until('a new partition', () => listener.owned.length === 4);
    expect(events.map(({ kind }) => kind).filter((kind) => kind.startsWith('topic'))).toEqual([
      'topic_missing',
      'topic_appeared',
    ]);
    expect(listener.valuesOf(0)).toEqual(['early', 'late']);
  });

  it('joins with no topic at all there, and delivers from a topic that is made again', async () => {
    const topic = uniqueName('later');
    const { listener, subscription, events } = await startMember({ groupId: uniqueName('group'), topics: [topic] });
    await signal.until('a membership', () => subscription.status().kind === 'running');
    expect(subscription.status()).toEqual({ kind: 'running', partitions: 0, missingTopics: [topic] });

    await createTopic({ brokers, topic, partitions: 2 });
    await send(topic, 1, ['first life']);
    await signal.until('a record', () => listener.valuesOf(1).length === 1);
    await deleteTopic(brokers, topic);
    await signal.until('its end', () => listener.owned.length === 0);
    await createTopic({ brokers, topic, partitions: 2 });
    const another = newSink();
    await send(topic, 1, ['second life'], another);
    await another.stop();
    await signal.until('the second life', () => listener.valuesOf(1).includes('second life'));

    expect(events.filter(isSettled).filter(({ kind }) => kind === 'rebuilt')).toEqual([]);
  });

  it('skips nothing of a topic that is made again at once while it has its records of before in hand', async () => {
    const topic = await newTopic();
    await send(topic, 0, ['old 0', 'old 1', 'old 2']);
    const { listener, events } = await startMember(
      { groupId: uniqueName('group'), topics: [topic] },
      { receive: () => Promise.resolve(), close: (partition) => at(partition, 3n) },
    );
    await signal.until('the records of before', () => listener.valuesOf(0).length === 3);
    await deleteTopic(brokers, topic);
    await createTopic({ brokers, topic, partitions: 2 });
    // it depends on when it looks whether it misses the topic, or finds one that ends before its position
    const isNews = ({ kind }: SubscriptionEvent) => kind === 'out_of_range' || kind === 'topic_missing';
    await signal.until('the news', () => events.some(isNews));
    const another = newSink();
    await send(topic, 0, numbers(6), another);
    await another.stop();

    await signal.until('all of the new records', () => new Set(listener.valuesOf(0)).size === 9);
  });

  it('skips nothing of a topic that is made again while receivers of its first life still close', async () => {
    const topic = await newTopic();
    const membership = { groupId: uniqueName('group'), topics: [topic], sessionTimeoutMs: 120_000, drainMs: 110_000 };
    let close: NonNullable<ReceiverBehaviour['close']> = () => Promise.resolve();
    const behaviour = { receive: () => Promise.resolve(), close: (partition: AssignedPartition) => close(partition) };
    // one of them deals the partitions out, and the other one does not
    const first = await startMember(membership, behaviour);
    const second = await startMember(membership, behaviour);
    await dealtOut([second, 1], [first, 1]);
    const hasAll = (count: number) =>
      [0, 1].every((partition) => {
        const values = [first, second].flatMap(({ listener }) => listener.valuesOf(partition));
        return new Set(values).size === count;
      });
    await send(topic, 0, ['old 0', 'old 1', 'old 2']);
    await send(topic, 1, ['old 0', 'old 1', 'old 2']);
    await signal.until('the records of before', () => hasAll(3));
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    close = (partition) => released.then(() => at(partition, 3n));

    await deleteTopic(brokers, topic);
    for (const { events } of [first, second]) {
      await signal.until('a missing topic', () => events.some(({ kind }) => kind === 'topic_missing'));
    }
    await createTopic({ brokers, topic, partitions: 2 });
    const another = newSink();
    await send(topic, 0, numbers(6), another);
    await send(topic, 1, numbers(6), another);
    await another.stop();
    release();

    await signal.until('all of the new records', () => hasAll(9));
  });

  it('goes on at the earliest record where the committed offset is gone, and says so', async () => {
    const topic = await newTopic();
    const groupId = uniqueName('group');
    await send(topic, 0, numbers(100));
    const first = await startMember({ groupId, topics: [topic] }, { receive: (_, partition) => at(partition, 10n) });
    await signal.until('100 records', () => first.listener.deliveries.length === 100);
    await first.subscription.stop();
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 50n }] }] });

    const { listener, events } = await startMember({ groupId, topics: [topic] });
    await signal.until('50 records', () => listener.deliveries.length === 50);

    expect(listener.opened[0]?.committedOffset).toBe(10n);
    expect(listener.valuesOf(0)).toEqual(numbers(50, 50));
    expect(events.filter(({ kind }) => kind === 'out_of_range')).toEqual([
      { kind: 'out_of_range', topic, partition: 0, expected: 10n, first: 50n },
    ]);
  });

  it('goes back to the earliest record where the committed offset is beyond the end, and says so', async () => {
    const topic = await newTopic();
    const groupId = uniqueName('group');
    await send(topic, 0, numbers(10));
    await admin.alterConsumerGroupOffsets({
      groupId,
      topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: 5_000n }] }],
    });

    const { listener, events } = await startMember({ groupId, topics: [topic] });
    await signal.until('10 records', () => listener.deliveries.length === 10);

    expect(events.filter(({ kind }) => kind === 'out_of_range')).toEqual([
      { kind: 'out_of_range', topic, partition: 0, expected: 5_000n, first: 0n },
    ]);
  });

  it('says nothing of a first offset that nobody expected', async () => {
    const topic = await newTopic();
    await send(topic, 0, numbers(100));
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 50n }] }] });

    const { listener, events } = await startMember({ groupId: uniqueName('group'), topics: [topic] });
    await signal.until('50 records', () => listener.deliveries.length === 50);

    expect(events.map(({ kind }) => kind)).toEqual(['joined', 'assigned']);
  });

  it('is built anew when a receiver rejects, and delivers again from the last commit', async () => {
    const topic = await newTopic();
    await send(topic, 0, numbers(10));
    let isBroken = true;
    const { listener, events, subscription } = await startMember(
      { groupId: uniqueName('group'), topics: [topic] },
      {
        receive: (deliveries, partition) => {
          if (isBroken) {
            isBroken = false;
            partition.commit(3n);
            return Promise.reject(new TypeError('payload: 4711'));
          }
          return commitAll(deliveries, partition);
        },
      },
    );
    await signal.until('the rest again', () => listener.deliveries.length === 17);

    expect(listener.valuesOf(0)).toEqual([...numbers(10), ...numbers(7, 3)]);
    expect(events.find(({ kind }) => kind === 'rebuilt')).toMatchObject({
      reason: `The receiver of ${topic}/0 failed to receive: TypeError.`,
      attempt: 1,
    });
    expect(listener.closed).toHaveLength(2);
    expect(subscription.status().kind).toBe('running');
  });

  it('is built anew when a receiver cannot be opened', async () => {
    const topic = await newTopic();
    await send(topic, 1, numbers(3));
    let attempts = 0;
    const { listener, events } = await startMember(
      { groupId: uniqueName('group'), topics: [topic] },
      {
        open: ({ partition }) => {
          attempts += 1;
          return partition === 1 && attempts < 4 ? Promise.reject(new Error('no database')) : Promise.resolve();
        },
      },
    );
    await signal.until('3 records', () => listener.deliveries.length === 3);

    expect(events.filter(({ kind }) => kind === 'rebuilt').map(reasonOf)).toContain(
      `The receiver of ${topic}/1 failed to open: Error.`,
    );
  });

  it('leaves its group when it stops, so that another member has its partitions at once', async () => {
    const topic = await newTopic();
    const groupId = uniqueName('group');
    const first = await startMember({ groupId, topics: [topic] });
    await dealtOut([first, 2]);
    const second = await startMember({ groupId, topics: [topic] });
    await dealtOut([first, 1], [second, 1]);

    const begun = performance.now();
    await first.subscription.stop();
    await dealtOut([second, 2]);

    // its session would have gone on for 30 s
    expect(performance.now() - begun).toBeLessThan(25_000);
    expect(first.subscription.status()).toEqual({ kind: 'stopped' });
    expect(first.listener.owned).toEqual([]);
  });

  it('may be stopped before it is started, while it joins, and more than once; a second start is refused', async () => {
    const topic = await newTopic();
    const { subscription, listener } = newMember({ groupId: uniqueName('group'), topics: [topic] });
    expect(subscription.status()).toEqual({ kind: 'idle' });
    await subscription.stop();
    await subscription.start(listener);
    await expect(subscription.start(listener)).rejects.toThrow('is started already');
    await Promise.all([subscription.stop(), subscription.stop()]);
    expect(subscription.status()).toEqual({ kind: 'stopped' });

    await send(topic, 0, ['again']);
    await subscription.start(listener);
    await signal.until('a record after another start', () => listener.deliveries.length === 1);
  });

  it('reads what producers compress, and not what their transactions took back', async () => {
    const topic = await newTopic();
    const codecs =
      client === 'platformatic' ? (['gzip', 'snappy', 'lz4', 'zstd'] as const) : (['gzip', 'zstd'] as const);
    const value = Buffer.from('compressed '.repeat(50));
    const producer = new Producer({ clientId: 'millrace-test', bootstrapBrokers: brokers, retries: 0 });
    for (const compression of codecs) {
      await producer.send({ messages: [{ topic, partition: 0, value }], acks: -1, compression });
    }
    await producer.close();
    await abortedTransaction(topic);
    await send(topic, 0, ['after']);

    const { listener } = await startMember({ groupId: uniqueName('group'), topics: [topic] });
    await signal.until('the last record', () => listener.valuesOf(0).includes('after'));

    expect(listener.valuesOf(0)).toEqual([...codecs.map(() => value.toString()), 'after']);
    const covered = listener.chunks.filter(({ partition }) => partition === 0).map(({ chunk }) => chunk);
    expect(covered.map(({ firstOffset }) => firstOffset)).toEqual([
      0n,
      ...covered.slice(0, -1).map(({ nextOffset }) => nextOffset),
    ]);
  });

  it('starts in spite of brokers that are not there, says why, and stops at once', async () => {
    const { subscription, events } = await startMember({
      groupId: uniqueName('group'),
      topics: ['any'],
      connection: { brokers: ['127.0.0.1:1'] },
    });
    await signal.until('two attempts', () => events.length >= 2);

    expect(events[1]).toMatchObject({ kind: 'rebuilt', reason: 'Kafka failed: ECONNREFUSED.', attempt: 2 });
    expect(subscription.status()).toMatchObject({ kind: 'rebuilding', attempt: 2 });
    await subscription.stop();
  });
});

async function dealtOutOf(listener: RecordingListener, count: number): Promise<void> {
  await signal.until(`${count} partitions`, () => listener.owned.length === count);
}

function at(partition: { commit(nextOffset: bigint): void }, offset: bigint): Promise<void> {
  partition.commit(offset);
  return Promise.resolve();
}

function reasonOf(event: SubscriptionEvent): string {
  return 'reason' in event ? event.reason : '';
}

/** One more than its one. */
async function addPartition(topic: string): Promise<void> {
  const kafka = newKafkajs();
  const changing = kafka.admin();
  await changing.connect();
  await changing.createPartitions({ topicPartitions: [{ topic, count: 2 }] });
  await changing.disconnect();
}

/** Three records of a transaction that is aborted. */
async function abortedTransaction(topic: string): Promise<void> {
  const kafka = newKafkajs();
  const producer = kafka.producer({
    transactionalId: uniqueName('transaction'),
    maxInFlightRequests: 1,
    idempotent: true,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: ['a', 'b', 'c'].map((value) => ({ partition: 0, value })) });
  await transaction.abort();
  await producer.disconnect();
}
