import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { HttpFaultProxy, LocalSqs, uniqueName, until } from '@millrace/testing';
import { type SinkPort, type SinkRecord } from '../sink-port.js';
import {
  type AssignedPartition,
  type Delivery,
  type PartitionReceiver,
  type SubscriptionListener,
  type SubscriptionPort,
} from '../subscription-port.js';
import { DirectoryPayloadStore } from '../storage/directory-payload-store.js';
import { createSqsSink } from './create-sqs-sink.js';
import { createSqsSubscription, type SqsSubscriptionOptions } from './create-sqs-subscription.js';
import { type SqsSubscriptionEvent } from './sqs-subscription-events.js';

const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };
const TOPIC = 'outbox.event.order';

let sqs: LocalSqs;
let proxy: HttpFaultProxy;
let payloads: string;
const stopped: (SinkPort | SubscriptionPort)[] = [];

beforeAll(async () => {
  sqs = await LocalSqs.start();
  proxy = await HttpFaultProxy.start({ port: sqs.port });
  payloads = mkdtempSync(join(tmpdir(), 'millrace-payloads-'));
});

afterEach(async () => {
  proxy.clear();
  await Promise.all(stopped.splice(0).map((part) => part.stop()));
});

afterAll(async () => {
  await proxy.stop();
  await sqs.stop();
  rmSync(payloads, { recursive: true, force: true });
});

/** Settles what it is given, unless a test holds it back. */
class Receiver implements SubscriptionListener {
  readonly received: string[] = [];
  readonly #held: (() => void)[] = [];
  opened = 0;
  isHolding = false;
  failures = 0;
  whenReceived = (): void => undefined;

  open(partition: AssignedPartition): Promise<PartitionReceiver> {
    this.opened++;
    return Promise.resolve({
      receive: ({ deliveries }) => this.#take(partition, deliveries),
      close: () => Promise.resolve(),
    });
  }

  /** Ends what is in work. */
  release(): void {
    this.isHolding = false;
    for (const settle of this.#held.splice(0)) {
      settle();
    }
  }

  #take(partition: AssignedPartition, deliveries: readonly Delivery[]): Promise<void> {
    if (this.failures > 0) {
      this.failures--;
      return Promise.reject(new Error('the receiver fails'));
    }
    for (const delivery of deliveries) {
      this.received.push(`${String(delivery.key)}:${String(delivery.value)}`);
      const settle = (): void => partition.settle?.(delivery);
      if (this.isHolding) {
        this.#held.push(settle);
      } else {
        settle();
      }
    }
    return Promise.resolve();
  }
}

function queue(suffix: '.fifo' | '' = '.fifo', attributes: Readonly<Record<string, string>> = {}): string {
  const name = `${uniqueName('q')}${suffix}`;
  sqs.createQueue(name, attributes);
  return name;
}

async function send(name: string, ...records: readonly SinkRecord[]): Promise<void> {
  const queues = sqs.urlOf(name);
  const connection = { region: 'us-east-1', credentials: CREDENTIALS };
  const sink = createSqsSink({ connection, queues, payloads: new DirectoryPayloadStore(payloads) });
  await sink.start();
  const topic = await sink.openTopic(TOPIC);
  for (const record of records) {
    await sink.send(topic.laneOf(record.key), [record]);
  }
  await sink.stop();
}

function record(key: string, value: string): SinkRecord {
  return {
    key: Buffer.from(key),
    value: Buffer.from(value),
    headers: [[Buffer.from('id'), Buffer.from(randomUUID())]],
  };
}

/** Through the proxy. */
async function subscribe(
  name: string,
  listener: SubscriptionListener,
  options: Partial<SqsSubscriptionOptions> = {},
): Promise<[SubscriptionPort, SqsSubscriptionEvent[]]> {
  const events: SqsSubscriptionEvent[] = [];
  const subscription = createSqsSubscription({
    connection: { region: 'us-east-1', credentials: CREDENTIALS },
    queues: sqs.urlOf(name, proxy.endpoint),
    topics: [TOPIC],
    waitSeconds: 1,
    missingQueuePollMs: 100,
    onEvent: (event) => {
      events.push(event);
    },
    ...options,
  });
  stopped.push(subscription);
  await subscription.start(listener);
  return [subscription, events];
}

const seen = async (receiver: Receiver, count: number): Promise<readonly string[]> =>
  await until(
    () => Promise.resolve(receiver.received),
    (received) => received.length >= count,
    `${count} records`,
  );

const emptied = async (name: string): Promise<void> => {
  await until(
    () => Promise.resolve(sqs.contentOf(name)),
    ({ ready, inFlight }) => ready.length === 0 && inFlight === 0,
    `the queue ${name} to be empty`,
  );
};

describe('a subscription to a queue of SQS', () => {
  it('delivers the records of each key in order, and deletes what is settled', async () => {
    const name = queue();
    await send(name, ...['a', 'b', 'a', 'c', 'a', 'b'].map((key, index) => record(key, String(index))));
    const receiver = new Receiver();

    const [subscription] = await subscribe(name, receiver);
    const received = await seen(receiver, 6);

    await emptied(name);
    expect(received.filter((text) => text.startsWith('a'))).toEqual(['a:0', 'a:2', 'a:4']);
    expect(received.filter((text) => text.startsWith('b'))).toEqual(['b:1', 'b:5']);
    expect(subscription.status()).toEqual({ kind: 'running', partitions: 1, missingTopics: [] });
  });

  it('deletes nothing that is not settled, and gives it back at once when it stops', async () => {
    const name = queue();
    await send(name, record('a', '1'), record('b', '1'));
    const receiver = new Receiver();
    receiver.isHolding = true;
    const [subscription] = await subscribe(name, receiver);
    await seen(receiver, 2);
    expect(sqs.contentOf(name)).toMatchObject({ inFlight: 2 });

    await subscription.stop();

    expect(sqs.contentOf(name)).toEqual({ ready: ['1', '1'], inFlight: 0 });
    expect(subscription.status()).toEqual({ kind: 'stopped' });
  });

  it('hides a message for as long as it is in work, longer than its visibility lasts', async () => {
    const name = queue();
    await send(name, record('a', '1'));
    const receiver = new Receiver();
    receiver.isHolding = true;
    const [, events] = await subscribe(name, receiver, { visibilitySeconds: 3 });
    await seen(receiver, 1);

    await sleep(5_000);

    expect(receiver.received).toEqual(['a:1']);
    receiver.release();
    await emptied(name);
    expect(receiver.received).toEqual(['a:1']);
    expect(events.map(({ kind }) => kind)).toEqual(['queue_opened']);
  });

  it('tells that a message was shown to others when its visibility could not be extended', async () => {
    const name = queue();
    await send(name, record('a', '1'));
    const receiver = new Receiver();
    receiver.isHolding = true;
    const [, events] = await subscribe(name, receiver, { visibilitySeconds: 3 });
    await seen(receiver, 1);
    proxy.set(({ action }) =>
      action === 'ChangeMessageVisibilityBatch'
        ? { kind: 'answer', status: 503, code: 'ServiceUnavailable' }
        : { kind: 'pass' },
    );
    await seen(receiver, 2);
    proxy.clear();
    await until(
      () => Promise.resolve(events),
      (told) => told.some(({ kind }) => kind === 'visibility_lost'),
      'the loss to be told',
    );
    receiver.release();
    await emptied(name);
    expect(receiver.received).toEqual(['a:1', 'a:1']);
  });

  it('deletes again what SQS did not delete, and does not deliver it meanwhile', async () => {
    const name = queue();
    await send(name, record('a', '1'), record('a', '2'));
    let failures = 0;
    proxy.set(({ action }) => {
      failures += action === 'DeleteMessageBatch' ? 1 : 0;
      return action === 'DeleteMessageBatch' && failures <= 3
        ? failures === 1
          ? { kind: 'lose_reply' }
          : { kind: 'answer', status: 503, code: 'ServiceUnavailable' }
        : { kind: 'pass' };
    });
    const receiver = new Receiver();
    await subscribe(name, receiver);
    await seen(receiver, 2);
    await emptied(name);
    expect(receiver.received).toEqual(['a:1', 'a:2']);
  });

  it('goes on with what is in work while nothing can be received, says so, and resumes', async () => {
    const name = queue();
    await send(name, record('a', '1'));
    const receiver = new Receiver();
    receiver.isHolding = true;
    const [subscription, events] = await subscribe(name, receiver);
    await seen(receiver, 1);
    proxy.set(({ action }) =>
      action === 'ReceiveMessage' ? { kind: 'answer', status: 400, code: 'RequestThrottled' } : { kind: 'pass' },
    );
    const status = await until(
      () => Promise.resolve(subscription.status()),
      ({ kind }) => kind === 'rebuilding',
      'the interruption to show',
    );
    expect(status).toMatchObject({ reason: expect.stringContaining('RequestThrottled') as unknown });

    receiver.release();
    await emptied(name);
    await send(name, record('a', '2'));
    proxy.clear();

    await seen(receiver, 2);
    expect(subscription.status().kind).toBe('running');
    expect(receiver.opened).toBe(1);
    expect(new Set(events.map(({ kind }) => kind))).toEqual(new Set(['queue_opened', 'interrupted', 'resumed']));
  });

  it('opens a receiver anew when it rejects, and delivers everything again in order', async () => {
    const name = queue();
    await send(name, record('a', '1'), record('a', '2'));
    const receiver = new Receiver();
    receiver.failures = 1;
    await subscribe(name, receiver);
    expect(await seen(receiver, 2)).toEqual(['a:1', 'a:2']);
    expect(receiver.opened).toBe(2);
    await emptied(name);
  });

  it('waits for a queue that does not exist yet', async () => {
    const name = `${uniqueName('q')}.fifo`;
    const receiver = new Receiver();
    const [subscription, events] = await subscribe(name, receiver);
    await until(
      () => Promise.resolve(subscription.status()),
      ({ kind }) => kind === 'running',
      'the status to tell the missing queue',
    );
    expect(subscription.status()).toEqual({ kind: 'running', partitions: 0, missingTopics: [name] });
    sqs.createQueue(name);
    await send(name, record('a', '1'));
    await seen(receiver, 1);
    expect(events.map(({ kind }) => kind)).toEqual(['queue_missing', 'queue_opened']);
  });

  it('delivers a payload from the store, and gives a message back, with its group, while the payload is not there', async () => {
    const name = queue('.fifo', { MaximumMessageSize: '2048' });
    const large = 'x'.repeat(4_000);
    await send(name, record('a', large), record('a', 'after'), record('b', 'other'));
    const receiver = new Receiver();
    const elsewhere = mkdtempSync(join(tmpdir(), 'millrace-payloads-'));
    const [first, events] = await subscribe(name, receiver, { payloads: new DirectoryPayloadStore(elsewhere) });
    expect(await seen(receiver, 1)).toEqual(['b:other']);
    await until(
      () => Promise.resolve(events),
      (told) => told.some(({ kind }) => kind === 'given_back'),
      'the message to be given back',
    );
    expect(JSON.stringify(events)).toContain('must see the same directory');
    await first.stop();
    rmSync(elsewhere, { recursive: true });

    await subscribe(name, receiver, { payloads: new DirectoryPayloadStore(payloads) });

    expect(await seen(receiver, 3)).toEqual(['b:other', `a:${large}`, 'a:after']);
  });

  it('refuses to start on a queue that gives messages up too early', async () => {
    const dead = queue();
    const policy = JSON.stringify({ deadLetterTargetArn: sqs.arnOf(dead), maxReceiveCount: 5 });
    const name = queue('.fifo', { RedrivePolicy: policy });
    await expect(subscribe(name, new Receiver())).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining('maxReceiveCount') as unknown,
    });
    await subscribe(name, new Receiver(), { receivesMin: 4 });
  });

  it('takes no more at a time than it may have in work', async () => {
    const name = queue();
    await send(name, ...Array.from({ length: 12 }, (_, index) => record(`k${index}`, '1')));
    const receiver = new Receiver();
    receiver.isHolding = true;
    await subscribe(name, receiver, { inFlightMax: 4 });
    await seen(receiver, 4);
    expect(sqs.contentOf(name)).toMatchObject({ inFlight: 4 });
    receiver.release();
    await seen(receiver, 12);
    await emptied(name);
  });

  it('delivers a message of another producer, with its group as the key and its attributes as headers', async () => {
    const name = queue();
    const deliveries: Delivery[] = [];
    await subscribe(name, {
      open: (partition) =>
        Promise.resolve({
          receive: ({ deliveries: given }) => {
            deliveries.push(...given);
            given.forEach((delivery) => partition.settle?.(delivery));
            return Promise.resolve();
          },
          close: () => Promise.resolve(),
        }),
    });
    const { SQSClient, SendMessageCommand } = await import('@aws-sdk/client-sqs');
    const client = new SQSClient({ region: 'us-east-1', credentials: CREDENTIALS, endpoint: sqs.endpoint });
    await client.send(
      new SendMessageCommand({
        QueueUrl: sqs.urlOf(name),
        MessageBody: 'hello',
        MessageGroupId: 'g1',
        MessageDeduplicationId: '1',
        MessageAttributes: { colour: { DataType: 'String', StringValue: 'red' } },
      }),
    );
    client.destroy();
    await emptied(name);
    expect(deliveries).toMatchObject([{ topic: TOPIC, key: Buffer.from('g1'), value: Buffer.from('hello') }]);
    expect([...(deliveries[0]?.headers ?? [])]).toEqual([['colour', Buffer.from('red')]]);
  });
});
