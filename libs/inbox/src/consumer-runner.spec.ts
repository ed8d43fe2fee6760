import { describe, expect, it } from '@jest/globals';
import { HEADER, toEventId, toPosition } from '@millrace/events';
import { Park, Retry } from './inbox.errors.js';
import { FakeConsumer } from './testing-doubles/fake-consumer.js';
import { type FakeAssignment, isDone } from './testing-doubles/fake-subscription.js';

const TOPIC = 'outbox.event.order';
const SAVE_MS = 250;

async function start(consumer: FakeConsumer, committedOffset: bigint | null = null): Promise<FakeAssignment> {
  await consumer.runner.start();
  return await consumer.subscription.assign(TOPIC, 0, committedOffset);
}

function conflict(): Error {
  return Object.assign(new Error('deadlock detected'), { code: '40P01', severity: 'ERROR' });
}

describe('the consumer', () => {
  it('applies what is delivered, writes the progress, and only then moves the offset', async () => {
    const consumer = new FakeConsumer();
    const partition = await start(consumer);
    await partition.receiver.receive([consumer.event('a1', 'a'), consumer.event('b1', 'b')]);
    await consumer.settle();

    expect(consumer.ended).toEqual(['a1', 'b1']);
    expect(partition.commits).toEqual([]);
    consumer.inbox.saveErrors.push(new Error('no'));
    await consumer.clock.advance(SAVE_MS);
    expect(partition.commits).toEqual([]);
    expect(consumer.told).toContain('progress: fails');

    await consumer.clock.advance(1_000);
    expect(consumer.inbox.saved).toMatchObject([{ topic: TOPIC, partition: 0, nextOffset: 2n }]);
    expect(partition.commits).toEqual([2n]);
    expect(consumer.told).toContain('progress: works');
    await consumer.runner.stop();
    expect(consumer.clock.timersSet).toBe(0);
  });

  describe('claims', () => {
    it('are removed once a second while there is progress, all that can go', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      consumer.inbox.pruneLeaves.push(true, true);
      for (const name of ['a1', 'a2', 'a3']) {
        await partition.receiver.receive([consumer.event(name, 'a')]);
        await consumer.clock.advance(SAVE_MS);
      }
      expect(consumer.inbox.prunes).toBe(0);
      await consumer.clock.advance(60_000);
      expect(consumer.inbox.prunes).toBe(3);

      await partition.receiver.receive([consumer.event('a4', 'a')]);
      await consumer.clock.advance(60_000);
      expect(consumer.inbox.prunes).toBe(4);
      await consumer.runner.stop();
      expect(consumer.clock.timersSet).toBe(0);
    });

    it('that cannot be removed stop no progress; it is told once and tried again', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      consumer.inbox.pruneErrors.push(new Error('too slow'), new Error('too slow'));
      for (const name of ['a1', 'a2', 'a3']) {
        await partition.receiver.receive([consumer.event(name, 'a')]);
        await consumer.clock.advance(1_500);
      }
      expect(partition.commits).toEqual([1n, 2n, 3n]);
      expect(consumer.told.filter((line) => line.startsWith('p'))).toEqual(['prune: fails']);
      await consumer.clock.advance(30_000);
      expect(consumer.told.filter((line) => line.startsWith('p'))).toEqual(['prune: fails', 'prune: works']);
      await consumer.runner.stop();
      expect(consumer.clock.timersSet).toBe(0);
    });
  });

  describe('order', () => {
    it('runs the events of a key one after the other, and keys beside each other', async () => {
      const consumer = new FakeConsumer({ concurrency: 3 });
      const partition = await start(consumer);
      const open = consumer.hold('a1');
      await partition.receiver.receive(
        ['a1', 'a2', 'b1', 'b2', 'c1', 'd1'].map((name) => consumer.event(name, name.charAt(0))),
      );
      await consumer.settle();
      expect(consumer.began).toEqual(['a1', 'b1', 'c1', 'd1', 'b2']);
      expect(consumer.mostRunning).toBe(3);
      open();
      await consumer.settle();
      expect(consumer.ended).toEqual(['b1', 'c1', 'd1', 'b2', 'a1', 'a2']);
      await consumer.runner.stop();
    });

    it('lets a slow key hold up nobody but the watermark', async () => {
      const consumer = new FakeConsumer({ concurrency: 2 });
      const partition = await start(consumer);
      const open = consumer.hold('slow');
      await partition.receiver.receive([consumer.event('first', 'f'), consumer.event('slow', 's')]);
      await partition.receiver.receive(
        Array.from({ length: 1_000 }, (_, index) => consumer.event(`n${index}`, `k${index % 50}`)),
      );
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.ended).toHaveLength(1_001);
      expect(partition.commits).toEqual([1n]);

      open();
      await consumer.clock.advance(SAVE_MS);
      expect(partition.commits).toEqual([1n, 1_002n]);
      await consumer.runner.stop();
    });

    it('shares its transactions among partitions', async () => {
      const consumer = new FakeConsumer({ concurrency: 1 });
      const first = await start(consumer);
      const second = await consumer.subscription.assign(TOPIC, 1);
      const open = consumer.hold('a1');
      await first.receiver.receive(['a1', 'b1', 'c1'].map((name) => consumer.event(name, name)));
      await second.receiver.receive(['x1', 'y1'].map((name) => consumer.event(name, name, { partition: 1 })));
      open();
      await consumer.settle();
      expect(consumer.ended).toEqual(['a1', 'x1', 'b1', 'y1', 'c1']);
      await consumer.runner.stop();
    });
  });

  describe('duplicates and strangers', () => {
    it('runs the handler once for an event that comes twice', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      const event = consumer.event('a1', 'a');
      await partition.receiver.receive([event]);
      await consumer.settle();
      await partition.receiver.receive([{ ...event, offset: event.offset + 1n }]);
      await consumer.settle();
      expect(consumer.ended).toEqual(['a1']);
      expect(consumer.told).toEqual(['applied: order.placed', 'duplicate: order.placed']);
      await consumer.runner.stop();
    });

    it('knows what lies below a floor without asking the database', async () => {
      const consumer = new FakeConsumer();
      const floors = [{ source: 'orders', route: 'main', floor: toPosition(100n) }];
      consumer.inbox.known.set(`${TOPIC}/0`, { topic: TOPIC, partition: 0, nextOffset: 0n, hole: null, floors });
      const partition = await start(consumer);
      await partition.receiver.receive([
        consumer.event('old', 'a', { headers: { [HEADER.position]: '100' } }),
        consumer.event('replayed', 'a', { headers: { [HEADER.position]: '100', [HEADER.replay]: 'r1' } }),
        consumer.event('new', 'a', { headers: { [HEADER.position]: '101' } }),
      ]);
      await consumer.settle();
      expect(consumer.ended).toEqual(['replayed', 'new']);
      expect(consumer.inbox.batches).toEqual([1, 1]);
      await consumer.runner.stop();
    });

    it('passes over a type without a handler, in order', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      await partition.receiver.receive([consumer.event('x', 'a', { headers: { [HEADER.eventType]: 'order.noted' } })]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.told).toEqual(['unhandled: order.noted']);
      expect(consumer.inbox.batches).toEqual([]);
      expect(partition.commits).toEqual([1n]);
      await consumer.runner.stop();
    });

    it('parks a malformed record without running the handler, and goes on', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      await partition.receiver.receive([
        consumer.event('no id', 'a', { headers: { id: null } }),
        consumer.event('no payload', 'b', { value: null }),
        consumer.event('a2', 'a'),
        consumer.event('c1', 'c'),
      ]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.ended).toEqual(['c1']);
      expect([...consumer.inbox.chains.keys()]).toEqual(['a', 'b']);
      expect(consumer.inbox.chains.get('a')?.verdict).toMatchObject({ kind: 'parked', code: 'malformed' });
      expect(consumer.inbox.chains.get('a')?.arrivals).toHaveLength(2);
      expect(consumer.told).toContain('chained: order.placed');
      expect(partition.commits).toEqual([4n]);
      await consumer.runner.stop();
    });
  });

  describe('floors', () => {
    it('rise with the contiguous prefix only, whatever ran ahead of it', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      const open = consumer.hold('b1');
      const lows = ['10', '20', '30'];
      await partition.receiver.receive(
        ['a1', 'b1', 'c1'].map((name, index) =>
          consumer.event(name, name, {
            headers: { [HEADER.position]: String(40 + index), [HEADER.low]: lows[index] ?? '' },
          }),
        ),
      );
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.inbox.saved.at(-1)).toMatchObject({ nextOffset: 1n, floors: [{ floor: 10n }] });

      open();
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.inbox.saved.at(-1)).toMatchObject({ nextOffset: 3n, floors: [{ floor: 30n }] });
      await consumer.runner.stop();
    });

    it('do not believe one record that lies about the future', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      const lie = { [HEADER.low]: '9223372036854775806' };
      await partition.receiver.receive([
        consumer.event('x', 'x', { headers: { ...lie, [HEADER.eventType]: 'order.noted' } }),
        consumer.event('y', 'y', { headers: lie }),
        consumer.event('z', 'z', { headers: { ...lie, [HEADER.replay]: 'r1' } }),
        consumer.event('a1', 'a'),
      ]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.ended).toEqual(['y', 'z', 'a1']);
      expect(consumer.told).toEqual(expect.arrayContaining(['low refused: 0', 'low refused: 1']));
      expect(consumer.inbox.saved.at(-1)).toMatchObject({ nextOffset: 4n, floors: [{ floor: 3n }] });
      await consumer.runner.stop();
    });

    it('stand still after a hole, which is told once, until somebody thaws the partition', async () => {
      const consumer = new FakeConsumer();
      const floors = [{ source: 'orders', route: 'main', floor: toPosition(5n) }];
      const known = { topic: TOPIC, partition: 0, nextOffset: 3n, hole: null, floors };
      consumer.inbox.known.set(`${TOPIC}/0`, known);
      const partition = await start(consumer, 3n);
      const low = (text: string): { headers: Record<string, string> } => ({
        headers: { [HEADER.position]: '50', [HEADER.low]: text },
      });
      await partition.receiver.receive([consumer.event('a1', 'a', { offset: 7n, ...low('20') })]);
      await consumer.clock.advance(SAVE_MS);

      expect(consumer.ended).toEqual(['a1']);
      expect(consumer.told).toContain('frozen: 3-6');
      expect(consumer.runner.status().frozen).toEqual([{ topic: TOPIC, partition: 0, from: 3n, to: 6n }]);
      expect(consumer.runner.status().isReady).toBe(true);
      expect(consumer.inbox.saved).toEqual([
        { topic: TOPIC, partition: 0, nextOffset: 8n, hole: { from: 3n, to: 6n }, floors },
      ]);
      expect(partition.commits).toEqual([8n]);

      consumer.inbox.known.set(`${TOPIC}/0`, { ...known, hole: { from: 3n, to: 6n } });
      await consumer.clock.advance(5_000);
      await partition.receiver.receive([consumer.event('a2', 'a', low('21'))]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.inbox.saved.at(-1)).toMatchObject({ nextOffset: 9n, hole: null, floors });

      consumer.inbox.known.set(`${TOPIC}/0`, known);
      await consumer.clock.advance(5_000);
      expect(consumer.told).toContain('thawed');
      await partition.receiver.receive([consumer.event('a3', 'a', low('22'))]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.inbox.saved.at(-1)).toMatchObject({ nextOffset: 10n, hole: null, floors: [{ floor: 22n }] });
      expect(consumer.runner.status().frozen).toEqual([]);
      await consumer.runner.stop();
    });
  });

  describe('a database that knows nothing of what the group has read', () => {
    it('is told of, and freezes the partition before the first record comes', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer, 7n);
      expect(consumer.told).toEqual(['progress missing: 0-6']);
      expect(consumer.runner.status().frozen).toEqual([{ topic: TOPIC, partition: 0, from: 0n, to: 6n }]);
      await consumer.clock.advance(SAVE_MS);
      const hole = { from: 0n, to: 6n };
      expect(consumer.inbox.saved).toEqual([{ topic: TOPIC, partition: 0, nextOffset: 7n, hole, floors: [] }]);

      await partition.receiver.receive([consumer.event('a1', 'a', { offset: 7n, headers: { [HEADER.low]: '5' } })]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.ended).toEqual(['a1']);
      expect(consumer.inbox.saved.at(-1)).toMatchObject({ nextOffset: 8n, hole: null, floors: [] });
      expect(consumer.told.filter((line) => line.startsWith('progress missing'))).toHaveLength(1);

      consumer.inbox.known.set(`${TOPIC}/0`, { topic: TOPIC, partition: 0, nextOffset: 8n, hole: null, floors: [] });
      await consumer.clock.advance(5_000);
      expect(consumer.told).toContain('thawed');
      await partition.receiver.receive([consumer.event('a2', 'a', { headers: { [HEADER.low]: '6' } })]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.inbox.saved.at(-1)).toMatchObject({ nextOffset: 9n, floors: [{ floor: 6n }] });
      await consumer.runner.stop();
    });

    it('is as it should be when the group has read nothing either', async () => {
      const consumer = new FakeConsumer();
      await start(consumer, 0n);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.told).toEqual([]);
      expect(consumer.inbox.saved).toEqual([]);
      await consumer.runner.stop();
    });
  });

  describe('failures', () => {
    it('tries a few times in memory, with other keys going on, and then holds the key', async () => {
      const consumer = new FakeConsumer({ concurrency: 1, inMemoryRetryMs: [50, 200] });
      const partition = await start(consumer);
      consumer.fail('a1', new Error('1'), new Error('2'), new Error('3'));
      await partition.receiver.receive(['a1', 'a2', 'b1'].map((name) => consumer.event(name, name.charAt(0))));
      await consumer.settle();
      expect(consumer.ended).toEqual(['b1']);

      await consumer.clock.advance(250);
      expect(consumer.began).toEqual(['a1', 'b1', 'a1', 'a1']);
      expect(consumer.inbox.chains.get('a')?.verdict).toMatchObject({ kind: 'held', code: 'handler_error' });
      expect(consumer.inbox.chains.get('a')?.arrivals).toHaveLength(2);
      await consumer.clock.advance(SAVE_MS);
      expect(partition.commits).toEqual([3n]);
      await consumer.runner.stop();
    });

    it('applies an event that fails and then succeeds, once', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      consumer.fail('a1', new Error('passing'));
      await partition.receiver.receive(['a1', 'a2'].map((name) => consumer.event(name, 'a')));
      await consumer.clock.advance(100);
      expect(consumer.ended).toEqual(['a1', 'a2']);
      await consumer.runner.stop();
    });

    it('parks what the handler parks, and holds for as long as it asks', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      consumer.fail('a1', new Park('unknown_sku', 'Add it.'));
      consumer.fail('b1', new Retry({ afterMs: 60_000, reason: 'Closed.' }));
      await partition.receiver.receive(['a1', 'b1'].map((name) => consumer.event(name, name)));
      await consumer.settle();
      expect(consumer.began).toEqual(['a1', 'b1']);
      expect(consumer.inbox.chains.get('a1')?.verdict).toEqual({
        kind: 'parked',
        code: 'unknown_sku',
        reason: 'Add it.',
      });
      expect(consumer.inbox.chains.get('b1')?.verdict).toEqual({
        kind: 'held',
        retryInMs: 60_000,
        code: 'retry',
        reason: 'Closed.',
      });
      await consumer.runner.stop();
    });

    it('counts no attempt for a conflict, and hands one that lasts to the chain', async () => {
      const consumer = new FakeConsumer({ inMemoryRetryMs: [] });
      const partition = await start(consumer);
      consumer.fail('a1', ...Array.from({ length: 10 }, conflict));
      consumer.fail('b1', ...Array.from({ length: 100 }, conflict));
      await partition.receiver.receive(['a1', 'b1'].map((name) => consumer.event(name, name)));
      await consumer.clock.advance(4_000);
      expect(consumer.ended).toEqual(['a1']);
      expect(consumer.inbox.chains.size).toBe(0);
      await consumer.clock.advance(2_000);
      expect(consumer.inbox.chains.get('b1')?.verdict).toMatchObject({ kind: 'held', code: 'conflict' });
      await consumer.runner.stop();
    });

    it('passes over nothing that it could not set aside', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      consumer.fail('a1', new Park('p', 'r'), new Park('p', 'r'), new Park('p', 'r'));
      consumer.inbox.holdErrors.push(new Error('disk'), new Error('disk'));
      await partition.receiver.receive([consumer.event('a1', 'a')]);
      await consumer.clock.advance(50);
      expect(consumer.told).toContain('set-aside: fails');
      expect(partition.commits).toEqual([]);
      await consumer.clock.advance(1_000);
      expect(consumer.told).toContain('set-aside: works');
      expect(consumer.inbox.chains.get('a')?.verdict.kind).toBe('parked');
      expect(partition.commits).toEqual([1n]);
      await consumer.runner.stop();
    });

    it('gives up a handler that does not end', async () => {
      const consumer = new FakeConsumer({ handlerTimeoutMs: 1_000, inMemoryRetryMs: [] });
      const partition = await start(consumer);
      const open = consumer.hold('a1');
      await partition.receiver.receive([consumer.event('a1', 'a')]);
      await consumer.clock.advance(1_000);
      expect(consumer.inbox.chains.get('a')?.verdict).toMatchObject({ kind: 'held', code: 'handler_timeout' });
      open();
      await consumer.runner.stop();
    });
  });

  describe('batches', () => {
    it('fill one transaction with what is ready', async () => {
      const consumer = new FakeConsumer({ batchSize: 3, concurrency: 1 });
      const partition = await start(consumer);
      await partition.receiver.receive(
        ['a1', 'b1', 'a2', 'b2', 'c1'].map((name) => consumer.event(name, name.charAt(0))),
      );
      await consumer.settle();
      expect(consumer.inbox.batches).toEqual([3, 2]);
      expect(consumer.ended).toEqual(['a1', 'a2', 'b1', 'c1', 'b2']);
      await consumer.runner.stop();
    });

    it('that fail go one by one, and the failure costs only its own event an attempt', async () => {
      const consumer = new FakeConsumer({ batchSize: 9, concurrency: 1, inMemoryRetryMs: [] });
      const partition = await start(consumer);
      consumer.fail('b1', new Error('poison'), new Error('poison'));
      await partition.receiver.receive(['a1', 'b1', 'b2', 'c1'].map((name) => consumer.event(name, name.charAt(0))));
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.inbox.batches).toEqual([4, 1, 1, 1, 1]);
      expect(consumer.inbox.applied).toHaveLength(2);
      expect(consumer.inbox.chains.get('b')?.arrivals).toHaveLength(2);
      expect(partition.commits).toEqual([4n]);
      await partition.receiver.receive(['d1', 'e1'].map((name) => consumer.event(name, name)));
      await consumer.settle();
      expect(consumer.inbox.batches.at(-1)).toBe(2);
      await consumer.runner.stop();
    });

    it('are left off for a while when one was in the way of another transaction', async () => {
      const consumer = new FakeConsumer({ batchSize: 9, concurrency: 1 });
      const partition = await start(consumer);
      consumer.fail('b1', conflict());
      await partition.receiver.receive(['a1', 'b1'].map((name) => consumer.event(name, name)));
      await consumer.settle();
      await partition.receiver.receive(['c1', 'd1'].map((name) => consumer.event(name, name)));
      await consumer.settle();
      expect(consumer.inbox.batches).toEqual([2, 1, 1, 1, 1]);
      await consumer.clock.advance(10_000);
      await partition.receiver.receive(['e1', 'f1'].map((name) => consumer.event(name, name)));
      await consumer.settle();
      expect(consumer.inbox.batches.at(-1)).toBe(2);
      await consumer.runner.stop();
    });
  });

  describe('a database that is away', () => {
    it('opens the breaker; nothing is begun, no attempt is burnt, and it goes on when it is back', async () => {
      const consumer = new FakeConsumer({ inMemoryRetryMs: [], concurrency: 2 });
      const partition = await start(consumer);
      consumer.inbox.isAway = true;
      const events = ['a1', 'b1', 'c1'].map((name) => consumer.event(name, name));
      await partition.receiver.receive(events);
      await consumer.settle();
      expect(consumer.told.filter((line) => line.startsWith('breaker'))).toEqual(['breaker: open']);
      const tried = consumer.inbox.batches.length;
      await consumer.clock.advance(60_000);
      expect(consumer.inbox.batches).toHaveLength(tried);
      expect(consumer.runner.status()).toMatchObject({
        isReady: false,
        reasons: ['consumer-database-unreachable'],
        breaker: { kind: 'open', reason: expect.stringContaining('away') },
      });

      consumer.inbox.isAway = false;
      await consumer.clock.advance(6_000);
      const again = await consumer.subscription.assign(TOPIC, 0);
      await again.receiver.receive(events);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.ended.sort()).toEqual(['a1', 'b1', 'c1']);
      expect(consumer.inbox.chains.size).toBe(0);
      expect(again.commits).toEqual([3n]);
      expect(consumer.told.filter((line) => line.startsWith('breaker'))).toEqual(['breaker: open', 'breaker: closed']);
      expect(consumer.runner.status().isReady).toBe(true);
      await consumer.runner.stop();
    });

    it('is found behind an error that names no cause', async () => {
      const consumer = new FakeConsumer({ inMemoryRetryMs: [50] });
      const partition = await start(consumer);
      consumer.fail('a1', new Error('Connection terminated unexpectedly'), new Error('the one that counts'));
      const open = consumer.hold('a1');
      const event = consumer.event('a1', 'a');
      await partition.receiver.receive([event]);
      consumer.inbox.isAway = true;
      open();
      await consumer.settle();
      expect(consumer.told).toEqual(['failed: handler_error retry 1', 'breaker: open']);
      consumer.inbox.isAway = false;
      await consumer.clock.advance(1_000);
      await (await consumer.subscription.assign(TOPIC, 0)).receiver.receive([event]);
      await consumer.clock.advance(1_000);
      expect(consumer.ended).toEqual(['a1']);
      expect(consumer.inbox.chains.size).toBe(0);
      await consumer.runner.stop();
    });

    it('may come back with less than it had: nothing goes on from memory', async () => {
      const consumer = new FakeConsumer({ concurrency: 1 });
      const partition = await start(consumer);
      const names = ['a1', 'b1', 'c1', 'd1'];
      const events = names.map((name) =>
        consumer.event(name, name, { headers: { [HEADER.position]: '9', [HEADER.low]: '8' } }),
      );
      await partition.receiver.receive(events.slice(0, 1));
      await consumer.clock.advance(SAVE_MS);
      const saved = [...consumer.inbox.saved];

      await partition.receiver.receive(events.slice(1, 2));
      consumer.inbox.isAway = true;
      await partition.receiver.receive(events.slice(2));
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.runner.status().breaker.kind).toBe('open');
      consumer.inbox.isAway = false;
      consumer.inbox.known.set(`${TOPIC}/0`, { topic: TOPIC, partition: 0, nextOffset: 0n, hole: null, floors: [] });
      await consumer.clock.advance(10_000);

      expect(consumer.ended).not.toContain('d1');
      expect(consumer.inbox.saved).toEqual(saved);
      expect(partition.commits).toEqual([1n]);
      expect(consumer.runner.status().partitions).toEqual([]);
      const again = await consumer.subscription.assign(TOPIC, 0, 1n);
      expect(again.receiver.startOffset).toBe(0n);
      await again.receiver.receive(events);
      await consumer.clock.advance(SAVE_MS);
      expect(again.commits).toEqual([4n]);
      await consumer.runner.stop();
      expect(consumer.clock.timersSet).toBe(0);
    });

    it('lets the subscription join again, however often that fails, and says so meanwhile', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      consumer.inbox.isAway = true;
      await partition.receiver.receive([consumer.event('a1', 'a')]);
      await consumer.settle();
      consumer.inbox.isAway = false;
      consumer.subscription.startErrors.push(new Error('no client'), new Error('no client'));
      await consumer.clock.advance(1_000);
      expect(consumer.runner.status()).toMatchObject({
        reasons: ['consumer-rebuilding'],
        subscription: { kind: 'rebuilding', reason: expect.stringMatching(/database was away/) },
      });
      expect(consumer.told).toContain('open: fails');
      await consumer.clock.advance(2_000);
      expect(consumer.subscription.current.kind).toBe('joining');
      await consumer.subscription.assign(TOPIC, 0);
      expect(consumer.told).toContain('open: works');
      expect(consumer.runner.status().isReady).toBe(true);
      await consumer.runner.stop();
    });

    it('does not keep a consumer that joins again from stopping', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      consumer.inbox.isAway = true;
      await partition.receiver.receive([consumer.event('a1', 'a')]);
      await consumer.settle();
      consumer.inbox.isAway = false;
      consumer.subscription.startErrors.push(...Array.from({ length: 99 }, () => new Error('no client')));
      await consumer.clock.advance(1_000);
      await consumer.runner.stop();
      expect(consumer.subscription.current.kind).toBe('stopped');
      expect(consumer.clock.timersSet).toBe(0);
    });

    it('makes a new partition wait until it is back', async () => {
      const consumer = new FakeConsumer();
      consumer.inbox.isAway = true;
      await consumer.runner.start();
      const assigning = consumer.subscription.assign(TOPIC, 0);
      await consumer.clock.advance(3_000);
      expect(await isDone(assigning)).toBe(false);
      expect(consumer.told).toEqual(['breaker: open']);
      consumer.inbox.isAway = false;
      await consumer.clock.advance(5_000);
      const partition = await assigning;
      await partition.receiver.receive([consumer.event('a1', 'a')]);
      await consumer.settle();
      expect(consumer.ended).toEqual(['a1']);
      await consumer.runner.stop();
    });

    it('does not keep a partition from being taken away', async () => {
      const consumer = new FakeConsumer();
      consumer.inbox.isAway = true;
      await consumer.runner.start();
      const taken = new AbortController();
      const assigning = consumer.subscription.assign(TOPIC, 0, null, taken.signal);
      await consumer.settle();
      taken.abort();
      await expect(assigning).rejects.toBe(taken.signal.reason);
      expect(consumer.runner.status().partitions).toEqual([]);
      await consumer.runner.stop();
      expect(consumer.clock.timersSet).toBe(0);
    });

    it('that refuses to tell is asked again, and it is told once', async () => {
      const consumer = new FakeConsumer();
      consumer.inbox.openErrors.push(new Error('no right'), new Error('no right'));
      await consumer.runner.start();
      const assigning = consumer.subscription.assign(TOPIC, 0);
      await consumer.clock.advance(3_000);
      await assigning;
      expect(consumer.told).toEqual(['open: fails', 'open: works']);
      await consumer.runner.stop();
    });

    it('that was set back asks for what it has lost', async () => {
      const consumer = new FakeConsumer();
      const known = { topic: TOPIC, partition: 0, nextOffset: 3n, hole: null, floors: [] };
      consumer.inbox.known.set(`${TOPIC}/0`, known);
      const partition = await start(consumer, 7n);
      expect(partition.receiver.startOffset).toBe(3n);
      await partition.receiver.receive([consumer.event('a1', 'a', { offset: 3n })]);
      expect(consumer.runner.status().frozen).toEqual([]);
      await consumer.runner.stop();
    });
  });

  describe('an assignment that ends', () => {
    it('lets running handlers end and commits them, drops the rest, begins nothing', async () => {
      const consumer = new FakeConsumer({ concurrency: 1 });
      const partition = await start(consumer);
      const open = consumer.hold('a1');
      await partition.receiver.receive(['a1', 'a2', 'b1'].map((name) => consumer.event(name, name.charAt(0))));
      const closing = consumer.subscription.revoke(partition);
      await consumer.settle();
      expect(await isDone(closing)).toBe(false);
      open();
      await closing;
      expect(consumer.began).toEqual(['a1']);
      expect(partition.commits).toEqual([1n]);
      expect(consumer.runner.status().partitions).toEqual([]);
      await consumer.runner.stop();
    });

    it('leaves the progress of its successor, and of all others, alone while a slow handler of it ends', async () => {
      const consumer = new FakeConsumer();
      const other = await start(consumer);
      const old = await consumer.subscription.assign(TOPIC, 1);
      const open = consumer.hold('slow');
      const events = ['a1', 'slow', 'b1'].map((name, index) =>
        consumer.event(name, name, { partition: 1, offset: BigInt(index) }),
      );
      await old.receiver.receive(events);
      await consumer.settle();
      const closing = consumer.subscription.revoke(old);
      const next = await consumer.subscription.assign(TOPIC, 1);
      await next.receiver.receive(events.slice(0, 1));
      await other.receiver.receive([consumer.event('x1', 'x')]);
      await consumer.clock.advance(SAVE_MS);
      expect(consumer.told).not.toContain('progress: fails');
      expect(next.commits).toEqual([1n]);
      expect(other.commits).toHaveLength(1);
      expect(old.commits).toEqual([]);
      open();
      await closing;
      expect(old.commits).toEqual([3n]);
      await consumer.runner.stop();
    });

    it('drops what waits for its next try, and ends a receive that waits for room', async () => {
      const consumer = new FakeConsumer({ windowRecordsMax: 2 });
      const partition = await start(consumer);
      consumer.fail('a1', new Error('1'));
      const open = consumer.hold('b1');
      const receiving = partition.receiver.receive(
        ['a1', 'b1', 'c1'].map((name) => consumer.event(name, name.charAt(0))),
      );
      await consumer.settle();
      expect(await isDone(receiving)).toBe(false);
      const closing = consumer.subscription.revoke(partition);
      await receiving;
      open();
      await closing;
      await consumer.clock.advance(10_000);
      expect(consumer.ended).toEqual(['b1']);
      expect(partition.commits).toEqual([]);
      await consumer.runner.stop();
      expect(consumer.clock.timersSet).toBe(0);
    });

    it('does not wait for a database that is away', async () => {
      const consumer = new FakeConsumer();
      const partition = await start(consumer);
      await partition.receiver.receive([consumer.event('a1', 'a')]);
      await consumer.settle();
      consumer.inbox.isAway = true;
      await consumer.subscription.revoke(partition);
      expect(partition.commits).toEqual([]);
      await consumer.runner.stop();
      expect(consumer.clock.timersSet).toBe(0);
    });
  });

  it('takes in no more than the window, and goes on as the watermark moves', async () => {
    const consumer = new FakeConsumer({ windowRecordsMax: 3, concurrency: 4 });
    const partition = await start(consumer);
    const open = consumer.hold('a1');
    const receiving = partition.receiver.receive(
      ['a1', 'b1', 'c1', 'd1', 'e1'].map((name) => consumer.event(name, name)),
    );
    await consumer.settle();
    expect(consumer.began).toEqual(['a1', 'b1', 'c1']);
    expect(consumer.runner.status().partitions).toEqual([{ topic: TOPIC, partition: 0, pending: 3 }]);
    open();
    await receiving;
    await consumer.settle();
    expect(consumer.ended).toEqual(['b1', 'c1', 'a1', 'd1', 'e1']);
    await consumer.runner.stop();
  });

  describe('held chains', () => {
    it('are released when they are due, judged by the same table', async () => {
      const consumer = new FakeConsumer({ maxAttempts: 3 });
      const verdicts: unknown[] = [];
      consumer.inbox.release = (_, judge) => {
        verdicts.push(
          judge(new Error('x'), 1),
          judge(new Error('x'), 3),
          judge(conflict(), 99),
          judge(new Park('c', 'r'), 1),
        );
        consumer.inbox.release = () => Promise.resolve({});
        const parked = [{ id: toEventId('i'), topic: TOPIC, key: 'k', code: 'c' }];
        return Promise.resolve({ applied: 2, parked });
      };
      await start(consumer);
      await consumer.clock.advance(0);
      expect(verdicts).toMatchObject([
        { kind: 'held', code: 'handler_error', retryInMs: 1_500 },
        { kind: 'parked', code: 'handler_error' },
        { kind: 'held', code: 'conflict', retryInMs: 1_000, isFree: true },
        { kind: 'parked', code: 'c' },
      ]);
      expect(consumer.told).toEqual(expect.arrayContaining(['released: 2', 'chain parked: c']));
      await consumer.runner.stop();
    });

    it('do not keep the consumer from stopping', async () => {
      const consumer = new FakeConsumer();
      consumer.inbox.release = () => new Promise(() => undefined);
      await start(consumer);
      await consumer.clock.advance(0);
      const stopping = consumer.runner.stop();
      await consumer.settle();
      expect(await isDone(stopping)).toBe(false);
      await consumer.clock.advance(5_000);
      await stopping;
      expect(consumer.clock.timersSet).toBe(0);
    });

    it('wait while the database is away, without an attempt', async () => {
      const consumer = new FakeConsumer();
      let rounds = 0;
      consumer.inbox.release = (_, judge) => {
        rounds++;
        consumer.inbox.isAway = true;
        return Promise.resolve({
          heldAgain: Number(
            judge(Object.assign(new Error('x'), { code: '57P01', severity: 'FATAL' }), 1).kind === 'held',
          ),
        });
      };
      await start(consumer);
      await consumer.clock.advance(20_000);
      expect(rounds).toBe(1);
      expect(consumer.told).toContain('breaker: open');
      await consumer.runner.stop();
      expect(consumer.clock.timersSet).toBe(0);
    });
  });

  describe('readiness', () => {
    it('says why it is not ready', async () => {
      const consumer = new FakeConsumer();
      expect(consumer.runner.status().reasons).toEqual(['consumer-starting']);
      await consumer.runner.start();
      expect(consumer.runner.status().reasons).toEqual(['consumer-joining']);
      consumer.subscription.current = { kind: 'running', partitions: 0, missingTopics: [] };
      expect(consumer.runner.status()).toMatchObject({ isReady: true, reasons: [] });
      consumer.subscription.current = { kind: 'joining' };
      expect(consumer.runner.status().isReady).toBe(true);
      await consumer.clock.advance(15_001);
      expect(consumer.runner.status().reasons).toEqual(['consumer-joining']);
      consumer.subscription.current = { kind: 'rebuilding', reason: 'The broker is gone.', attempt: 1 };
      expect(consumer.runner.status().reasons).toEqual(['consumer-rebuilding']);
      await consumer.runner.stop();
      expect(consumer.runner.status().reasons).toEqual(['consumer-stopped']);
      await consumer.runner.stop();
    });
  });
});
