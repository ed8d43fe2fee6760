import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { consoleConsume, FaultProxy, freePort, LocalKafka, topicOffsets, uniqueName, until } from '@millrace/testing';
import { type SinkLane, type SinkPort, type SinkRecord } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { KAFKA_CLIENTS, type KafkaSinkOptions } from './kafka-config.js';

jest.setTimeout(300_000);

const REQUEST_TIMEOUT_MS = 2_500;
const LIMIT_MS = 2 * REQUEST_TIMEOUT_MS;
/** What was sent before it is late by now. */
const TOO_LATE_MS = LIMIT_MS + 1_000;

const directory = mkdtempSync(join(tmpdir(), 'millrace-late-'));

function record(value: string): SinkRecord {
  return { key: Buffer.from('key'), value: Buffer.from(value), headers: [] };
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

/** The whole process, as SIGSTOP does it. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('a topic that refuses late records', () => {
  let kafka: LocalKafka;
  let proxy: FaultProxy;
  const sinks: SinkPort[] = [];

  beforeAll(async () => {
    const [port, proxyPort] = await Promise.all([freePort(), freePort()]);
    proxy = await FaultProxy.start({ target: { port }, protocol: 'any', port: proxyPort });
    const dataDir = join(directory, 'data');
    kafka = new LocalKafka({ dataDir, port, advertisedPort: proxyPort, isQuickStart: true, temporaryDir: directory });
    await kafka.start();
  });

  afterEach(async () => {
    proxy.heal();
    await Promise.all(sinks.splice(0).map((sink) => sink.stop()));
  });

  afterAll(async () => {
    await proxy.stop();
    await kafka.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  describe.each(KAFKA_CLIENTS)('on %s', (client) => {
    async function opened(
      topic: string,
      refuseOlderThanMs: number | undefined,
      options: Partial<KafkaSinkOptions> = {},
    ): Promise<{ sink: SinkPort; lane: SinkLane }> {
      const sink = createKafkaSink({
        client,
        connection: { brokers: [`127.0.0.1:${proxy.port}`] },
        topics: { create: true, partitions: 1, replication: 1, ...(refuseOlderThanMs && { refuseOlderThanMs }) },
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        drainMs: 100,
        ...options,
      });
      sinks.push(sink);
      await sink.start();
      return { sink, lane: (await sink.openTopic(topic)).laneOf(Buffer.from('key')) };
    }

    async function valuesIn(topic: string): Promise<readonly (string | null)[]> {
      const records = await consoleConsume({ brokers: [`127.0.0.1:${kafka.port}`], topic });
      return records.map(({ value }) => value);
    }

    async function endOf(topic: string): Promise<bigint | undefined> {
      const [partition] = await topicOffsets([`127.0.0.1:${kafka.port}`], topic);
      return partition?.end;
    }

    it('refuses those of a process that stood still, which are of unknown outcome and stored when they come again', async () => {
      const topic = uniqueName('late');
      const { sink, lane } = await opened(topic, LIMIT_MS);
      await sink.send(lane, [record('a')]);
      const records = [record('b'), record('c')];

      const frozen = failureOf(sink.send(lane, records));
      standStill(TOO_LATE_MS);
      const failure = await frozen;

      expect(failure).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
      expect(failure.message).toMatch(/INVALID_TIMESTAMP\. .*clocks/);
      expect(await sink.send(lane, records)).toEqual({ baseOffset: 1n });
      expect(await sink.send(lane, [record('d')])).toEqual({ baseOffset: 3n });
      expect(await valuesIn(topic)).toEqual(['a', 'b', 'c', 'd']);
    });

    it.each([
      ['refuses those that were held up on their way while another sink went on', LIMIT_MS, ['a', 'b', 'c']],
      ['and only such a topic: others store a late copy', undefined, ['a', 'b', 'b', 'c']],
    ])('%s', async (_, limitMs, expected) => {
      const topic = uniqueName('late');
      const dead = await opened(topic, limitMs, { sendDeadlineMs: 1_500 });
      await dead.sink.send(dead.lane, [record('a')]);
      const numbers = new Set(proxy.open().map(({ number }) => number));
      const isOfDead = ({ number }: { readonly number: number }): boolean => numbers.has(number);
      proxy.set({ kind: 'blackhole' }, isOfDead);
      const lateMs = Date.now() + TOO_LATE_MS;
      expect(await failureOf(dead.sink.send(dead.lane, [record('b')]))).toMatchObject({ code: 'timeout' });
      await dead.sink.stop();

      const heir = await opened(topic, limitMs);
      expect(await heir.sink.send(heir.lane, [record('b')])).toEqual({ baseOffset: 1n });
      if (limitMs !== undefined) {
        await until(
          () => Promise.resolve(Date.now()),
          (nowMs) => nowMs > lateMs,
          'the time to pass',
        );
      }
      proxy.heal();
      await until(
        () => Promise.resolve(proxy.open(isOfDead).length),
        (open) => open === 0,
        'the end of what was held',
      );
      if (limitMs === undefined) {
        await until(
          () => endOf(topic),
          (end) => end === 3n,
          'the late copy',
        );
      }
      await heir.sink.send(heir.lane, [record('c')]);

      expect(await valuesIn(topic)).toEqual(expected);
    });
  });
});
