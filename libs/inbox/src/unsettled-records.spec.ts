import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeConsumer } from './testing-doubles/fake-consumer.js';
import { type FakeAssignment } from './testing-doubles/fake-subscription.js';

describe('the records of a queue', () => {
  let consumer: FakeConsumer;
  let queue: FakeAssignment;

  beforeEach(async () => {
    consumer = new FakeConsumer();
    await consumer.runner.start();
    queue = await consumer.subscription.assignQueue('orders.fifo');
  });

  afterEach(async () => {
    await consumer.runner.stop();
    expect(consumer.clock.timersSet).toBe(0);
  });

  it('are settled one by one as soon as they are applied, and no progress is kept of them', async () => {
    const open = consumer.hold('a1');
    const [a1, b1, b2] = [consumer.event('a1', 'a'), consumer.event('b1', 'b'), consumer.event('b2', 'b')];
    await queue.receiver.receive([a1, b1, b2]);
    await consumer.settle();
    expect(queue.settled).toEqual([b1, b2]);
    open();
    await consumer.settle();
    expect(queue.settled).toEqual([b1, b2, a1]);
    await consumer.clock.advance(1_000);
    expect([queue.commits, consumer.inbox.saved]).toEqual([[], []]);
    expect(consumer.inbox.prunes).toBe(1);
  });

  it('are claimed by their ids alone, whatever floor a part of their stream has', async () => {
    const far = { headers: { 'millrace-low': '90', 'millrace-position': '100' } };
    await queue.receiver.receive([consumer.event('a1', 'a', far)]);
    await consumer.settle();
    await queue.receiver.receive([consumer.event('b1', 'b', { headers: { 'millrace-position': '50' } })]);
    await consumer.settle();
    expect(consumer.ended).toEqual(['a1', 'b1']);
  });

  it('are settled when they are set aside, or are duplicates, or nobody handles them', async () => {
    const id = '0198d2c4-3c1e-7000-8000-5f1d2c3b4a59';
    const twin = { headers: { id } };
    const deliveries = [
      consumer.event('a1', 'a', twin),
      consumer.event('a1', 'a', twin),
      consumer.event('b1', 'b', { headers: { eventType: 'order.noted' } }),
      consumer.event('c1', 'c', { headers: { id: null } }),
    ];
    await queue.receiver.receive(deliveries);
    await consumer.settle();
    expect(new Set(queue.settled)).toEqual(new Set(deliveries));
  });

  it('come again when they had not begun, or their transaction was not committed, before the end', async () => {
    const open = consumer.hold('a1');
    const a1 = consumer.event('a1', 'a');
    await queue.receiver.receive([a1, consumer.event('a2', 'a')]);
    await consumer.settle();
    const closing = consumer.subscription.revoke(queue);
    open();
    await closing;
    expect(queue.settled).toEqual([a1]);
  });

  it('that cannot be read are told apart by the name that the broker has for them', async () => {
    const malformed = { offset: 7n, headers: { id: null } };
    const first = { ...consumer.event('a1', 'a', malformed), messageId: 'm1' };
    await queue.receiver.receive([first, { ...first, messageId: 'm2' }]);
    await queue.receiver.receive([{ ...first, messageId: 'm1' }]);
    await consumer.settle();
    expect(consumer.told.filter((line) => line.startsWith('set aside'))).toHaveLength(2);
    expect(queue.settled).toHaveLength(3);
  });
});
