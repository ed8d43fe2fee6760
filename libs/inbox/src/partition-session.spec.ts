import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HEADER } from '@millrace/events';
import { type ConsumerTuning } from './inbox.config.js';
import { FakeConsumer } from './testing-doubles/fake-consumer.js';
import { type FakeAssignment, isDone } from './testing-doubles/fake-subscription.js';

const TOPIC = 'outbox.event.order';
const SAVE_MS = 250;

describe('the chunks of a partition', () => {
  let consumer: FakeConsumer;
  let partition: FakeAssignment;

  async function begin(tuning: ConsumerTuning = {}): Promise<void> {
    consumer = new FakeConsumer(tuning);
    await consumer.runner.start();
    partition = await consumer.subscription.assign(TOPIC, 0, 0n);
  }

  beforeEach(async () => {
    await begin();
  });

  afterEach(async () => {
    await consumer.runner.stop();
    expect(consumer.clock.timersSet).toBe(0);
  });

  it('are kept no more of than the window allows, however little of them is handled', async () => {
    await begin({ windowBytesMax: 1_000_000 });
    const open = consumer.hold('slow');
    const ignored = { headers: { [HEADER.eventType]: 'order.noted' } };
    for (const name of ['slow', 'slow', 'x', 'slow']) {
      await partition.receiver.receive([consumer.event('y', 'y', ignored), consumer.event(name, name)], {
        bytes: 400_000,
      });
    }
    const receiving = partition.receiver.receive([consumer.event('b1', 'b')]);
    await consumer.settle();
    expect(await isDone(receiving)).toBe(false);
    expect(consumer.ended).toEqual(['x']);
    open();
    await receiving;
    await consumer.settle();
    expect(consumer.ended.toSorted()).toEqual(['b1', 'slow', 'slow', 'slow', 'x']);
  });

  it('end a receive that waits for room when the partition is given up', async () => {
    await begin({ windowBytesMax: 1 });
    const open = consumer.hold('a1');
    await partition.receiver.receive([consumer.event('a1', 'a')]);
    const receiving = partition.receiver.receive([consumer.event('a2', 'a')]);
    await consumer.settle();
    expect(await isDone(receiving)).toBe(false);
    const closing = consumer.subscription.revoke(partition);
    await receiving;
    open();
    await closing;
    expect([consumer.ended, partition.commits]).toEqual([['a1'], [1n]]);
  });

  it('are gone on over where they have no record, once what is before that is done', async () => {
    const open = consumer.hold('a1');
    await partition.receiver.receive([consumer.event('a1', 'a')], { nextOffset: 4n });
    await partition.receiver.receive([], { firstOffset: 4n, nextOffset: 6n });
    await consumer.clock.advance(SAVE_MS);
    expect(partition.commits).toEqual([]);
    open();
    await consumer.settle();
    await consumer.clock.advance(SAVE_MS);
    expect(partition.commits).toEqual([6n]);
    await partition.receiver.receive([], { firstOffset: 6n, nextOffset: 7n });
    await consumer.clock.advance(SAVE_MS);
    expect(partition.commits).toEqual([6n, 7n]);
    expect(consumer.runner.status().frozen).toEqual([]);
  });

  it('freeze the partition only where one begins behind the end of the one before', async () => {
    await partition.receiver.receive(
      [consumer.event('a1', 'a', { offset: 2n }), consumer.event('a2', 'a', { offset: 5n })],
      {
        firstOffset: 0n,
        nextOffset: 8n,
      },
    );
    await partition.receiver.receive([consumer.event('a3', 'a', { offset: 9n })], { firstOffset: 8n });
    expect(consumer.runner.status().frozen).toEqual([]);
    await partition.receiver.receive([consumer.event('a4', 'a', { offset: 13n })], { firstOffset: 12n });
    expect(consumer.runner.status().frozen).toEqual([{ topic: TOPIC, partition: 0, from: 10n, to: 11n }]);
  });
});
