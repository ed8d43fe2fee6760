import { describe, expect, it } from '@jest/globals';
import { type AssignedPartition, type Delivery, type SubscriptionListener } from '@millrace/transport';
import { QueueReader } from './queue-reader.js';

function delivery(messageId: string, key: string, id: string): Delivery {
  return {
    topic: 'orders',
    partition: 0,
    offset: 0n,
    messageId,
    key: Buffer.from(key),
    value: Buffer.from('{}'),
    headers: new Map([['id', Buffer.from(id)]]),
    timestampMs: 0,
  };
}

/** What the reader keeps of these deliveries, and how many reach the receiver behind it. */
async function readerOf(...deliveries: readonly Delivery[]): Promise<{ reader: QueueReader; received: number }> {
  let started: SubscriptionListener | undefined;
  const reader = new QueueReader();
  const subscription = reader.around({
    kind: 'sqs',
    status: () => ({ kind: 'idle' }),
    stop: async () => Promise.resolve(),
    start: async (listener) => {
      started = listener;
      return Promise.resolve();
    },
  });
  let received = 0;
  await subscription.start({
    open: async () =>
      Promise.resolve({
        receive: async (chunk) => {
          received += chunk.deliveries.length;
          return Promise.resolve();
        },
        close: async () => Promise.resolve(),
      }),
  });
  const partition: AssignedPartition = { topic: 'q', partition: 0, committedOffset: null, commit: () => undefined };
  const receiver = await started?.open(partition, new AbortController().signal);
  await receiver?.receive({ deliveries, firstOffset: 0n, nextOffset: 1n, bytes: 0 });
  return { reader, received };
}

describe('the reader of a queue', () => {
  it('keeps what comes in its order, each key as a partition of its own', async () => {
    const { reader, received } = await readerOf(
      delivery('m1', 'a', 'a-1'),
      delivery('m2', 'b', 'b-1'),
      delivery('m3', 'a', 'a-2'),
    );
    expect(
      reader.records.map(({ key, partition, offset, headers }) => [key, partition, offset, headers['id']]),
    ).toEqual([
      ['a', 0, 0n, 'a-1'],
      ['b', 1, 1n, 'b-1'],
      ['a', 0, 2n, 'a-2'],
    ]);
    expect(received).toBe(3);
  });

  it('tells another copy of an event from the same message once more', async () => {
    const { reader, received } = await readerOf(
      delivery('m1', 'a', 'a-1'),
      delivery('m2', 'a', 'a-1'),
      delivery('m1', 'a', 'a-1'),
    );
    expect({ records: reader.records.length, repeats: reader.repeats, redelivered: reader.redelivered }).toEqual({
      records: 2,
      repeats: 1,
      redelivered: 1,
    });
    expect(received).toBe(3);
  });
});
