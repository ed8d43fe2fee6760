import { describe, expect, it } from '@jest/globals';
import { type DeliveredChunk, type PartitionReceiver } from '../subscription-port.js';
import { type FeedChunk, PartitionFeed } from './partition-feed.js';

const noHeaders = new Map<string, Buffer>();

function chunk(...offsets: readonly bigint[]): FeedChunk {
  const deliveries = offsets.map((offset) => {
    return { topic: 't', partition: 0, offset, key: null, value: null, headers: noHeaders, timestampMs: 0 };
  });
  const nextOffset = (offsets.at(-1) ?? -1n) + 1n;
  const firstOffset = offsets[0] ?? 0n;
  return { firstOffset, nextOffset, read: () => [{ deliveries, firstOffset, nextOffset, bytes: 0 }] };
}

class Gate {
  open: () => void = () => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

function feedOf(
  receiver: Partial<PartitionReceiver>,
  opening?: Promise<void>,
): { feed: PartitionFeed; failures: unknown[] } {
  const failures: unknown[] = [];
  const feed = new PartitionFeed({
    topic: 't',
    partition: 0,
    committedOffset: 5n,
    listener: {
      open: async () => {
        await opening;
        return { receive: () => Promise.resolve(), close: () => Promise.resolve(), ...receiver };
      },
    },
    commit: () => undefined,
    onHungry: () => undefined,
    onUnreadable: (error) => failures.push(error),
    onFailure: (error) => failures.push(error),
  });
  return { feed, failures };
}

async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

describe('the feed of a partition', () => {
  it('can take records once its receiver is open, from the committed offset', async () => {
    const gate = new Gate();
    const { feed } = feedOf({}, gate.passed);
    expect([feed.isHungry, feed.position, feed.expectsOffset, feed.hasDelivered]).toEqual([false, 5n, true, false]);
    gate.open();
    await settled();
    expect(feed.isHungry).toBe(true);
  });

  it.each([
    ['back to what its receiver has not done', 3n, 3n],
    ['nowhere else when its receiver claims to be ahead', 9n, 5n],
    ['nowhere else when its receiver does not know', null, 5n],
  ])('goes %s', async (_what, startOffset, position) => {
    const { feed } = feedOf({ startOffset });
    await settled();
    expect(feed.position).toBe(position);
  });

  it('tells a receiver that is still opening that its assignment has ended, and takes its refusal for no failure', async () => {
    const failures: unknown[] = [];
    const feed = new PartitionFeed({
      topic: 't',
      partition: 0,
      committedOffset: null,
      listener: {
        open: (_partition, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(new Error('too late'));
            });
          }),
      },
      commit: () => undefined,
      onHungry: () => undefined,
      onUnreadable: (error) => failures.push(error),
      onFailure: (error) => failures.push(error),
    });
    expect(await feed.close(1_000)).toBe(true);
    expect(failures).toEqual([]);
  });

  it('gives its receiver one chunk at a time, and keeps one more', async () => {
    const given: bigint[][] = [];
    const gates = [new Gate(), new Gate()];
    const { feed } = feedOf({
      receive: ({ deliveries }) => {
        given.push(deliveries.map(({ offset }) => offset));
        return gates[given.length - 1]?.passed ?? Promise.resolve();
      },
    });
    await settled();

    feed.offer(chunk(5n, 6n));
    expect([given, feed.isHungry, feed.position]).toEqual([[[5n, 6n]], true, 7n]);
    feed.offer(chunk(7n));
    expect([given.length, feed.isHungry, feed.position]).toEqual([1, false, 8n]);
    feed.offer(chunk(8n, 9n));
    expect([given.length, feed.isHungry, feed.position]).toEqual([1, false, 8n]);
    gates[0]?.open();
    await settled();
    expect([given, feed.isHungry]).toEqual([[[5n, 6n], [7n]], true]);
    gates[1]?.open();
  });

  it('lets its receiver know of offsets that have no record', async () => {
    const given: DeliveredChunk[] = [];
    const { feed } = feedOf({
      receive: (part) => {
        given.push(part);
        return Promise.resolve();
      },
    });
    await settled();
    const marks = { deliveries: [], firstOffset: 5n, nextOffset: 9n, bytes: 60 };
    feed.offer({ firstOffset: 5n, nextOffset: 9n, read: () => [marks] });
    await settled();
    expect([given, feed.position, feed.isHungry]).toEqual([[marks], 9n, true]);
  });

  it('gives nothing more once it closes, and waits for what is under way no longer than it may', async () => {
    const gate = new Gate();
    let given = 0;
    const { feed } = feedOf({
      receive: () => {
        given += 1;
        return gate.passed;
      },
      close: () => gate.passed,
    });
    await settled();
    feed.offer(chunk(5n));
    feed.offer(chunk(6n));

    await expect(feed.close(10)).resolves.toBe(false);
    feed.offer(chunk(7n));
    gate.open();
    await settled();
    expect([given, feed.isHungry]).toEqual([1, false]);
  });

  it('closes a receiver that was still being opened', async () => {
    const gate = new Gate();
    let isClosed = false;
    const { feed } = feedOf(
      {
        close: () => {
          isClosed = true;
          return Promise.resolve();
        },
      },
      gate.passed,
    );
    const closing = feed.close(1_000);
    gate.open();
    await expect(closing).resolves.toBe(true);
    expect(isClosed).toBe(true);
  });

  it('tells of a receiver that fails, by the kind of error and nothing more', async () => {
    const { feed, failures } = feedOf({
      receive: () => Promise.reject(new TypeError('payload')),
      close: () => Promise.reject(new Error('payload')),
    });
    await settled();
    feed.offer(chunk(5n));
    feed.offer(chunk(6n));
    await settled();
    await feed.close(100);
    expect(failures.map(String)).toEqual([
      'ReceiverFailedError: The receiver of t/0 failed to receive: TypeError.',
      'ReceiverFailedError: The receiver of t/0 failed to close: Error.',
    ]);
  });
});
