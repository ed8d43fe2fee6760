import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Producer, stringSerializers } from '@platformatic/kafka';
import { consoleConsume } from './console-consumer.js';
import { isPortFree } from './free-port.js';
import { createTopic, topicOffsets } from './kafka-admin.js';
import { LocalKafka } from './local-kafka.js';
import { isProcessAlive } from './process-tree.js';

const temporaryDir = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
const kafka = new LocalKafka({ dataDir: join(temporaryDir, 'data'), isQuickStart: true, temporaryDir });
const topic = 'outbox.event.order';
/** Java takes half a minute to start on a machine that is busy with other things. */
const TIMEOUT_MS = 300_000;

async function produce(from: number, to: number): Promise<void> {
  const producer = new Producer({
    clientId: 'local-kafka-spec',
    bootstrapBrokers: kafka.brokers,
    serializers: stringSerializers,
    autocreateTopics: false,
    retries: 0,
  });
  try {
    await producer.send({
      acks: -1,
      messages: Array.from({ length: to - from }, (_, index) => ({
        topic,
        partition: (from + index) % 3,
        key: `key ${from + index}`,
        value: `{"text": "a\\ttab,\\na line: ${from + index}", "e": "é\\u001f"}`,
        headers: { id: `id-${from + index}`, eventType: 'order.placed', odd: 'a:b,c d' },
      })),
    });
  } finally {
    await producer.close();
  }
}

describe('a local Kafka', () => {
  beforeAll(async () => {
    await kafka.start();
  }, TIMEOUT_MS);

  afterAll(async () => {
    await kafka.stop();
    rmSync(temporaryDir, { recursive: true, force: true });
  });

  it(
    'serves records, which its own console consumer reads whole',
    async () => {
      await createTopic({ brokers: kafka.brokers, topic, partitions: 3 });
      await produce(0, 300);

      const records = await consoleConsume({ brokers: kafka.brokers, topic });

      expect(records).toHaveLength(300);
      const byNumber = new Map(records.map((record) => [record.key, record]));
      expect(byNumber.get('key 7')).toEqual({
        topic,
        partition: 1,
        offset: 2n,
        timestampMs: expect.any(Number),
        key: 'key 7',
        headers: { id: 'id-7', eventType: 'order.placed', odd: 'a:b,c d' },
        value: '{"text": "a\\ttab,\\na line: 7", "e": "é\\u001f"}',
      });
    },
    TIMEOUT_MS,
  );

  it(
    'keeps its records and its port over SIGKILL',
    async () => {
      const { pid, port } = kafka;
      const exited = kafka.exited();
      await kafka.kill();
      expect(await exited).toBe('SIGKILL');
      expect(isProcessAlive(pid)).toBe(false);
      expect(await isPortFree(port)).toBe(true);

      await kafka.start();
      await produce(300, 310);

      const offsets = await topicOffsets(kafka.brokers, topic);
      expect(offsets.map(({ first }) => first)).toEqual([0n, 0n, 0n]);
    },
    TIMEOUT_MS,
  );

  it(
    'gives what there is when fewer records than wanted come',
    async () => {
      const records = await consoleConsume({ brokers: kafka.brokers, topic, count: 1_000, idleTimeoutMs: 3_000 });
      // a producer may send again what a broker that has just started did not take at once
      expect(new Set(records.map(({ key }) => key)).size).toBe(310);
    },
    TIMEOUT_MS,
  );

  it('has nothing to read in an empty topic', async () => {
    await createTopic({ brokers: kafka.brokers, topic: 'empty' });
    expect(await consoleConsume({ brokers: kafka.brokers, topic: 'empty' })).toEqual([]);
  });
});
