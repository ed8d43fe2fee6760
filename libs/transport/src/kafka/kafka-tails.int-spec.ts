import { afterEach, describe, expect, it } from '@jest/globals';
import { createTopic, deleteTopic, testKafkaBrokers, uniqueName } from '@millrace/testing';
import { type SinkPort, type SinkTopic, type TailEnd, type TailFrom, type TailStart } from '../sink-port.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { KAFKA_CLIENTS } from './kafka-config.js';

const HEADER = Buffer.from('name');

describe.each(KAFKA_CLIENTS)('reading tails on %s', (client) => {
  let sink: SinkPort;

  function connect(): SinkPort {
    sink = createKafkaSink({
      client,
      connection: { brokers: testKafkaBrokers() },
      topics: { create: true, partitions: 3, replication: 1 },
    });
    return sink;
  }

  afterEach(async () => {
    await sink.stop();
  });

  /** To partition 0, each in a batch of its own. */
  async function send({ lanes }: SinkTopic, values: readonly string[], partition = 0): Promise<void> {
    for (const value of values) {
      const lane = lanes[partition];
      if (lane !== undefined) {
        const headers = [[HEADER, Buffer.from(value)]] as const;
        await sink.send(lane, [{ key: Buffer.from('k'), value: Buffer.from('x'.repeat(5_000)), headers }]);
      }
    }
  }

  interface Read {
    readonly names: readonly string[];
    readonly ends: readonly TailEnd[];
  }

  async function readTails(lanes: readonly TailStart[], signal = new AbortController().signal): Promise<Read> {
    const names: string[] = [];
    const ends: TailEnd[] = [];
    await sink.readTails?.({
      lanes,
      signal,
      take: (records) => names.push(...records.map(({ headers }) => String(headers.get('name')))),
      ended: (end) => ends.push(end),
    });
    return { names, ends: ends.sort((one, other) => one.partition - other.partition) };
  }

  const lane = (topic: string, from: Partial<TailFrom> | null, partition = 0): TailStart => ({
    topic,
    partition,
    from: from === null ? null : { offset: 0n, topicId: null, sinceMs: 0, ...from },
  });

  async function idOf(topic: string): Promise<string | null> {
    const [end] = (await readTails([lane(topic, null)])).ends;
    return end?.kind === 'read' ? end.topicId : null;
  }

  it('gives what stands in each lane from its offset on, and its end', async () => {
    const topic = await connect().openTopic(uniqueName('tails'));
    await send(topic, ['1', '2', '3', '4', '5']);
    await send(topic, ['6', '7'], 1);

    const { names, ends } = await readTails([
      lane(topic.name, { offset: 3n }),
      lane(topic.name, { offset: 1n }, 1),
      lane(topic.name, { offset: 0n }, 2),
    ]);

    expect([...names].sort()).toEqual(['4', '5', '7']);
    expect(ends).toMatchObject([
      { kind: 'read', topic: topic.name, partition: 0, end: 5n, records: 2, unreadable: 0 },
      { kind: 'read', partition: 1, end: 2n, records: 1 },
      { kind: 'read', partition: 2, end: 0n, records: 0 },
    ]);
  });

  it('gives the end alone where nothing is to be read, and a part where not all is', async () => {
    const topic = await connect().openTopic(uniqueName('tails'));
    await send(topic, ['1', '2', '3']);

    expect(await readTails([lane(topic.name, null)])).toMatchObject({ names: [], ends: [{ end: 3n, records: 0 }] });
    expect((await readTails([lane(topic.name, { offset: 1n, to: 2n })])).names).toEqual(['2']);
  });

  it('leaves out what is older', async () => {
    const topic = await connect().openTopic(uniqueName('tails'));
    await send(topic, ['1', '2']);
    const sinceMs = Date.now() + 1;
    while (Date.now() < sinceMs) {
      // the clock goes on
    }
    await send(topic, ['3']);

    expect((await readTails([lane(topic.name, { sinceMs })])).names).toEqual(['3']);
    expect((await readTails([lane(topic.name, { sinceMs: Date.now() + 60_000 })])).names).toEqual([]);
  });

  it('knows the topic by its id, as long as it is the same', async () => {
    const topic = await connect().openTopic(uniqueName('tails'));
    const topicId = await idOf(topic.name);

    expect(topicId).toMatch(/^[\w-]{22}$/);
    expect((await readTails([lane(topic.name, { topicId })])).ends).toMatchObject([{ kind: 'read', topicId }]);
  });

  it('says when a topic was made anew, when it is no more, and when its log ends before the offset', async () => {
    const topic = await connect().openTopic(uniqueName('tails'));
    await send(topic, ['1']);
    const topicId = await idOf(topic.name);
    expect((await readTails([lane(topic.name, { offset: 2n })])).ends).toMatchObject([{ kind: 'cut', end: 1n }]);

    await deleteTopic(testKafkaBrokers(), topic.name);
    expect((await readTails([lane(topic.name, { topicId })])).ends).toMatchObject([
      { kind: 'replaced', topicId: null },
    ]);

    await createTopic({ brokers: testKafkaBrokers(), topic: topic.name });
    const [end] = (await readTails([lane(topic.name, { topicId })])).ends;
    expect(end).toMatchObject({ kind: 'replaced', topicId: expect.stringMatching(/^[\w-]{22}$/) });
  });

  it('ends when it is told to', async () => {
    const topic = await connect().openTopic(uniqueName('tails'));
    await send(topic, ['1']);

    expect((await readTails([lane(topic.name, {})], AbortSignal.abort())).ends).toMatchObject([
      { kind: 'failed', error: { code: 'unavailable' } },
    ]);
  });
});
