import { describe, expect, it } from '@jest/globals';
import { recordBytes } from '../batch-limits.js';
import { type SinkLane, type SinkRecord } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { type KafkaTopicPolicy } from './kafka-config.js';
import {
  type KafkaAck,
  type KafkaBatch,
  type KafkaProducerPort,
  type KafkaTopicShape,
  type ProducerIdentity,
} from './kafka-producer-port.js';
import { KafkaSink, type KafkaSinkParts } from './kafka-sink.js';

type Answer = (batch: KafkaBatch) => Promise<readonly KafkaAck[]>;

class ProtocolError extends Error {
  constructor(
    readonly apiCode: number,
    readonly apiId: string,
  ) {
    super('what a broker said, maybe with a payload in it');
  }
}

/** A cluster in memory with failures to order; each client of it is a `FakeProducer`. */
class FakeCluster {
  readonly partitions = new Map<string, number>([['orders', 3]]);
  readonly ends = new Map<string, bigint>();
  readonly log: string[] = [];
  readonly batches: KafkaBatch[] = [];
  readonly producers: FakeProducer[] = [];
  readonly answers: Answer[] = [];
  readonly created: KafkaTopicShape[] = [];
  lastId = 0n;
  /** What the next questions for a producer id wait for. */
  readonly ids: Promise<unknown>[] = [];
  /** What the next looks at a topic wait for. */
  readonly looks: Promise<unknown>[] = [];
  connectError: Error | undefined;
  createError: Error | undefined;
  /** A client whose sends stay open when it is closed. */
  isDeafToClose = false;
  /** So many answers until a new topic is served. */
  unserved = 0;

  readonly store: Answer = ({ topic, partition, records }) => {
    const lane = `${topic}/${partition}`;
    const baseOffset = this.ends.get(lane) ?? 0n;
    this.ends.set(lane, baseOffset + BigInt(records.length));
    return Promise.resolve([{ topic, partition, baseOffset }]);
  };
}

class FakeProducer implements KafkaProducerPort {
  #close: (error: Error) => void = () => undefined;
  readonly #closed: Promise<never>;
  refreshes: string[] = [];
  isClosed = false;

  constructor(private readonly cluster: FakeCluster) {
    this.#closed = new Promise((_, reject) => {
      this.#close = reject;
    });
    this.#closed.catch(() => undefined);
    cluster.producers.push(this);
  }

  connect(): Promise<void> {
    return this.cluster.connectError ? Promise.reject(this.cluster.connectError) : Promise.resolve();
  }

  newProducerId(): Promise<ProducerIdentity> {
    const asked = this.cluster.ids.shift() ?? Promise.resolve(undefined);
    return asked.then(() => {
      this.cluster.lastId += 1n;
      return { producerId: this.cluster.lastId, producerEpoch: 0 };
    });
  }

  async refreshTopic(topic: string): Promise<number | undefined> {
    this.refreshes.push(topic);
    this.cluster.log.push(`refresh ${topic}`);
    await this.cluster.looks.shift();
    return this.cluster.partitions.get(topic);
  }

  createTopic(topic: string, shape: KafkaTopicShape): Promise<void> {
    if (this.cluster.createError) {
      return Promise.reject(this.cluster.createError);
    }
    this.cluster.created.push(shape);
    this.cluster.partitions.set(topic, shape.partitions);
    return Promise.resolve();
  }

  isTopicServed(): Promise<boolean> {
    const { unserved } = this.cluster;
    this.cluster.unserved = Math.max(unserved - 1, 0);
    return unserved % 2 === 1
      ? Promise.reject(new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER'))
      : Promise.resolve(unserved === 0);
  }

  produce(batch: KafkaBatch): Promise<readonly KafkaAck[]> {
    this.cluster.batches.push(batch);
    const answer = this.cluster.answers.shift() ?? this.cluster.store;
    return this.cluster.isDeafToClose ? answer(batch) : Promise.race([answer(batch), this.#closed]);
  }

  close(): Promise<void> {
    this.cluster.log.push('close');
    this.isClosed = true;
    this.#close(new Error('closed'));
    return Promise.resolve();
  }
}

interface SinkSettings {
  readonly isIdempotent?: boolean;
  readonly policy?: KafkaTopicPolicy;
  readonly sendDeadlineMs?: number;
  readonly drainMs?: number;
  readonly now?: () => number;
  /** Of the wall clock. */
  readonly nowMs?: () => number;
}

function sinkOn(cluster: FakeCluster, settings: SinkSettings = {}): KafkaSink {
  const parts: KafkaSinkParts = {
    create: () => Promise.resolve(new FakeProducer(cluster)),
    isIdempotent: settings.isIdempotent ?? false,
    link: { connectMs: 1_000, closeMs: 1_000 },
    topics: {
      policy: settings.policy ?? { create: false },
      refreshMs: 1_000,
      recheckMs: 300_000,
      now: settings.now ?? (() => performance.now()),
    },
    features: {
      isOrdered: true,
      isBatchAtomic: true,
      isDeduplicating: false,
      recordBytesMax: 1_000,
      batchRecordsMax: 10,
      batchBytesMax: 2_000,
    },
    sendDeadlineMs: settings.sendDeadlineMs ?? 1_000,
    drainMs: settings.drainMs ?? 1_000,
    nowMs: settings.nowMs ?? Date.now,
    openReader: () => Promise.reject(new Error('There is no reader here.')),
    openTailReader: () => Promise.reject(new Error('There is no reader here.')),
  };
  return new KafkaSink(parts);
}

function record(value = 'value', key = 'key'): SinkRecord {
  return {
    key: Buffer.from(key),
    value: Buffer.from(value),
    headers: [[Buffer.from('id'), Buffer.from('1')]],
  };
}

async function laneOf(sink: KafkaSink, partition = 0, topic = 'orders'): Promise<SinkLane> {
  const { lanes } = await sink.openTopic(topic);
  const lane = lanes[partition];
  if (lane === undefined) {
    throw new Error(`no partition ${partition}`);
  }
  return lane;
}

async function failureOf(promise: Promise<unknown>): Promise<SinkError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SinkError)) {
    throw new Error(`expected a SinkError, got ${String(error)}`);
  }
  return error;
}

const never: Answer = () => new Promise(() => undefined);
const reject =
  (error: Error): Answer =>
  () =>
    Promise.reject(error);

describe('the Kafka sink', () => {
  it('sends one topic and one partition with acks of all replicas, and returns the base offset', async () => {
    const cluster = new FakeCluster();
    const sink = sinkOn(cluster);
    const lane = await laneOf(sink, 2);

    expect(await sink.send(lane, [record(), record()])).toEqual({ baseOffset: 0n });
    expect(await sink.send(lane, [record()])).toEqual({ baseOffset: 2n });

    expect(cluster.batches.map(({ topic, partition, acks }) => ({ topic, partition, acks }))).toEqual([
      { topic: 'orders', partition: 2, acks: -1 },
      { topic: 'orders', partition: 2, acks: -1 },
    ]);
  });

  it('refuses a second send on a lane that has one in flight, and takes other lanes meanwhile', async () => {
    const cluster = new FakeCluster();
    const sink = sinkOn(cluster);
    const first = await laneOf(sink, 0);
    const other = await laneOf(sink, 1);
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (answer = resolve));
    cluster.answers.push((batch) => asked.then(() => cluster.store(batch)));

    const sending = sink.send(first, [record()]);
    await expect(sink.send(first, [record()])).rejects.toThrow(/orders\/0 has a send in flight/);
    await sink.send(other, [record()]);
    answer();
    await sending;

    await sink.send(first, [record()]);
    expect(cluster.batches).toHaveLength(3);
  });

  it('gives records the time at which their send began, whatever it waits for before it goes out', async () => {
    let nowMs = 1_000;
    const cluster = new FakeCluster();
    const sink = sinkOn(cluster, { isIdempotent: true, nowMs: () => nowMs });
    const lane = await laneOf(sink);
    cluster.ids.push(new Promise(setImmediate));

    const sending = sink.send(lane, [record()]);
    nowMs = 9_000;
    await sending;
    await sink.send(lane, [record()]);

    expect(cluster.batches.map(({ sentMs }) => sentMs)).toEqual([1_000, 9_000]);
  });

  it('refuses a lane that it never opened, and a send without records', async () => {
    const sink = sinkOn(new FakeCluster());
    const lane = await laneOf(sink);

    await expect(sink.send({ id: 'other/0', topic: 'other', partition: 0 }, [record()])).rejects.toThrow(/openTopic/);
    await expect(sink.send(lane, [])).rejects.toThrow(/at least one record/);
  });

  describe('before anything is sent', () => {
    const notBuffers: readonly (readonly [string, object])[] = [
      ['key', { ...record(), key: 'text' }],
      ['value', { ...record(), value: 12345 }],
      ['value', { ...record(), value: null }],
      ['header name', { ...record(), headers: [['id', Buffer.from('1')]] }],
      ['header value', { ...record(), headers: [[Buffer.from('id'), new Uint8Array(1)]] }],
    ];

    it.each(notBuffers)('refuses a %s that is no Buffer', async (field, wrong) => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      const records: SinkRecord[] = [record()];
      Reflect.set(records, 1, wrong);

      const error = await failureOf(sink.send(lane, records));

      expect(error).toMatchObject({ code: 'record_invalid', outcome: 'refused' });
      expect(error.message).toContain(`The ${field} of record 1 for orders/0`);
      expect(error.message).not.toContain('12345');
      expect(cluster.batches).toHaveLength(0);
    });

    it('refuses a record over the limit, naming its size and not its content', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      const large = record('secret'.repeat(200));

      const error = await failureOf(sink.send(lane, [record(), large]));

      expect(error).toMatchObject({ code: 'record_too_large', outcome: 'refused' });
      expect(error.message).toContain(`takes ${recordBytes(large)} bytes, and at most 1000 fit`);
      expect(error.message).not.toContain('secret');
      expect(cluster.batches).toHaveLength(0);
    });

    it('refuses a batch of too many records or bytes', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      const many = Array.from({ length: 11 }, () => record());
      const heavy = Array.from({ length: 3 }, () => record('x'.repeat(800)));

      expect(await failureOf(sink.send(lane, many))).toMatchObject({ code: 'record_too_large' });
      expect(await failureOf(sink.send(lane, heavy))).toMatchObject({ code: 'record_too_large' });
      expect(cluster.batches).toHaveLength(0);
    });
  });

  describe('when a send fails', () => {
    it('refreshes the leaders before it rejects, with an unknown outcome, and sends nothing again', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      cluster.log.length = 0;
      cluster.answers.push(reject(new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER')));

      const failing = failureOf(sink.send(lane, [record('payload')])).finally(() => cluster.log.push('rejected'));
      const error = await failing;

      expect(error).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
      expect(error.message).toBe('Kafka did not take a batch of 1 for orders/0: NOT_LEADER_OR_FOLLOWER.');
      expect(cluster.log).toEqual(['refresh orders', 'rejected']);
      expect(cluster.batches).toHaveLength(1);
    });

    it('refreshes once for all lanes of a topic that fail at the same time', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lanes = await Promise.all([0, 1, 2].map((partition) => laneOf(sink, partition)));
      cluster.log.length = 0;
      cluster.answers.push(...lanes.map(() => reject(new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER'))));

      await Promise.all(lanes.map((lane) => failureOf(sink.send(lane, [record()]))));

      expect(cluster.log).toEqual(['refresh orders']);
    });

    it('throws the client away on its own deadline, rejects with timeout, and goes on with a new one', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { sendDeadlineMs: 20 });
      const lane = await laneOf(sink);
      cluster.answers.push(never);

      const error = await failureOf(sink.send(lane, [record()]));

      expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown' });
      expect(cluster.producers.map(({ isClosed }) => isClosed)).toEqual([true]);
      expect(await sink.send(lane, [record()])).toEqual({ baseOffset: 0n });
      expect(cluster.producers).toHaveLength(2);
    }, 10_000);

    it('has each client look up the leaders itself, also while an earlier one that was thrown away still looks', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { sendDeadlineMs: 20 });
      const [lane, other] = await Promise.all([laneOf(sink, 0), laneOf(sink, 1)]);
      const stale = new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER');
      let found: (value: unknown) => void = () => undefined;
      cluster.looks.push(new Promise((resolve) => (found = resolve)));
      cluster.answers.push(reject(stale), never, reject(stale));

      const looking = failureOf(sink.send(lane, [record()]));
      await failureOf(sink.send(other, [record()]));
      await failureOf(sink.send(other, [record()]));
      found(undefined);
      await looking;

      expect(cluster.producers.map(({ refreshes }) => refreshes.length)).toEqual([3, 1]);
    });

    it('throws the client away when it timed out on a connection that it keeps', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      const error = new Error('text');
      error.name = 'KafkaJSRequestTimeoutError';
      cluster.answers.push(reject(error));

      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'timeout' });
      await sink.send(lane, [record()]);

      expect(cluster.producers.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    });

    it('makes one new client when several lanes lose the old one', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { sendDeadlineMs: 20 });
      const lanes = await Promise.all([0, 1, 2].map((partition) => laneOf(sink, partition)));
      cluster.answers.push(never, never, never);

      await Promise.all(lanes.map((lane) => failureOf(sink.send(lane, [record()]))));
      await Promise.all(lanes.map((lane) => sink.send(lane, [record()])));

      expect(cluster.producers).toHaveLength(2);
    });

    it('leaves the new client alone when a lane notices later that the old one is dead', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { sendDeadlineMs: 30 });
      const quick = await laneOf(sink, 0);
      const slow = await laneOf(sink, 1);
      cluster.isDeafToClose = true;
      const timedOut = new Error('text');
      timedOut.name = 'KafkaJSRequestTimeoutError';
      cluster.answers.push(never, reject(timedOut));

      const late = failureOf(sink.send(slow, [record()]));
      await failureOf(sink.send(quick, [record()]));
      await sink.send(quick, [record()]);
      await late;

      expect(cluster.producers.map(({ isClosed }) => isClosed)).toEqual([true, false]);
      await sink.send(quick, [record()]);
      expect(cluster.producers).toHaveLength(2);
    });

    it('says with a definite code that the cluster refused, and never repeats its text', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      cluster.answers.push(reject(new ProtocolError(10, 'MESSAGE_TOO_LARGE')));

      const error = await failureOf(sink.send(lane, [record()]));

      expect(error).toMatchObject({ code: 'record_too_large', outcome: 'refused' });
      expect(error.message).not.toContain('payload');
    });
  });

  describe('in idempotent mode', () => {
    const stampsOf = ({ batches }: FakeCluster): string[] =>
      batches.map(({ partition, stamp }) => `${partition}: ${stamp?.producerId ?? ''}+${stamp?.baseSequence ?? ''}`);
    const timedOut = reject(new ProtocolError(7, 'REQUEST_TIMED_OUT'));

    it('numbers the batches of each lane under an id of its own, and not otherwise', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { isIdempotent: true });
      const lane = await laneOf(sink, 0);
      const other = await laneOf(sink, 1);

      await sink.send(lane, [record(), record()]);
      await sink.send(lane, [record()]);
      await sink.send(other, [record()]);
      await sink.send(lane, [record()]);
      expect(stampsOf(cluster)).toEqual(['0: 1+0', '0: 1+2', '1: 2+0', '0: 1+3']);

      const plain = new FakeCluster();
      const plainSink = sinkOn(plain);
      await plainSink.send(await laneOf(plainSink), [record()]);
      expect(plain.batches[0]?.stamp).toBeUndefined();
    });

    it('sends the same records under the same number again, over a new client too', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { isIdempotent: true, sendDeadlineMs: 20 });
      const lane = await laneOf(sink);
      await sink.send(lane, [record()]);
      const records = [record(), record()];
      cluster.answers.push(timedOut, never, reject(new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER')));

      await failureOf(sink.send(lane, records));
      await failureOf(sink.send(lane, records));
      await failureOf(sink.send(lane, [...records]));
      await sink.send(lane, records);
      await sink.send(lane, [record()]);

      expect(cluster.producers).toHaveLength(2);
      expect(stampsOf(cluster)).toEqual(['0: 1+0', '0: 1+1', '0: 1+1', '0: 1+1', '0: 1+1', '0: 1+3']);
    });

    it('gives no number to other records while it is not known whether the brokers have seen it', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { isIdempotent: true });
      const lane = await laneOf(sink);
      const records = [record(), record()];
      cluster.answers.push(timedOut);

      await failureOf(sink.send(lane, records));
      await sink.send(lane, records.slice(0, 1));
      await sink.send(lane, records.slice(1));

      expect(stampsOf(cluster)).toEqual(['0: 1+0', '0: 2+0', '0: 2+1']);
    });

    it.each([
      [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
      [59, 'UNKNOWN_PRODUCER_ID'],
      [47, 'INVALID_PRODUCER_EPOCH'],
    ])('takes a new id after error %d, %s, with an unknown outcome', async (number, name) => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { isIdempotent: true });
      const lane = await laneOf(sink);
      await sink.send(lane, [record()]);
      const records = [record()];
      cluster.answers.push(reject(new ProtocolError(number, name)));

      expect(await failureOf(sink.send(lane, records))).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
      await sink.send(lane, records);

      expect(stampsOf(cluster)).toEqual(['0: 1+0', '0: 1+1', '0: 2+0']);
    });

    it('sends nothing under an id that comes after the deadline', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { isIdempotent: true, sendDeadlineMs: 20 });
      const lane = await laneOf(sink);
      let give: (value: unknown) => void = () => undefined;
      cluster.ids.push(new Promise((resolve) => (give = resolve)));
      const records = [record()];

      expect(await failureOf(sink.send(lane, records))).toMatchObject({ code: 'timeout' });
      await sink.send(lane, records);
      give(undefined);
      await new Promise(setImmediate);
      await sink.send(lane, [record()]);

      expect(stampsOf(cluster)).toEqual(['0: 1+0', '0: 1+1']);
    });

    it('begins anew in a topic that was deleted and made again', async () => {
      const cluster = new FakeCluster();
      const policy = { create: true, partitions: 3, replication: 1 } as const;
      const sink = sinkOn(cluster, { isIdempotent: true, policy });
      const lane = await laneOf(sink);
      await sink.send(lane, [record()]);
      cluster.partitions.delete('orders');
      cluster.ends.clear();
      cluster.answers.push(reject(new ProtocolError(3, 'UNKNOWN_TOPIC_OR_PARTITION')));
      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'topic_deleted' });

      await sink.openTopic('orders');
      await sink.send(lane, [record()]);

      expect(stampsOf(cluster)).toEqual(['0: 1+0', '0: 1+1', '0: 2+0']);
    });
  });

  describe('believes an answer only when', () => {
    const wrongAnswers: readonly (readonly [string, readonly KafkaAck[]])[] = [
      ['it names a partition', []],
      ['it names our partition', [{ topic: 'orders', partition: 1, baseOffset: 0n }]],
      ['it names our topic', [{ topic: 'payments', partition: 0, baseOffset: 0n }]],
      ['it has an offset', [{ topic: 'orders', partition: 0, baseOffset: -1n }]],
      [
        'it names nothing else',
        [
          { topic: 'orders', partition: 0, baseOffset: 0n },
          { topic: 'orders', partition: 1, baseOffset: 0n },
        ],
      ],
    ];

    it.each(wrongAnswers)('%s', async (_, acks) => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      cluster.answers.push(() => Promise.resolve(acks));

      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({
        code: 'receipt_invalid',
        outcome: 'unknown',
        message: expect.stringContaining('does not name orders/0 with an offset'),
      });
    });

    it('its offset is beyond the last acknowledged batch; a gap, from a send of unknown outcome, is fine', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      const at = (baseOffset: bigint) => () => Promise.resolve([{ topic: 'orders', partition: 0, baseOffset }]);
      cluster.answers.push(at(10n), at(13n), at(13n));

      await sink.send(lane, [record(), record()]);
      await sink.send(lane, [record()]);
      const error = await failureOf(sink.send(lane, [record()]));
      expect(error).toMatchObject({ code: 'receipt_invalid' });
      expect(error.message).toContain('at offset 13, and had acknowledged all below 14');
    });

    it('a log that went back alarms at each send until the topic is opened again', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      cluster.ends.set('orders/0', 100n);
      await sink.send(lane, [record()]);
      cluster.ends.set('orders/0', 99n);

      // each send lets the log grow: it soon ends past the place that it had lost
      for (let attempt = 0; attempt < 4; attempt += 1) {
        expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({
          code: 'receipt_invalid',
          message: expect.stringContaining('at offset 99, and had acknowledged all below 101'),
        });
      }
      await sink.openTopic('orders');
      expect(await sink.send(lane, [record()])).toEqual({ baseOffset: 103n });
    });
  });

  describe('a topic', () => {
    it('is created with the partitions and replicas asked for, once', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { policy: { create: true, partitions: 6, replication: 3 } });

      const topic = await sink.openTopic('payments');
      await sink.openTopic('payments');

      expect(topic.lanes.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5].map((partition) => `payments/${partition}`));
      expect(cluster.created).toEqual([{ partitions: 6, replication: 3, settings: {} }]);
    });

    it('that was created is open when its leaders serve it', async () => {
      const cluster = new FakeCluster();
      cluster.unserved = 2;
      const sink = sinkOn(cluster, { policy: { create: true, partitions: 6, replication: 1 } });

      expect((await sink.openTopic('payments')).lanes).toHaveLength(6);
      expect(cluster.unserved).toBe(0);
    });

    it('whose name the brokers refuse is named, with the rule', async () => {
      const cluster = new FakeCluster();
      cluster.createError = new ProtocolError(17, 'INVALID_TOPIC_EXCEPTION');
      const sink = sinkOn(cluster, { policy: { create: true, partitions: 6, replication: 3 } });

      const error = await failureOf(sink.openTopic('orders_eu'));

      expect(error).toMatchObject({ code: 'configuration', outcome: 'refused' });
      expect(error.message).toMatch(/topic orders_eu: INVALID_TOPIC_EXCEPTION\. .*a\.b and a_b collide/);
    });

    it('that a client never opens is given up by the deadline, and opened by a new client', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { sendDeadlineMs: 20 });
      cluster.looks.push(new Promise(() => undefined));

      const error = await failureOf(sink.openTopic('orders'));

      expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown' });
      expect(error.message).toBe('Kafka did not open topic orders: no answer in time.');
      expect((await sink.openTopic('orders')).lanes).toHaveLength(3);
      expect(cluster.producers.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    }, 10_000);

    it('is demanded otherwise, in a sentence that says what to do', async () => {
      const error = await failureOf(sinkOn(new FakeCluster()).openTopic('payments'));

      expect(error).toMatchObject({ code: 'topic_missing', outcome: 'unknown' });
      expect(error.message).toContain('--create --topic payments');
      expect(error.message).toContain('topics.create');
    });

    it.each(['', '.', '..', 'a b', 'a/b', 'ä', 'x'.repeat(250)])(
      'is not opened under the illegal name "%s"',
      async (name) => {
        const error = await failureOf(sinkOn(new FakeCluster()).openTopic(name));

        expect(error).toMatchObject({ code: 'configuration', outcome: 'refused' });
      },
    );

    it('that was deleted under a lane is said to be, until somebody opens it again and it is made anew', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { policy: { create: true, partitions: 3, replication: 1 } });
      const lane = await laneOf(sink);
      const other = await laneOf(sink, 1);
      await sink.send(lane, [record(), record()]);
      await sink.send(other, [record(), record()]);
      cluster.partitions.delete('orders');
      cluster.ends.clear();
      cluster.answers.push(reject(new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER')));
      cluster.answers.push(reject(new ProtocolError(3, 'UNKNOWN_TOPIC_OR_PARTITION')));

      for (let attempt = 0; attempt < 2; attempt += 1) {
        const error = await failureOf(sink.send(lane, [record()]));
        expect(error).toMatchObject({ code: 'topic_deleted', outcome: 'unknown' });
        expect(error.message).toMatch(/^Topic orders was there .* acknowledged are gone .* resume the route/);
      }
      expect(cluster.created).toEqual([]);

      await sink.openTopic('orders');
      expect(cluster.created).toEqual([{ partitions: 3, replication: 1, settings: {} }]);
      expect(await sink.send(lane, [record()])).toEqual({ baseOffset: 0n });
      expect(await sink.send(other, [record()])).toEqual({ baseOffset: 0n });
    });

    it('that somebody deleted and made again is believed no more, and by its new number of partitions', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      await sink.send(lane, [record()]);
      cluster.partitions.delete('orders');
      cluster.ends.clear();
      cluster.answers.push(reject(new ProtocolError(3, 'UNKNOWN_TOPIC_OR_PARTITION')));
      await failureOf(sink.send(lane, [record()]));

      cluster.partitions.set('orders', 3);
      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'receipt_invalid' });
      cluster.partitions.delete('orders');
      cluster.answers.push(reject(new ProtocolError(3, 'UNKNOWN_TOPIC_OR_PARTITION')));
      await failureOf(sink.send(lane, [record()]));
      cluster.partitions.set('orders', 5);
      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'partition_count_changed' });
    });

    it('that only a lagging leader does not know is not taken for deleted', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      cluster.answers.push(reject(new ProtocolError(3, 'UNKNOWN_TOPIC_OR_PARTITION')));

      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'topic_missing' });
      await sink.send(lane, [record()]);
    });

    it('places a key as the Java client does', async () => {
      const topic = await sinkOn(new FakeCluster()).openTopic('orders');

      expect(topic.laneOf(Buffer.from('order-1')).partition).toBe(1);
      expect(topic.laneOf(Buffer.from('order-42')).partition).toBe(0);
    });

    it('whose partition count changes stops its lanes with both numbers, until it is opened again', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      cluster.partitions.set('orders', 5);
      cluster.answers.push(reject(new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER')));
      await failureOf(sink.send(lane, [record()]));

      const error = await failureOf(sink.send(lane, [record()]));

      expect(error).toMatchObject({ code: 'partition_count_changed' });
      expect(error.message).toContain('had 3 partitions when it was opened and has 5 now');
      expect(cluster.batches).toHaveLength(1);
      const opened = await sink.openTopic('orders');
      expect(opened.lanes).toHaveLength(5);
      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'partition_count_changed' });
      await sink.send(await laneOf(sink), [record()]);
    });

    it('whose partition count changes gives new lanes once all sends to the earlier ones have ended', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      const other = await laneOf(sink, 1);
      let answer: (acks: readonly KafkaAck[]) => void = () => undefined;
      cluster.answers.push(() => new Promise((resolve) => (answer = resolve)));
      const sending = sink.send(lane, [record()]).then(() => cluster.log.push('sent'));
      cluster.partitions.set('orders', 5);
      cluster.answers.push(reject(new ProtocolError(6, 'NOT_LEADER_OR_FOLLOWER')));
      await failureOf(sink.send(other, [record()]));

      const opening = sink.openTopic('orders').then(() => cluster.log.push('opened'));
      await new Promise(setImmediate);
      answer([{ topic: 'orders', partition: 0, baseOffset: 0n }]);
      await Promise.all([sending, opening]);

      expect(cluster.log.slice(-2)).toEqual(['sent', 'opened']);
    });

    it('that somebody else makes is taken with the number of partitions that is demanded, and no other', async () => {
      const demanding = (partitions: number) =>
        sinkOn(new FakeCluster(), { policy: { create: false, partitions } }).openTopic('orders');

      expect((await demanding(3)).lanes).toHaveLength(3);
      expect(await failureOf(demanding(6))).toMatchObject({
        code: 'configuration',
        message: 'Topic orders has 3 partitions, and topics.partitions demands 6: correct the one or the other.',
      });
    });

    it('has its partition count looked at again now and then, without a failure', async () => {
      let now = 0;
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { now: () => now });
      const lane = await laneOf(sink);
      cluster.partitions.set('orders', 4);

      await sink.send(lane, [record()]);
      expect(cluster.log).toEqual(['refresh orders']);
      now = 300_001;
      await sink.send(lane, [record()]);
      await sink.send(lane, [record()]).catch(() => undefined);

      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'partition_count_changed' });
      expect(cluster.log).toEqual(['refresh orders', 'refresh orders']);
    });
  });

  it('tells as an error of its own that nothing can be read', async () => {
    const sink = sinkOn(new FakeCluster());
    const { signal } = new AbortController();
    const reading = { isWanted: () => true, sinceMs: 0, signal };
    const tails = { lanes: [], signal, take: () => undefined, ended: () => undefined };

    expect(await failureOf(sink.readBack(reading, () => Promise.resolve()))).toMatchObject({ code: 'unavailable' });
    expect(await failureOf(sink.readTails(tails))).toMatchObject({ code: 'unavailable' });
  });

  describe('start and stop', () => {
    it('rejects a start when no broker answers, and connects at the next one', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      cluster.connectError = Object.assign(new Error('text'), { code: 'ECONNREFUSED' });

      const error = await failureOf(sink.start());
      expect(error).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
      expect(error.message).toBe('Kafka could not be reached: ECONNREFUSED.');
      cluster.connectError = undefined;
      await sink.start();
      await sink.start();

      expect(cluster.producers.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    });

    it('waits for sends in flight before it closes', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      const lane = await laneOf(sink);
      let answer: (acks: readonly KafkaAck[]) => void = () => undefined;
      cluster.answers.push(() => new Promise((resolve) => (answer = resolve)));

      const sending = sink.send(lane, [record()]).then((receipt) => {
        cluster.log.push('sent');
        return receipt;
      });
      const stopping = sink.stop();
      await new Promise(setImmediate);
      expect(cluster.producers[0]?.isClosed).toBe(false);
      answer([{ topic: 'orders', partition: 0, baseOffset: 7n }]);

      expect(await sending).toEqual({ baseOffset: 7n });
      await stopping;
      expect(cluster.log.slice(-2)).toEqual(['sent', 'close']);
    });

    it('closes anyway after the drain time, and the send rejects with an unknown outcome', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster, { drainMs: 10, sendDeadlineMs: 60_000 });
      const lane = await laneOf(sink);
      cluster.answers.push(never);

      const sending = failureOf(sink.send(lane, [record()]));
      await sink.stop();

      expect(await sending).toMatchObject({ outcome: 'unknown' });
    });

    it('leaves a topic that was just created and is not served yet', async () => {
      const cluster = new FakeCluster();
      cluster.unserved = Number.MAX_SAFE_INTEGER;
      const policy = { create: true, partitions: 6, replication: 1 } as const;
      const sink = sinkOn(cluster, { policy, now: () => 0 });

      const opening = failureOf(sink.openTopic('payments'));
      while (cluster.created.length === 0) {
        await new Promise(setImmediate);
      }
      await sink.stop();

      expect(await opening).toMatchObject({ code: 'unavailable' });
    });

    it('is stopped once or twice, before start or after, and can be started again', async () => {
      const cluster = new FakeCluster();
      const sink = sinkOn(cluster);
      await sink.stop();
      await sink.start();
      const lane = await laneOf(sink);
      await Promise.all([sink.stop(), sink.stop()]);
      await sink.stop();
      expect(cluster.log.filter((entry) => entry === 'close')).toHaveLength(1);

      expect(await failureOf(sink.send(lane, [record()]))).toMatchObject({ code: 'unavailable' });
      await sink.start();
      await sink.send(await laneOf(sink), [record()]);
    });
  });
});
