import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { adoptLedger } from '@millrace/capture';
import { type SinkPort } from '@millrace/transport';
import { type RelayEngine } from '@millrace/relay';
import { type CommittedEvent, ForkWorld, type TopicRecord } from './fork-world.js';

const TIMEOUT_MS = 300_000;

let world: ForkWorld;

beforeEach(async () => {
  world = new ForkWorld();
  await world.start();
}, TIMEOUT_MS);

afterEach(async () => {
  await world.close();
}, TIMEOUT_MS);

/** Positions under which the topic has two events. */
function usedTwice(records: readonly TopicRecord[]): bigint[] {
  const ids = new Map<bigint, string>();
  return records
    .filter(({ position, id }) => (ids.get(position) ?? id) !== (ids.set(position, id), id))
    .map(({ position }) => position);
}

function sentTwice(records: readonly TopicRecord[]): string[] {
  const seen = new Set<string>();
  return records.filter(({ id }) => seen.size === seen.add(id).size).map(({ id }) => id);
}

/** Per key, the ids in the order in which they came. */
function byKey(events: readonly { readonly key: string; readonly id: string }[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { key, id } of events) {
    (found[key] ??= []).push(id);
  }
  return found;
}

const idsOf = (events: readonly { readonly id: string }[]): string[] => events.map(({ id }) => id).sort();

/** What the topic must have, and nothing else: each once, in the order of its key, no position for two of them. */
function expectExactly(records: readonly TopicRecord[], events: readonly CommittedEvent[]): void {
  expect(sentTwice(records)).toEqual([]);
  expect(usedTwice(records)).toEqual([]);
  expect(byKey(records)).toEqual(byKey(events));
}

async function incidents(): Promise<{ route: string; ids: string[] }[]> {
  const rows = await world.query<{ route: string; count: string; details: { events: { id: string }[] } }>(
    'select route, count, details from millrace.incident order by route',
  );
  return rows.map(({ route, details }) => ({ route, ids: idsOf(details.events) }));
}

/**
 * A fail-over to a standby that lacks `gone`, which `orders` has published: both routes have published `before`, and
 * `audit`, paused, nothing more.
 */
async function loseCommits(
  relay: RelayEngine,
): Promise<Record<'before' | 'gone' | 'after', readonly CommittedEvent[]>> {
  const before = await world.commit(40);
  await world.published('orders', before);
  await world.published('audit', before);
  await relay.pause({ route: 'audit', actor: 'test', reason: null });
  await world.cutOff();
  const gone = await world.commit(80);
  expect(await world.published('orders', gone)).toHaveLength(120);
  await world.failOver();
  const after = await world.commit(60);
  await world.lead();
  return { before, gone, after };
}

/** Waits until there is an answer. */
async function until<Answer>(what: string, ask: () => Promise<Answer | null>): Promise<Answer> {
  const deadline = performance.now() + 90_000;
  for (;;) {
    const answer = await ask();
    if (answer !== null) {
      return answer;
    }
    if (performance.now() > deadline) {
      throw new Error(`After 90 s ${what}.`);
    }
    await sleep(50);
  }
}

function stopped(engine: RelayEngine, route: string): Promise<string> {
  return until('the route is not stopped', () => {
    const { state } = engine.routeStatus(route);
    return Promise.resolve(state.kind === 'stopped' ? `${state.problem.code}: ${state.problem.message}` : null);
  });
}

describe('after a fail-over', () => {
  it(
    'to a standby that has everything, publishing goes on: nothing twice, nothing lost, nothing told as lost',
    async () => {
      world.relay('a');
      const before = await world.commit(60);
      await world.published('orders', before);
      const between = await world.commit(60);
      await world.caughtUp();
      await world.failOver();
      const after = await world.commit(30);
      await world.lead();

      const all = [...before, ...between, ...after];
      expectExactly(await world.published('orders', all), all);
      expectExactly(await world.published('audit', all), all);
      expect(await incidents()).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it.each(['polling', 'wal'] as const)(
    'to one that lacks the last commits, whose positions are used again: what survived is published, the rest is listed (%s)',
    async (capture) => {
      const relay = world.relay('a', { capture });
      const { before, gone, after } = await loseCommits(relay);
      expect(after.some(({ position }) => gone.some((event) => event.position === position))).toBe(true);

      const orders = await world.published('orders', after);
      expectExactly(orders, [...before, ...gone, ...after]);
      expect(await incidents()).toEqual([{ route: 'orders', ids: idsOf(gone) }]);
      await resumed(relay);
      expectExactly(await world.published('audit', after), [...before, ...after]);
      const [report] = world.repairs.filter(({ route }) => route === 'orders');
      expect(report?.report).toMatchObject({ lost: 80 });
    },
    TIMEOUT_MS,
  );

  it(
    'of a route in shards: each settles its own, and what was lost is told once',
    async () => {
      const relay = world.relay('a', { shards: 3 });
      const { before, gone, after } = await loseCommits(relay);

      expectExactly(await world.published('orders', after), [...before, ...gone, ...after]);
      const told = await incidents();
      expect(told.flatMap(({ ids }) => ids).sort()).toEqual(idsOf(gone));
      expect(told.every(({ route }) => route.startsWith('orders/'))).toBe(true);
    },
    TIMEOUT_MS,
  );

  it(
    'in the middle of a change of shards: the change goes on after the repair',
    async () => {
      const relay = world.relay('a');
      const before = await world.commit(40);
      await world.published('orders', before);
      const writer = await world.openWriter();
      const behind = await world.commit(10);
      await world.published('orders', behind);
      await relay.setShards({ route: 'orders', shards: 3, actor: 'test', reason: null });
      expect(await relay.shards('orders')).toMatchObject({ inForce: 1, wanted: 3 });
      await world.cutOff();
      await world.failOver();
      await writer.end().catch(() => undefined);
      const after = await world.commit(60);
      await world.lead();

      const all = [...before, ...behind, ...after];
      expectExactly(await world.published('orders', after), all);
      const { inForce } = await until('the change of shards has not ended', async () => {
        const state = await relay.shards('orders');
        return state.wanted === null ? state : null;
      });
      expect(inForce).toBe(3);
      expect(await incidents()).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'a relay that dies in the middle of the repair leaves it to the next one',
    async () => {
      const sink = world.sink();
      let isReading: () => void = () => undefined;
      const reading = new Promise<void>((resolve) => {
        isReading = resolve;
      });
      const dying: SinkPort = {
        ...portOf(sink),
        readBack: async (request, take) => {
          await sink.readBack?.(request, take);
          isReading();
          const { signal } = request;
          await (signal.aborted || once(signal, 'abort')); // it may have been called off while it was read
          throw new Error('The relay has died.');
        },
      };
      const first = world.relay('a', { sink: dying });
      const before = await world.commit(20);
      await world.published('orders', before);
      await world.cutOff();
      const gone = await world.commit(40);
      await world.published('orders', gone);
      await world.failOver();
      const after = await world.commit(30);
      await world.lead();
      await reading;
      await first.stop();
      world.relay('b');

      expectExactly(await world.published('orders', after), [...before, ...gone, ...after]);
      await world.published('audit', after);
      expect((await incidents()).map(({ route, ids }) => [route, ids.length])).toEqual([
        ['audit', 40],
        ['orders', 40],
      ]);
    },
    TIMEOUT_MS,
  );

  it(
    'a route whose sink cannot be read back stops by name until an operator adopts the ledger',
    async () => {
      const relay = world.relay('a', { sink: portOf(world.sink()) });
      const before = await world.commit(20);
      await world.published('orders', before);
      await world.cutOff();
      await world.failOver();
      await world.lead();

      expect(await stopped(relay, 'orders')).toMatch(/^identity_changed: .*cannot be read back.*millrace ledger adopt/);
      expect(await adopted('orders')).toBe(1);
      await relay.resume({ route: 'orders', actor: 'ann', reason: null });
      const after = await world.commit(10);

      await world.published('orders', after);
    },
    TIMEOUT_MS,
  );
});

/** The pause mark came over with the ledger. */
function resumed(relay: RelayEngine): Promise<true> {
  return until('the route cannot be resumed', () =>
    relay.resume({ route: 'audit', actor: 'test', reason: null }).then(
      () => true,
      () => null,
    ),
  );
}

/** That the route has stopped is told to the database a moment later. */
function adopted(route: string): Promise<number> {
  const request = { databaseUrl: world.databaseUrl, route, actor: 'ann', reason: 'compared' };
  return until('the ledger cannot be adopted', () => adoptLedger(request).catch(() => null));
}

/** The sink without a way to read it back. */
function portOf(sink: SinkPort): SinkPort {
  return {
    kind: sink.kind,
    features: sink.features,
    start: () => sink.start(),
    openTopic: (topic) => sink.openTopic(topic),
    send: (lane, records) => sink.send(lane, records),
    stop: () => sink.stop(),
  };
}
