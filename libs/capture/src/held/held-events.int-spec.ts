import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { toEventId, toPosition } from '@millrace/events';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type ClaimedHeld, type HeldChanges, type HeldEvent, type HeldKeyChange } from './held-events.js';
import { type LedgerSaved } from '../ledger-store.js';
import { PgConnection } from '../pg-connection.js';
import { PgLedgerStore } from '../pg-ledger-store.js';
import { PgRetention } from '../retention/pg-retention.js';
import { ledgerName } from '../route-shards.js';

const KEY = { aggregateType: 'order', aggregateId: 'o-1' };
const REFUSAL = { code: 'record_too_large', reason: 'Too large.' };
const NOTHING: HeldChanges = { revision: 0n, events: [], refusedAgain: [], released: [], keys: [], closed: [] };

let database: TestDatabase;
let client: pg.Client;
let connections: PgConnection[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  connections = [];
});

afterEach(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await client.end();
  await database.drop();
});

interface Owner {
  readonly held: ClaimedHeld;
  readonly write: (changes: Partial<HeldChanges>, high?: bigint, taken?: readonly bigint[]) => Promise<LedgerSaved>;
}

function aConnection(): PgConnection {
  const connection = new PgConnection({ databaseUrl: database.url, applicationName: 'held' });
  connections.push(connection);
  return connection;
}

async function claim(owner: string, number = 1, count = 1): Promise<Owner> {
  const store = new PgLedgerStore(aConnection());
  const shard = { of: 'r', number, count };
  const request = { route: ledgerName(shard), owner, ttlMs: 60_000, from: { kind: 'earliest' as const }, shard };
  const claimed = await store.claim(request);
  if (claimed.kind !== 'claimed' || claimed.held === undefined) {
    throw new Error(`The route is ${claimed.kind}.`);
  }
  let { state } = claimed;
  return {
    held: claimed.held,
    write: async (changes, high = state.high, taken = []) => {
      state = { high: toPosition(high), gaps: state.gaps };
      return store.save(state, [taken.map(toPosition)], 0, { held: { ...NOTHING, ...changes } });
    },
  };
}

async function insert(aggregateId: string, payload: string, headers = '{"tenant": "a", "n": 7}'): Promise<HeldEvent> {
  const { rows } = await client.query<{ position: string; id: string }>(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, headers)
     values (gen_random_uuid(), 'order', $1, 'order.placed', $2, $3) returning position::text, id`,
    [aggregateId, payload, headers],
  );
  const [row] = rows;
  const { position = '0', id = '' } = row ?? {};
  return {
    ...{ aggregateType: 'order', aggregateId, position: toPosition(position), id: toEventId(id) },
    ...{ status: 'held', refusal: null, bytes: 100 },
  };
}

function held(dueInMs: number | null, more: Partial<HeldKeyChange> = {}): HeldKeyChange {
  return { ...KEY, attempts: 1, dueInMs, refusal: REFUSAL, ...more };
}

async function positions(): Promise<object[]> {
  const { rows } = await client.query<object>(
    'select position::int, status, code, attempts from millrace.held order by position',
  );
  return rows;
}

describe('events that are held', () => {
  it('are written with the ledger that settles them, and found with their keys by who claims the route next', async () => {
    const [first, second] = [await insert('o-1', '{"n": 1}'), await insert('o-1', '{"n": 2}')];
    const owner = await claim('a');
    expect(owner.held.stored).toEqual([]);

    await owner.write({ events: [{ ...first, refusal: REFUSAL }, second], keys: [held(5_000)] }, 2n, [1n, 2n]);

    const next = await claim('a');
    expect(next.held.stored).toMatchObject([{ ...KEY, attempts: 1, refusal: REFUSAL, events: 2, bytes: 200 }]);
    expect(next.held.stored[0]?.dueInMs).toBeGreaterThan(1_000);
    expect((await client.query('select high from millrace.ledger')).rows).toEqual([{ high: '2' }]);
    expect(await positions()).toEqual([
      { position: 1, status: 'held', code: 'record_too_large', attempts: 1 },
      { position: 2, status: 'held', code: null, attempts: 0 },
    ]);
  });

  it('are not written by who has lost the route, nor is what he has released taken away', async () => {
    const first = await insert('o-1', '{}');
    const zombie = await claim('a');
    const owner = await claim('a');
    await owner.write({ events: [{ ...first, refusal: REFUSAL }], keys: [held(0)] }, 1n, [1n]);

    const change = { released: [first.position], closed: [KEY], keys: [held(null, { aggregateId: 'o-2' })] };
    await expect(zombie.write(change)).rejects.toMatchObject({ code: 'fenced' });

    expect(await positions()).toHaveLength(1);
    expect(await owner.held.keys()).toMatchObject([{ aggregateId: 'o-1', dueInMs: 0 }]);
  });

  it('are read in the order of their positions, some of each key, as a poll would print them', async () => {
    const events = [];
    for (const key of ['o-1', 'o-2', 'o-1', 'o-1']) {
      events.push(await insert(key, '{"a": [1.50, "x"]}'));
    }
    const owner = await claim('a');
    await owner.write({ events, keys: [held(0), held(0, { aggregateId: 'o-2' })] }, 4n, [1n, 2n, 3n, 4n]);

    const keys = [KEY, { ...KEY, aggregateId: 'o-2' }];
    const chains = await owner.held.chains({ keys, eventsMax: 2, bytesMax: 1_000 });

    expect(chains.map(({ position }) => Number(position))).toEqual([1, 2, 3]);
    expect(chains[0]?.event).toMatchObject({ payload: '{"a": [1.50, "x"]}', headers: { tenant: 'a', n: '7' } });
    expect(chains[0]?.event?.occurredAtMs).toBeGreaterThan(1_700_000_000_000);
    const fewer = await owner.held.chains({ keys, eventsMax: 9, bytesMax: 150 });
    expect(fewer.map(({ position }) => Number(position))).toEqual([1, 2, 3]);
  });

  it('leave with the write that says so, and with the last one the key', async () => {
    const [first, second] = [await insert('o-1', '{}'), await insert('o-1', '{}')];
    const owner = await claim('a');
    await owner.write({ events: [first, second], keys: [held(0)] }, 2n, [1n, 2n]);

    await owner.write({ released: [first.position], closed: [KEY] });
    expect(await owner.held.keys()).toMatchObject([{ ...KEY, attempts: 1, events: 1 }]);
    await owner.write({ released: [second.position], closed: [KEY] });

    expect(await owner.held.keys()).toEqual([]);
    expect(await positions()).toEqual([]);
  });

  it('count their refusals, and can be left out for good', async () => {
    const first = await insert('o-1', '{}');
    const owner = await claim('a');
    await owner.write({ events: [{ ...first, refusal: REFUSAL }], keys: [held(0)] }, 1n, [1n]);

    const refusal = { code: 'record_invalid', reason: 'No.' };
    await owner.write({ refusedAgain: [{ position: first.position, status: 'skipped', refusal }], closed: [KEY] });

    expect(await positions()).toEqual([{ position: 1, status: 'skipped', code: 'record_invalid', attempts: 2 }]);
    expect(await owner.held.keys()).toEqual([]);
  });

  it('are tried at once when a person has acted since the keys were read last', async () => {
    const first = await insert('o-1', '{}');
    const owner = await claim('a');
    await owner.write({ events: [{ ...first, refusal: REFUSAL }], keys: [held(null)] }, 1n, [1n]);
    await client.query('update millrace.ledger set held_revision = held_revision + 1');

    await owner.write({ keys: [held(null)] });
    expect(await owner.held.keys()).toMatchObject([{ dueInMs: 0 }]);
    await owner.write({ revision: 1n, keys: [held(null)] });
    expect(await owner.held.keys()).toMatchObject([{ dueInMs: null }]);
  });

  it('are found although their key was taken away, and are due', async () => {
    const first = await insert('o-1', '{}');
    const owner = await claim('a');
    await owner.write({ events: [{ ...first, refusal: REFUSAL }], keys: [held(null)] }, 1n, [1n]);
    await client.query('delete from millrace.held_key');

    expect((await claim('a')).held.stored).toMatchObject([{ ...KEY, dueInMs: 0, events: 1, bytes: 100 }]);
  });

  it('are those of the whole route, whichever of its shards has set them aside', async () => {
    const [first, second] = [await insert('o-1', '{}'), await insert('o-2', '{}')];
    const one = await claim('a', 1, 2);
    const two = await claim('b', 2, 2);
    await one.write({ events: [first], keys: [held(0)] }, 2n, [1n, 2n]);
    await two.write({ events: [second], keys: [held(null, { aggregateId: 'o-2' })] }, 2n, [1n, 2n]);

    const { held: found } = await claim('a', 1, 2);

    expect(found.stored.map(({ aggregateId, dueInMs }) => [aggregateId, dueInMs])).toEqual([
      ['o-1', 0],
      ['o-2', null],
    ]);
  });

  it('outlive their leaf as copies, while what was left out goes with it', async () => {
    const owner = await claim('a');
    const events: HeldEvent[] = [];
    for (let number = 1; number <= 11; number += 1) {
      events.push(await insert('o-1', `{"n": ${String(number)}}`));
    }
    const [first, second, third] = events;
    if (first === undefined || second === undefined || third === undefined) {
      throw new Error('no events');
    }
    const skipped: HeldEvent = { ...second, status: 'skipped', refusal: REFUSAL };
    const all = events.map(({ position }) => position);
    await client.query(`select setval('millrace.position', 1000000)`);
    await owner.write({ events: [first, skipped, third], keys: [held(0)] }, 1_000_000n, all);
    const before = await owner.held.chains({ keys: [KEY], eventsMax: 9, bytesMax: 1_000 });

    expect(await new PgRetention(aConnection()).empty(1n, 0, null)).toMatchObject({ verdict: 'emptied', found: 11 });

    const after = await owner.held.chains({ keys: [KEY], eventsMax: 9, bytesMax: 1_000 });
    const shown = ({ event }: (typeof after)[number]): unknown => ({
      ...{ payload: event?.payload, headers: event?.headers, type: event?.type, at: event?.occurredAtMs },
    });
    expect(after.map(shown)).toEqual(before.map(shown));
    expect(after.map(({ position }) => Number(position))).toEqual([1, 3]);
    expect((await positions()).length).toBe(2);
  });

  it('whose row was removed by hand are told as such', async () => {
    const owner = await claim('a');
    const first = await insert('o-1', '{}');
    await owner.write({ events: [first], keys: [held(0)] }, 1n, [1n]);
    await client.query(`begin; set local millrace.retention = 'on'; delete from millrace.outbox; commit`);

    const [found] = await owner.held.chains({ keys: [KEY], eventsMax: 1, bytesMax: 1_000 });

    expect(found).toMatchObject({ position: 1n, event: null });
  });
});
