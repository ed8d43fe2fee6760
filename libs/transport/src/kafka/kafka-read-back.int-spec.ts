import { afterEach, describe, expect, it } from '@jest/globals';
import { createTopic, testKafkaBrokers, uniqueName } from '@millrace/testing';
import { type ReadBackRequest, type ReadBackResult, type SinkPort, type SinkTopic } from '../sink-port.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { KAFKA_CLIENTS } from './kafka-config.js';

const HEADER = Buffer.from('name');

describe.each(KAFKA_CLIENTS)('reading back on %s', (client) => {
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

  async function send({ lanes }: SinkTopic, values: readonly string[]): Promise<void> {
    for (const [at, value] of values.entries()) {
      const lane = lanes[at % lanes.length];
      if (lane !== undefined) {
        const headers = [[HEADER, Buffer.from(value)]] as const;
        await sink.send(lane, [{ key: Buffer.from('k'), value: Buffer.from('x'.repeat(5_000)), headers }]);
      }
    }
  }

  interface Read {
    readonly names: readonly string[];
    readonly result: ReadBackResult | undefined;
  }

  async function readBack(topics: readonly string[], request: Partial<ReadBackRequest> = {}): Promise<Read> {
    const names: string[] = [];
    const { signal } = new AbortController();
    const wanted = { isWanted: (topic: string) => topics.includes(topic), sinceMs: 0, signal, ...request };
    const result = await sink.readBack?.(wanted, (records) => {
      names.push(...records.map(({ headers }) => String(headers.get('name'))));
      return Promise.resolve();
    });
    return { names: names.sort(), result };
  }

  it('gives every record of every lane of the wanted topics, and of no other', async () => {
    const one = await connect().openTopic(uniqueName('back'));
    const two = await sink.openTopic(uniqueName('back'));
    const other = await sink.openTopic(uniqueName('back'));
    await send(one, ['1', '2', '3', '4', '5']);
    await send(two, ['6']);
    await send(other, ['7']);

    expect(await readBack([one.name, two.name])).toEqual({
      names: ['1', '2', '3', '4', '5', '6'],
      result: { kind: 'complete' },
    });
  });

  it('leaves out what is older', async () => {
    const topic = await connect().openTopic(uniqueName('back'));
    await send(topic, ['1', '2', '3']);
    const sinceMs = Date.now() + 1;
    while (Date.now() < sinceMs) {
      // the clock goes on
    }
    await send(topic, ['4']);

    expect(await readBack([topic.name], { sinceMs })).toEqual({ names: ['4'], result: { kind: 'complete' } });
    expect((await readBack([topic.name], { sinceMs: Date.now() + 60_000 })).names).toEqual([]);
  });

  it('says when a topic is compacted', async () => {
    connect();
    const name = uniqueName('back');
    await createTopic({ brokers: testKafkaBrokers(), topic: name, configs: { 'cleanup.policy': 'compact' } });

    expect((await readBack([name])).result).toEqual({
      kind: 'incomplete',
      reason: expect.stringContaining(`Topic ${name} is compacted`),
    });
  });

  it('ends with what the taker throws, and when it is told to', async () => {
    const topic = await connect().openTopic(uniqueName('back'));
    await send(topic, ['1']);
    const { signal } = new AbortController();
    const request = { isWanted: (name: string) => name === topic.name, sinceMs: 0, signal };
    const fault = new Error('no room');

    await expect(sink.readBack?.(request, () => Promise.reject(fault))).rejects.toBe(fault);
    await expect(readBack([topic.name], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'The reading back was called off.',
    });
  });
});
