import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { changeHeld, createOutboxSource, listHeldKeys, listParked } from '@millrace/capture';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { SinkError, type SinkRecord } from '@millrace/transport';
import type pg from 'pg';
import { RelayEngine } from '../relay-engine.js';
import { type RouteConfig } from '../route-config.js';
import { FakeSink } from '../testing/fake-sink.js';

jest.setTimeout(240_000);

let database: TestDatabase;
let client: pg.Client;
let engines: RelayEngine[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  engines = [];
});

afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.stop()));
  await client.end();
  await database.drop();
});

/** A sink that refuses whatever has a payload with a certain word, and remembers the rest; shared by relays. */
class PickySink extends FakeSink {
  /** Payloads with this are refused. */
  word = '"bad"';
  isAway = false;
  /** Of each key, the `n` of its payloads in the order in which they were stored first. */
  readonly first = new Map<string, number[]>();
  stored = 0;

  override async send(...[lane, records]: Parameters<FakeSink['send']>): ReturnType<FakeSink['send']> {
    const receipt = await super.send(lane, records);
    if (this.isAway) {
      throw new SinkError('unavailable', 'Nobody there.');
    }
    if (records.some(({ value }) => value.toString().includes(this.word))) {
      throw new SinkError('record_invalid', 'It is bad.');
    }
    for (const record of records) {
      this.keep(record);
    }
    return receipt;
  }

  private keep(record: SinkRecord): void {
    const { n } = JSON.parse(record.value.toString()) as { readonly n: number };
    const seen = this.first.get(record.key.toString()) ?? [];
    this.first.set(record.key.toString(), seen);
    this.stored += 1;
    if (!seen.includes(n)) {
      seen.push(n);
    }
  }
}

function relay(owner: string, sink: PickySink, route: Partial<RouteConfig> = {}): RelayEngine {
  const engine = new RelayEngine({
    owner,
    sources: new Map([['db', createOutboxSource({ name: 'db', databaseUrl: database.url })]]),
    sinks: new Map([['kafka', sink]]),
    routes: [
      {
        name: 'orders',
        source: 'db',
        sink: 'kafka',
        held: { retryMinMs: 300, retryMaxMs: 600 },
        tuning: { leaseTtlMs: 2_000, leaseMarginMs: 200, standbyLookMs: 100 },
        ...route,
      },
    ],
  });
  engines.push(engine);
  engine.start();
  return engine;
}

/** Writes events of a key with consecutive numbers. */
async function publish(key: string, from: number, count: number, badAt?: number): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), 'order', $1, 'order.placed',
       jsonb_build_object('n', n, 'kind', case when n = $4 then 'bad' else 'good' end)
     from generate_series($2::integer, $2::integer + $3::integer - 1) n order by n`,
    [key, from, count, badAt ?? -1],
  );
}

async function count(table: string): Promise<number> {
  const { rows } = await client.query<{ n: number }>(`select count(*)::integer as n from millrace.${table}`);
  return rows[0]?.n ?? -1;
}

function numbers(to: number): number[] {
  return Array.from({ length: to }, (_, index) => index + 1);
}

async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  await until(async () => isSo(), Boolean, what);
}

const PLACE = { route: 'orders', actor: 'anna', reason: 'mended' };

describe('poison on a real source', () => {
  it('in the middle of a batch holds its key alone; released, its chain comes in order with what arrives meanwhile', async () => {
    const sink = new PickySink();
    await publish('a', 1, 20, 7);
    await publish('b', 1, 20);
    relay('one', sink);
    await eventually('what can be published is', () => sink.first.get('b')?.length === 20);
    await eventually('the rest is held', async () => (await count('held')) === 14);
    expect(sink.first.get('a')).toEqual(numbers(6));
    const keys = await listHeldKeys({ ...PLACE, databaseUrl: database.url, limit: 10 });
    expect(keys).toMatchObject([{ aggregateId: 'a', state: 'held', events: 14, first: '7', code: 'record_invalid' }]);
    const { rows } = await client.query('select low = high as is_settled from millrace.ledger');
    expect(rows).toEqual([{ is_settled: true }]);

    sink.word = 'never';
    for (let from = 21; from <= 200; from += 10) {
      await publish('a', from, 10);
    }

    await eventually('all is published', () => sink.first.get('a')?.length === 200);
    expect(sink.first.get('a')).toEqual(numbers(200));
    await eventually('nothing is held', async () => (await count('held')) + (await count('held_key')) === 0);
  });

  it('at the head of a hot key with thousands of followers costs the route nothing, and they all follow in order', async () => {
    const sink = new PickySink();
    await publish('hot', 1, 5_000, 1);
    await publish('cold', 1, 100);
    relay('one', sink);
    await eventually('the others are published', () => sink.first.get('cold')?.length === 100);
    await eventually('the hot key is held', async () => (await count('held')) === 5_000);

    sink.word = 'never';
    await publish('hot', 5_001, 1_000);

    await eventually('all is published', () => sink.first.get('hot')?.length === 6_000);
    expect(sink.first.get('hot')).toEqual(numbers(6_000));
    await eventually('nothing is held', async () => (await count('held')) === 0);
  });

  it('stays held in order when the route is taken over in the middle of a release', async () => {
    const sink = new PickySink();
    await publish('a', 1, 3_000, 1);
    const first = relay('one', sink);
    await eventually('the key is held', async () => (await count('held')) === 3_000);
    sink.word = 'never';
    await eventually('the chain has begun to leave', () => (sink.first.get('a')?.length ?? 0) > 100);
    relay('two', sink);
    const stopping = first.stop();
    await publish('a', 3_001, 500);
    await stopping;

    await eventually('all is published', () => sink.first.get('a')?.length === 3_500);
    expect(sink.first.get('a')).toEqual(numbers(3_500));
    await eventually('nothing is held', async () => (await count('held')) + (await count('held_key')) === 0);
  });

  it('outlives its leaf, which retention empties meanwhile', async () => {
    const sink = new PickySink();
    await publish('a', 1, 10, 3);
    relay('one', sink);
    await eventually('the rest is held', async () => (await count('held')) === 8);
    await client.query(`select setval('millrace.position', 1000000)`);
    await publish('b', 1, 1);
    await eventually('the leaf is settled', () => sink.first.get('b')?.length === 1);
    const { rows } = await client.query<{ verdict: string }>('select verdict from millrace.empty_leaf(1, 0)');
    expect(rows).toEqual([{ verdict: 'emptied' }]);

    sink.word = 'never';

    await eventually('all is published', () => sink.first.get('a')?.length === 10);
    expect(sink.first.get('a')).toEqual(numbers(10));
  });

  it('is parked until a person acts, and discarded it is never sent', async () => {
    const sink = new PickySink();
    await publish('a', 1, 3, 1);
    await publish('b', 1, 3, 1);
    relay('one', sink, { onPoison: 'park' });
    await eventually('both keys are held', async () => (await count('held')) === 6);
    const databaseUrl = database.url;
    const [a, b] = await listParked({ ...PLACE, databaseUrl, limit: 10 });
    expect([a?.state, b?.state]).toEqual(['parked', 'parked']);

    await changeHeld({ ...PLACE, databaseUrl, action: 'discard', filter: { ids: [a?.id ?? ''] } });
    await eventually('the rest of the chain follows', () => sink.first.get('a')?.length === 2);
    sink.word = 'never';
    await changeHeld({ ...PLACE, databaseUrl, action: 'retry', filter: {} });
    await eventually('all is published', () => sink.first.get('b')?.length === 3);

    expect([sink.first.get('a'), sink.first.get('b')]).toEqual([[2, 3], numbers(3)]);
    await eventually('nothing is held', async () => (await count('held')) + (await count('held_key')) === 0);
  });

  it('burns no attempt while the sink is away', async () => {
    const sink = new PickySink();
    await publish('a', 1, 2, 1);
    relay('one', sink);
    await eventually('the key is held', async () => (await count('held')) === 2);
    sink.isAway = true;
    await eventually('a try has come to nothing', () => sink.sends.length > 6);
    const attempts = async (): Promise<number> => {
      const [key] = await listHeldKeys({ ...PLACE, databaseUrl: database.url, limit: 1 });
      return key?.attempts ?? 0;
    };
    const before = await attempts();
    const { length: sends } = sink.sends;
    await eventually('it is tried again and again', () => sink.sends.length > sends + 2);
    expect(await attempts()).toBe(before);

    sink.word = 'never';
    sink.isAway = false;
    await eventually('all is published', () => sink.first.get('a')?.length === 2);
  });
});
