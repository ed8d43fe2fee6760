import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { HttpFaultProxy, LocalSqs, uniqueName } from '@millrace/testing';
import { type SinkPort, type SinkRecord, type SinkTopic } from '../sink-port.js';
import { type Delivery } from '../subscription-port.js';
import { DirectoryPayloadStore } from '../storage/directory-payload-store.js';
import { createAwsSqsClient } from './aws-sqs-client.js';
import { createSqsSink, type SqsSinkOptions } from './create-sqs-sink.js';
import { MessageReader } from './message-reader.js';
import { type SqsClientPort } from './sqs-client-port.js';

const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };
const TOPIC = 'outbox.event.order';

let sqs: LocalSqs;
let proxy: HttpFaultProxy;
let client: SqsClientPort;
let payloads: string;
const sinks: SinkPort[] = [];

beforeAll(async () => {
  sqs = await LocalSqs.start();
  proxy = await HttpFaultProxy.start({ port: sqs.port });
  client = await createAwsSqsClient({ region: 'us-east-1', credentials: CREDENTIALS }, sqs.endpoint);
  payloads = mkdtempSync(join(tmpdir(), 'millrace-payloads-'));
});

afterEach(async () => {
  proxy.clear();
  await Promise.all(sinks.splice(0).map((sink) => sink.stop()));
});

afterAll(async () => {
  client.close();
  await proxy.stop();
  await sqs.stop();
  rmSync(payloads, { recursive: true, force: true });
});

function queue(suffix: '.fifo' | '' = '.fifo', attributes: Readonly<Record<string, string>> = {}): string {
  const name = `${uniqueName('q')}${suffix}`;
  sqs.createQueue(name, attributes);
  return name;
}

/** Through the proxy. */
async function openSink(name: string, options: Partial<SqsSinkOptions> = {}): Promise<[SinkPort, SinkTopic]> {
  const sink = createSqsSink({
    connection: { region: 'us-east-1', credentials: CREDENTIALS },
    queues: sqs.urlOf(name, proxy.endpoint),
    ...options,
  });
  sinks.push(sink);
  await sink.start();
  return [sink, await sink.openTopic(TOPIC)];
}

function record(key: string, value: Buffer | string, headers: Readonly<Record<string, string>> = {}): SinkRecord {
  const all = { id: randomUUID(), 'millrace-route': 'orders', ...headers };
  return {
    key: Buffer.from(key),
    value: Buffer.from(value),
    headers: Object.entries(all).map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
  };
}

async function receive(name: string): Promise<readonly Delivery[]> {
  const url = sqs.urlOf(name);
  const all: Delivery[] = [];
  for (;;) {
    const request = { messagesMax: 10, waitSeconds: 0, visibilitySeconds: 60 };
    const messages = await client.receive(url, request, new AbortController().signal);
    if (messages.length === 0) {
      return all;
    }
    const { read } = await new MessageReader(new DirectoryPayloadStore(payloads), 'none').read(messages);
    all.push(...read.map(({ delivery }) => delivery));
    const deletions = messages.map(({ receiptHandle }, index) => ({ id: String(index), receiptHandle }));
    await client.delete(url, deletions, new AbortController().signal);
  }
}

async function valuesByKey(name: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const found: Record<string, string[]> = {};
  for (const { key, value } of await receive(name)) {
    (found[String(key)] ??= []).push(String(value));
  }
  return found;
}

/** As the relay does: the same records in the same order, until they are taken. */
async function sendUntilTaken(sink: SinkPort, topic: SinkTopic, records: readonly SinkRecord[]): Promise<number> {
  const [first] = records;
  for (let failures = 0; ; failures++) {
    try {
      await sink.send(topic.laneOf(first?.key ?? Buffer.alloc(0)), records);
      return failures;
    } catch (error) {
      expect(error).toMatchObject({ name: 'SinkError', outcome: 'unknown' });
    }
  }
}

function numbered(keys: readonly string[], count: number): readonly SinkRecord[] {
  return Array.from({ length: count }, (_, index) => record(keys[index % keys.length] ?? '', String(index)));
}

describe('a sink for SQS', () => {
  it('brings every byte of a record back, whatever SQS refuses', async () => {
    const name = queue();
    const [sink, topic] = await openSink(name);
    const values = [
      Buffer.from('{"total":1}'),
      Buffer.alloc(0),
      Buffer.from('ärger 日本 🚂'),
      Buffer.from('\u0000\u0001\ufffe\uffff'),
      Buffer.from([0xff, 0xfe, 0x00, 0x80]),
      Buffer.from('\ufeffmark'),
      Buffer.from(' \r\n\t'),
    ];
    const records = values.map((value, index) => ({
      ...record(`key ${index} \u0000é`, value, { plain: 'x', empty: '', odd: '\u0007"\\\u2028🚂' }),
    }));
    const binary = Buffer.from([0xc3, 0x28]);
    records.push({ key: binary, value: Buffer.from('x'), headers: [[Buffer.from('b'), binary]] });

    await sink.send(topic.laneOf(Buffer.from('a')), records);

    const byKey = new Map((await receive(name)).map((delivery) => [delivery.key?.toString('hex'), delivery]));
    for (const { key, value, headers } of records) {
      const found = byKey.get(key.toString('hex'));
      expect(found?.value).toEqual(value);
      expect(found?.topic).toBe(TOPIC);
      expect([...(found?.headers ?? [])]).toEqual(headers.map(([header, text]) => [header.toString(), text]));
    }
  });

  it('keeps the order of each key while entries of batches fail at random', async () => {
    const name = queue();
    const [sink, topic] = await openSink(name);
    const records = numbered(['a', 'b', 'c', 'd', 'e', 'f', 'g'], 100);
    let seed = 7;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    proxy.set({
      kind: 'fail_entries',
      failureOf: () =>
        random() < 0.1 ? { code: 'InternalError', isSenderFault: false, isStored: random() < 0.5 } : null,
    });

    const failures = await sendUntilTaken(sink, topic, records);

    expect(failures).toBeGreaterThan(0);
    for (const [key, values] of Object.entries(await valuesByKey(name))) {
      const mine = records.filter((one) => one.key.toString() === key).map(({ value }) => value.toString());
      expect(values).toEqual(mine);
    }
  });

  it('has at most one message of a key in a request, and ten in all', async () => {
    const name = queue();
    const [sink, topic] = await openSink(name);
    const groups: string[][] = [];
    proxy.set({
      kind: 'fail_entries',
      failureOf: ({ index, group }) => {
        if (index === 0) {
          groups.push([]);
        }
        groups.at(-1)?.push(group);
        return null;
      },
    });
    await sink.send(topic.laneOf(Buffer.from('a')), numbered(['a', 'b', 'c'], 9));
    await sink.send(topic.laneOf(Buffer.from('a')), numbered('a b c d e f g h i j k l m n o'.split(' '), 15));
    expect(groups.map((group) => group.length)).toEqual([3, 3, 3, 10, 5]);
    expect(groups.every((group) => new Set(group).size === group.length)).toBe(true);
  });

  it.each([
    ['503', { kind: 'answer', status: 503, code: 'ServiceUnavailable' }, 'unavailable'],
    ['throttling', { kind: 'answer', status: 400, code: 'RequestThrottled' }, 'unavailable'],
    ['a lost reply', { kind: 'lose_reply' }, 'unavailable'],
    ['no reply', { kind: 'swallow_reply' }, 'timeout'],
    ['a cut connection', { kind: 'cut' }, 'unavailable'],
  ] as const)('stores one copy of each record after %s', async (_, fault, code) => {
    const name = queue();
    const [sink, topic] = await openSink(name, { requestTimeoutMs: 300 });
    const records = numbered(['a', 'b'], 6);
    const lane = topic.laneOf(Buffer.from('a'));
    proxy.set(fault);
    await expect(sink.send(lane, records)).rejects.toMatchObject({ code, outcome: 'unknown' });
    const asked = proxy.countOf('SendMessageBatch');
    proxy.clear();

    await sink.send(lane, records);

    expect(proxy.countOf('SendMessageBatch')).toBe(asked + 3);
    expect(await valuesByKey(name)).toEqual({ a: ['0', '2', '4'], b: ['1', '3', '5'] });
  });

  it('leaves out on a standard queue what was taken of a batch that failed', async () => {
    const name = queue('');
    const [sink, topic] = await openSink(name);
    const records = numbered(['a', 'b', 'c', 'd'], 25);
    let calls = 0;
    proxy.set({
      kind: 'fail_entries',
      failureOf: ({ index }) => {
        calls += index === 0 ? 1 : 0;
        return calls === 2 && index === 3 ? { code: 'InternalError', isSenderFault: false } : null;
      },
    });

    await expect(sink.send(topic.laneOf(Buffer.from('a')), records)).rejects.toMatchObject({ code: 'unavailable' });
    await sink.send(topic.laneOf(Buffer.from('a')), records);

    const values = (await receive(name)).map(({ value }) => Number(value));
    expect(values.sort((a, b) => a - b)).toEqual(records.map((_, index) => index));
  });

  it('refuses the one message that SQS blames, and sends nothing of its key after it', async () => {
    const name = queue();
    const [sink, topic] = await openSink(name);
    const records = [record('a', '1'), record('b', 'bad'), record('c', '1'), record('b', '2'), record('a', '2')];
    const lane = topic.laneOf(Buffer.from('a'));
    proxy.set({
      kind: 'fail_entries',
      failureOf: ({ body }) => (body === 'bad' ? { code: 'InvalidMessageContents', isSenderFault: true } : null),
    });
    const refused = { code: 'record_invalid', outcome: 'refused' };

    await expect(sink.send(lane, records)).rejects.toMatchObject(refused);
    await expect(sink.send(lane, records.slice(0, 3))).rejects.toMatchObject(refused);
    await sink.send(lane, records.slice(0, 1));
    await expect(sink.send(lane, records.slice(1, 2))).rejects.toMatchObject(refused);
    await sink.send(lane, records.slice(2, 3));

    expect(await valuesByKey(name)).toEqual({ a: ['1'], c: ['1'] });
  });

  it('publishes a replay, a release and a second route of an event that was just published, and no other repeat', async () => {
    const name = queue();
    const [sink, topic] = await openSink(name);
    const id = randomUUID();
    const again: readonly Readonly<Record<string, string>>[] = [
      {},
      {},
      { 'millrace-epoch': '2' },
      { 'millrace-route': 'orders/3' },
      { 'millrace-replay': 'r1' },
      { 'millrace-replay': 'r1' },
      { 'millrace-replay': 'r2' },
      { 'millrace-unparked': '1' },
      { 'millrace-route': 'copies' },
    ];
    for (const [index, headers] of again.entries()) {
      await sink.send(topic.laneOf(Buffer.from('a')), [record('a', String(index), { id, ...headers })]);
    }
    expect(await valuesByKey(name)).toEqual({ a: ['0', '4', '6', '7', '8'] });
  });

  it('puts a payload that the queue does not take into the store before it sends the pointer', async () => {
    const name = queue('.fifo', { MaximumMessageSize: '2048' });
    const [sink, topic] = await openSink(name, { payloads: new DirectoryPayloadStore(payloads) });
    const large = 'x'.repeat(5_000);

    await sink.send(topic.laneOf(Buffer.from('a')), [record('a', 'small'), record('a', large), record('a', large)]);

    expect(await valuesByKey(name)).toEqual({ a: ['small', large, large] });
    const files = readdirSync(payloads, { recursive: true }).filter((file) => /[0-9a-f]{64}$/.test(String(file)));
    expect(files).toHaveLength(1);
  });

  it('gives a store up that never answers', async () => {
    const name = queue('.fifo', { MaximumMessageSize: '2048' });
    const store = { put: () => new Promise<never>(() => undefined), get: () => Promise.reject(new Error('none')) };
    const [sink, topic] = await openSink(name, { payloads: store, sendDeadlineMs: 50 });

    await expect(sink.send(topic.laneOf(Buffer.from('a')), [record('a', 'x'.repeat(4_000))])).rejects.toMatchObject({
      code: 'timeout',
      outcome: 'unknown',
    });
    expect(await receive(name)).toEqual([]);
  });

  it('refuses a record that is too large, before anything of its batch is sent', async () => {
    const name = queue('.fifo', { MaximumMessageSize: '2048' });
    const [sink, topic] = await openSink(name);
    const records = [record('a', '1'), record('b', 'x'.repeat(2_000))];
    await expect(sink.send(topic.laneOf(Buffer.from('a')), records)).rejects.toMatchObject({
      code: 'record_too_large',
      outcome: 'refused',
    });
    expect(proxy.countOf('SendMessageBatch')).toBeGreaterThan(0);
    expect(sqs.contentOf(name).ready).toEqual([]);
  });

  it('cuts requests by bytes, so that none is larger than SQS takes', async () => {
    const name = queue();
    const [sink, topic] = await openSink(name);
    const records = Array.from({ length: 4 }, (_, index) => record(`k${index}`, 'y'.repeat(400_000)));
    await sink.send(topic.laneOf(Buffer.from('a')), records);
    expect(await receive(name)).toHaveLength(4);
  });

  it('says that a queue is missing, and that one which was there has been deleted', async () => {
    const name = queue();
    const [sink, topic] = await openSink(name);
    sqs.deleteQueue(name);
    const lane = topic.laneOf(Buffer.from('a'));
    await expect(sink.send(lane, [record('a', '1')])).rejects.toMatchObject({ code: 'topic_deleted' });
    await expect(sink.openTopic(TOPIC)).rejects.toMatchObject({ code: 'topic_missing' });
  });
});
