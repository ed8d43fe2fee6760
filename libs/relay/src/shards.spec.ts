import { describe, expect, it } from '@jest/globals';
import { CaptureError } from '@millrace/capture';
import { toPosition } from '@millrace/events';
import { SinkError } from '@millrace/transport';
import { type RouteConfig } from './route-config.js';
import { isOwnPartition } from './route-shard.js';
import { FakeRelay } from './testing/fake-relay.js';
import { headerOf } from './testing/fake-sink.js';
import { anEvent, type FakeCapture } from './testing/fake-source.js';

const BY_ANNA = { route: 'orders', actor: 'anna', reason: null };
/** The fake sink has two lanes for each topic; the key `other` goes to the second. */
const BOTH_LANES = [anEvent(1), anEvent(2, { aggregateId: 'other' }), anEvent(3)];

async function dividedBy(shards: number, route: Partial<RouteConfig> = {}): Promise<FakeRelay> {
  const relay = new FakeRelay({}, { shards, ...route });
  relay.source.shardsInForce = shards;
  await relay.start();
  return relay;
}

function captureOf(relay: FakeRelay, shard: number): FakeCapture {
  const capture = relay.source.byRoute.get(`orders/${shard}`);
  if (capture === undefined) {
    throw new Error(`shard ${shard} was never claimed`);
  }
  return capture;
}

describe('the partitions of a shard', () => {
  it.each([1, 2, 3, 5])('are each in one of %i shards', (count) => {
    for (let partition = 0; partition < 12; partition += 1) {
      const owners = Array.from({ length: count }, (_, index) => ({ of: 'r', number: index + 1, count })).filter(
        (shard) => isOwnPartition(shard, partition),
      );
      expect(owners).toHaveLength(1);
    }
  });
});

describe('a divided route', () => {
  it('runs each shard under a name and a claim of its own', async () => {
    const relay = await dividedBy(2);
    expect(relay.source.claims.map(({ route, shard }) => [route, shard])).toEqual([
      ['orders/1', { of: 'orders', number: 1, count: 2 }],
      ['orders/2', { of: 'orders', number: 2, count: 2 }],
    ]);
    expect(relay.engine.status()).toMatchObject([
      { route: 'orders/1', shardOf: 'orders', shards: 2 },
      { route: 'orders/2', shardOf: 'orders', shards: 2 },
    ]);
    await relay.stop();
  });

  it('sends the events of its own partitions only, and settles all', async () => {
    const relay = await dividedBy(2);
    for (const shard of [1, 2]) {
      captureOf(relay, shard).give(BOTH_LANES);
    }
    await relay.clock.advance(1_000);
    const sent = relay.sink.sends.map(({ lane, positions, records }) => [
      lane,
      positions,
      records.map((record) => headerOf(record, 'millrace-route')),
    ]);
    expect(sent).toEqual([
      ['outbox.event.order/0', ['1', '3'], ['orders/1', 'orders/1']],
      ['outbox.event.order/1', ['2'], ['orders/2']],
    ]);
    expect([captureOf(relay, 1).settled, captureOf(relay, 2).settled].map(({ length }) => length)).toEqual([1, 1]);
    expect(relay.engine.status().map(({ eventsSent, lagSeconds }) => [eventsSent, lagSeconds])).toEqual([
      [2, 0],
      [1, 0],
    ]);
    await relay.stop();
  });

  it('goes by the key of the records, whatever aggregate they are of', async () => {
    const relay = await dividedBy(2, { key: '{header:tenant}' });
    const events = [
      anEvent(1, { aggregateId: 'other', headers: { tenant: 'blue' } }),
      anEvent(2, { headers: { tenant: 'other' } }),
    ];
    for (const shard of [1, 2]) {
      captureOf(relay, shard).give(events);
    }
    await relay.clock.advance(1_000);
    expect(relay.sink.sends.map(({ lane, positions }) => [lane, positions])).toEqual([
      ['outbox.event.order/0', ['1']],
      ['outbox.event.order/1', ['2']],
    ]);
    await relay.stop();
  });

  it('refuses an event that gives no key in one shard alone, and no other settles what that one could send', async () => {
    const relay = await dividedBy(2, { key: '{header:tenant}' });
    for (const shard of [1, 2]) {
      captureOf(relay, shard).give([anEvent(1), anEvent(2, { headers: { tenant: 'other' } })]);
    }
    await relay.clock.advance(1_000);
    const kinds = relay.engine.status().map(({ state }) => state.kind);
    expect(kinds.filter((kind) => kind === 'stopped')).toHaveLength(1);
    expect(relay.status.state).toMatchObject({ kind: 'stopped', problem: { code: 'event_refused' } });
    await relay.stop();
  });

  it('is not held up by an event of another shard that is too large', async () => {
    const relay = await dividedBy(2);
    const large = anEvent(1, { aggregateId: 'other', payload: 'x'.repeat(2_000_000) });
    for (const shard of [1, 2]) {
      captureOf(relay, shard).give([large, anEvent(2)]);
    }
    await relay.clock.advance(1_000);
    expect(relay.engine.status().map(({ route, state }) => [route, state.kind])).toEqual([
      ['orders/1', 'running'],
      ['orders/2', 'stopped'],
    ]);
    expect(relay.status.state).toMatchObject({ kind: 'stopped', problem: { code: 'event_refused' } });
    await relay.stop();
  });

  it('takes the number that the source has, whatever is configured', async () => {
    const relay = new FakeRelay({}, { shards: 2 });
    relay.source.shardsInForce = 1;
    await relay.start();
    await relay.clock.advance(3_000);
    expect(relay.engine.status().map(({ route, state }) => [route, state.kind])).toEqual([['orders', 'running']]);
    relay.source.shardsInForce = 3;
    relay.source.capture.ledgerError = new CaptureError('fenced', 'Route orders has 3 shards now.');
    await relay.clock.advance(5_000);
    expect(relay.engine.status().map(({ route, state }) => [route, state.kind])).toEqual([
      ['orders/1', 'running'],
      ['orders/2', 'running'],
      ['orders/3', 'running'],
    ]);
    await relay.stop();
    expect(relay.clock.timersSet).toBe(0);
  });

  it('sends nothing to a topic whose partitions it cannot share evenly, and says so', async () => {
    const relay = await dividedBy(3);
    for (const shard of [1, 2, 3]) {
      captureOf(relay, shard).give(BOTH_LANES);
    }
    await relay.clock.advance(1_000);
    expect(relay.sink.sends).toEqual([]);
    expect(relay.problem).toContain('shards_unfit: Topic outbox.event.order has 2 partitions, which 3 shards');
    await relay.stop();
  });

  it('is told about as one, with what concerns most', async () => {
    const relay = await dividedBy(2);
    expect(relay.status).toMatchObject({ route: 'orders', shardOf: 'orders', shards: 2, claim: null, lagSeconds: 0 });
    expect(relay.status.state.kind).toBe('running');
    expect(relay.engine.routeStatus('orders/2')).toMatchObject({ route: 'orders/2', claim: { fence: null } });
    captureOf(relay, 2).nextPageError = new CaptureError('sequence_undisciplined', 'A cache.');
    await relay.clock.advance(2_000);
    expect(relay.status.state).toMatchObject({ kind: 'stopped', problem: { code: 'sequence_undisciplined' } });
    await relay.stop();
  });

  it('is paused, resumed and given away by one command', async () => {
    const relay = await dividedBy(2);
    await relay.engine.pause(BY_ANNA);
    await relay.engine.resume({ ...BY_ANNA, route: 'orders/2' });
    expect(relay.source.pauses.map(({ route, isPaused }) => [route, isPaused])).toEqual([
      ['orders', true],
      ['orders/2', false],
    ]);
    const given = [captureOf(relay, 1), captureOf(relay, 2)];
    await relay.engine.stepDown(BY_ANNA);
    expect(relay.source.audits).toMatchObject([{ action: 'route.step-down', target: 'orders' }]);
    await relay.clock.advance(1_000);
    expect(given.map(({ isClosed }) => isClosed)).toEqual([true, true]);
    await relay.stop();
  });
});

describe('the number of shards', () => {
  it('is set in the source, and looked at in the ledgers at once', async () => {
    const relay = await dividedBy(1);
    const { renewals } = relay.source.capture;
    const setting = relay.engine.setShards({ ...BY_ANNA, shards: 2 });
    await relay.clock.advance(1_500);
    expect(await setting).toMatchObject({ route: 'orders', inForce: 1 });
    expect(relay.source.shardRequests).toEqual([{ ...BY_ANNA, shards: 2 }]);
    expect(relay.source.capture.renewals).toBeGreaterThan(renewals);
    await relay.stop();
  });

  it('is refused when a topic that is known could not be shared', async () => {
    const relay = await dividedBy(1);
    relay.source.capture.give(BOTH_LANES);
    await relay.clock.advance(1_000);
    await expect(relay.engine.setShards({ ...BY_ANNA, shards: 3 })).rejects.toMatchObject({ code: 'shards_unfit' });
    const named = new FakeRelay({}, { aggregateTypes: ['order'] });
    await expect(named.engine.setShards({ ...BY_ANNA, shards: 5 })).rejects.toMatchObject({ code: 'shards_unfit' });
    await expect(named.engine.setShards({ ...BY_ANNA, route: 'x', shards: 2 })).rejects.toMatchObject({
      code: 'route_unknown',
    });
    expect([...relay.source.shardRequests, ...named.source.shardRequests]).toEqual([]);
    await relay.stop();
  });

  it('goes back to the one in force while the sink is away, and whatever the topics have', async () => {
    const relay = new FakeRelay({}, { aggregateTypes: ['order'] });
    relay.source.shardsInForce = 3;
    relay.sink.topicError = new SinkError('unavailable', 'No broker.');
    await relay.engine.setShards({ ...BY_ANNA, shards: 3 });
    expect(relay.source.shardRequests).toEqual([{ ...BY_ANNA, shards: 3 }]);
    await expect(relay.engine.setShards({ ...BY_ANNA, shards: 2 })).rejects.toMatchObject({ code: 'unavailable' });
    relay.sink.topicError = new SinkError('topic_missing', 'There is no such topic.');
    await relay.engine.setShards({ ...BY_ANNA, shards: 2 });
    expect(relay.source.shardRequests).toHaveLength(2);
    relay.sink.topicHold = new Promise(() => undefined);
    const asked = relay.engine.setShards({ ...BY_ANNA, shards: 1 }).catch((error: unknown) => error);
    await relay.clock.advance(30_000);
    expect(await asked).toMatchObject({ code: 'timeout' });
    expect(relay.source.shardRequests).toHaveLength(2);
  });

  it('is shown as lag while it changes and there is more than may be sent', async () => {
    const relay = new FakeRelay();
    relay.source.fence = toPosition(7);
    relay.source.prepare = (capture) => {
      capture.low = 7;
    };
    await relay.start();
    await relay.clock.advance(10_000);
    expect(relay.status).toMatchObject({ lagSeconds: 0, claim: { lagEvents: 0 } });
    relay.source.capture.lastPosition = 12;
    await relay.clock.advance(10_000);
    expect(relay.status.claim?.lagEvents).toBe(5);
    expect(relay.status.lagSeconds).toBeCloseTo(10, 0);
    await relay.stop();
  });

  it('is shown with its fence while it changes', async () => {
    const relay = new FakeRelay();
    relay.source.fence = toPosition(7);
    await relay.start();
    expect(relay.status.claim?.fence).toBe(7n);
    await relay.stop();
  });

  it('must be a whole number, and names of routes have no slash', () => {
    expect(() => new FakeRelay({}, { shards: 1.5 })).toThrow('shards is 1.5');
    expect(() => new FakeRelay({}, { shards: 65 })).toThrow('shards is 65');
    expect(() => new FakeRelay({}, { name: 'a/1' })).toThrow('"/"');
  });
});
