import { afterEach, describe, expect, it, jest } from '@jest/globals';
import {
  consoleConsume,
  createTopic,
  deleteTopic,
  listTopics,
  testKafkaBrokers,
  topicOffsets,
  uniqueName,
} from '@millrace/testing';
import { partitionOfKey } from '../murmur2.js';
import { type SinkHeader, type SinkPort, type SinkRecord, type SinkTopic } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { KAFKA_CLIENTS, KAFKA_COMPRESSIONS, type KafkaSinkOptions } from './kafka-config.js';

jest.setTimeout(300_000);

const id = Buffer.from('id');
const low = Buffer.from('millrace-low');

function record(key: string, value: string, headers: readonly SinkHeader[] = []): SinkRecord {
  return { key: Buffer.from(key), value: Buffer.from(value), headers };
}

/** The lane of a partition number that the test knows to be there. */
function laneAt({ lanes, name }: SinkTopic, partition: number): SinkTopic['lanes'][number] {
  const lane = lanes[partition];
  if (lane === undefined) {
    throw new Error(`${name} has no partition ${partition}`);
  }
  return lane;
}

describe.each(KAFKA_CLIENTS)('the Kafka sink on %s', (client) => {
  let sink: SinkPort;

  function sinkWith(options: Partial<KafkaSinkOptions> = {}): SinkPort {
    sink = createKafkaSink({
      client,
      connection: { brokers: testKafkaBrokers() },
      topics: { create: true, partitions: 3, replication: 1 },
      ...options,
    });
    return sink;
  }

  afterEach(async () => {
    await sink.stop();
  });

  it('stores keys, values and headers exactly, in the order of each lane, at the offsets of its receipts', async () => {
    const topic = await sinkWith().openTopic(uniqueName('exact'));
    const texts = ['', '{"a": 1, "b": "é 日本 🚂"}', 'line\nline\ttab\\', 'x'.repeat(10_000)];
    const sent = Array.from({ length: 60 }, (_, index) =>
      record(`order-${index}`, texts[index % texts.length] ?? '', [
        [id, Buffer.from(`id ${index}`)],
        [low, Buffer.alloc(0)],
      ]),
    );

    const receipts: string[] = [];
    for (const part of [sent.slice(0, 30), sent.slice(30)]) {
      await Promise.all(
        topic.lanes.map(async (lane) => {
          const records = part.filter(({ key }) => topic.laneOf(key) === lane);
          const { baseOffset } = await sink.send(lane, records);
          receipts.push(`${lane.id}@${baseOffset}`);
        }),
      );
    }

    const stored = await consoleConsume({ brokers: testKafkaBrokers(), topic: topic.name });
    expect(stored).toHaveLength(60);
    for (const lane of topic.lanes) {
      const expected = sent
        .filter(({ key }) => partitionOfKey(key, 3) === lane.partition)
        .map(({ key, value, headers }, offset) => ({
          partition: lane.partition,
          offset: BigInt(offset),
          key: key.toString(),
          value: value.toString(),
          headers: Object.fromEntries(headers.map(([name, content]) => [name.toString(), content.toString()])),
        }));
      const read = stored
        .filter(({ partition }) => partition === lane.partition)
        .map(({ partition, offset, key, value, headers }) => ({ partition, offset, key, value, headers }));
      expect(read).toEqual(expected);
    }
    const bases = topic.lanes.flatMap(({ id: lane, partition }) => {
      const early = sent.slice(0, 30).filter(({ key }) => partitionOfKey(key, 3) === partition).length;
      return [`${lane}@0`, `${lane}@${early}`];
    });
    expect(receipts.sort()).toEqual(bases.sort());
  });

  const compressions = KAFKA_COMPRESSIONS.filter((name) => client === 'platformatic' || !/lz4|snappy/.test(name));

  it.each(compressions)(
    'sends a thousand records with nine headers each in one batch, compression %s',
    async (name) => {
      const topic = await sinkWith({ compression: name }).openTopic(uniqueName(name));
      const headers = Array.from({ length: 9 }, (_, index): SinkHeader => [Buffer.from(`h${index}`), Buffer.from('v')]);
      const records = Array.from({ length: 1_000 }, (_, index) => record('key', `value ${index}`, headers));

      await sink.send(laneAt(topic, 1), records);

      const stored = await consoleConsume({ brokers: testKafkaBrokers(), topic: topic.name });
      expect(stored.map(({ value }) => value)).toEqual(records.map(({ value }) => value.toString()));
      expect(Object.keys(stored[999]?.headers ?? {})).toHaveLength(9);
    },
  );

  it('takes the time of the send as the time of the record', async () => {
    const topic = await sinkWith().openTopic(uniqueName('time'));
    const before = Date.now();
    await sink.send(laneAt(topic, 0), [record('a', 'b')]);
    const after = Date.now();

    const [stored] = await consoleConsume({ brokers: testKafkaBrokers(), topic: topic.name });
    expect(stored?.timestampMs).toBeGreaterThanOrEqual(before);
    expect(stored?.timestampMs).toBeLessThanOrEqual(after);
  });

  it('creates a topic that is missing, with its partitions, and takes one that is there as it is', async () => {
    const brokers = testKafkaBrokers();
    const there = uniqueName('there');
    const missing = uniqueName('missing');
    await createTopic({ brokers, topic: there, partitions: 5 });

    sinkWith();
    expect((await sink.openTopic(there)).lanes).toHaveLength(5);
    expect((await sink.openTopic(missing)).lanes).toHaveLength(3);

    expect(await topicOffsets(brokers, missing)).toHaveLength(3);
    await sink.stop();
    expect((await sinkWith().openTopic(missing)).lanes).toHaveLength(3);
  });

  it('creates a topic with the settings that it is given', async () => {
    const settings = { 'retention.ms': '86400000', 'max.message.bytes': '2000' };
    const topics = { create: true, partitions: 1, replication: 1, settings } as const;
    const topic = await sinkWith({ topics }).openTopic(uniqueName('set'));

    await expect(sink.send(laneAt(topic, 0), [record('a', 'x'.repeat(3_000))])).rejects.toMatchObject({
      code: 'record_too_large',
    });
  });

  it('opens one topic from several callers at once', async () => {
    const name = uniqueName('together');
    sinkWith();

    const opened = await Promise.all([1, 2, 3].map(() => sink.openTopic(name)));

    for (const topic of opened) {
      await sink.send(laneAt(topic, 0), [record('a', 'b')]);
    }
  });

  it('names the rule when a name differs from a topic that is there by dots and underscores only', async () => {
    const name = uniqueName('collides');
    sinkWith();
    await sink.openTopic(`${name}.eu`);

    await expect(sink.openTopic(`${name}_eu`)).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringMatching(new RegExp(`topic ${name}_eu: INVALID_TOPIC_EXCEPTION.*collide`)),
    });
  });

  it('demands a topic when it may not create it, and creates nothing', async () => {
    const name = uniqueName('demanded');
    sinkWith({ topics: { create: false } });

    await expect(sink.openTopic(name)).rejects.toMatchObject({
      code: 'topic_missing',
      message: expect.stringContaining(`--create --topic ${name}`),
    });

    expect(await listTopics(testKafkaBrokers())).not.toContain(name);
  });

  it('gives a definite refusal for what is too large for the topic, and stores nothing of the batch', async () => {
    const brokers = testKafkaBrokers();
    const name = uniqueName('small');
    await createTopic({ brokers, topic: name, partitions: 1, configs: { 'max.message.bytes': '2000' } });
    const topic = await sinkWith().openTopic(name);
    const lane = laneAt(topic, 0);

    await expect(sink.send(lane, [record('a', 'small'), record('b', 'x'.repeat(3_000))])).rejects.toMatchObject({
      code: 'record_too_large',
      outcome: 'refused',
      message: expect.stringContaining('MESSAGE_TOO_LARGE'),
    });

    expect(await sink.send(lane, [record('a', 'small')])).toEqual({ baseOffset: 0n });
  });

  it('names a topic that was deleted under it, and makes it anew when it is opened again', async () => {
    const brokers = testKafkaBrokers();
    const topic = await sinkWith().openTopic(uniqueName('gone'));
    const lane = laneAt(topic, 0);
    await sink.send(lane, [record('a', 'b')]);
    await deleteTopic(brokers, topic.name);

    // while it is being deleted its leader says that it is none
    const codes: string[] = [];
    const deadline = performance.now() + 60_000;
    while (performance.now() < deadline && codes.at(-1) !== 'topic_deleted') {
      codes.push(
        await sink.send(lane, [record('a', 'b')]).then(
          () => 'stored',
          (error: unknown) => (error instanceof SinkError ? error.code : 'unknown'),
        ),
      );
    }
    expect(codes.at(-1)).toBe('topic_deleted');
    // the leader learns of the deletion a moment after it was answered; from then on it stores nothing
    expect(codes.slice(codes.findIndex((code) => code !== 'stored'))).not.toContain('stored');

    const again = await sink.openTopic(topic.name);
    expect(again.lanes).toHaveLength(3);
    expect(await sink.send(laneAt(again, 0), [record('a', 'b')])).toEqual({ baseOffset: 0n });
  });
});
