import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { createOutboxSource } from '../outbox-source.js';
import { acceptLeafCount, inspectLeafCount } from './retention-admin.js';
import { type LeafStatus, readRetentionStatus, type RetentionStatus } from './retention-status.js';

const LEAF = 1_000_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let database: TestDatabase;
let admin: pg.Client;
/** As the relay's login role: it must be able to look. */
let relayUrl: string;
let login: string;

beforeEach(async () => {
  database = await createTestDatabase();
  admin = await database.connect();
  login = `relay_${database.name}`;
  await admin.query(`create role ${login} login password 'x' in role millrace_relay`);
  relayUrl = Object.assign(new URL(database.url), { username: login, password: 'x' }).toString();
});

afterEach(async () => {
  await admin.query(`drop owned by ${login}`);
  await admin.query(`drop role ${login}`);
  await admin.end();
  await database.drop();
});

async function insert(count: number, ageMs = 0): Promise<void> {
  await admin.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, occurred_at)
     select gen_random_uuid(), 'a', 'k', 't', '{}', clock_timestamp() - $2 * interval '1 ms' from generate_series(1, $1)`,
    [count, ageMs],
  );
}

const goTo = (leaf: number): Promise<unknown> =>
  admin.query(`select setval('millrace.position', $1)`, [(leaf - 1) * LEAF]);

async function settle(route: string, low: number): Promise<void> {
  const source = createOutboxSource({ name: 'shop', databaseUrl: relayUrl });
  const claim = await source.claim({
    route,
    owner: 'a',
    ttlMs: 600_000,
    from: { kind: 'earliest' },
    aggregateTypes: null,
  });
  if (claim.kind !== 'claimed') {
    throw new Error('The route is held.');
  }
  const { capture } = claim;
  await until(
    async () => {
      await capture.settle(await capture.nextPage());
      return Number(capture.status().low);
    },
    (reached) => reached >= low,
    `low at ${low}`,
  );
  await capture.close();
}

async function status(keepMs: number | null, verdictsMax = 0): Promise<RetentionStatus> {
  return await readRetentionStatus({ databaseUrl: relayUrl, keepMs, verdictsMax });
}

const states = ({ leaves }: RetentionStatus): string[] =>
  leaves.map(({ lo, state, route }) => [String(lo), state, ...(route === null ? [] : [route])].join(' ')).slice(0, 4);

describe('what history a source has', () => {
  it('shows each leaf with its range, rows, size and what it waits for', async () => {
    await insert(3, DAY_MS);
    await goTo(2);
    await insert(2);
    await goTo(3);
    await insert(1);
    expect(states(await status(0))).toEqual(['1 no_route', '1000001 no_route', '2000001 filling', '3000001 ahead']);

    await settle('quick', 2 * LEAF + 1);
    await admin.query(`insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline, counted_from)
      select 'stuck', 1, 1, 0, system_identifier, timeline, 1 from millrace.ledger`);
    const seen = await status(DAY_MS / 2);

    expect(states(seen)).toEqual(['1 held stuck', '1000001 young', '2000001 filling', '3000001 ahead']);
    expect(seen.leaves[0]).toMatchObject({ table: 'millrace.outbox_p1', last: 1_000_000n });
    expect(seen.leaves[0]?.bytes).toBeGreaterThan(0);
    expect(seen).toMatchObject({ lastPosition: BigInt(2 * LEAF + 1), defaultPartition: null });
    expect(seen.oldestAgeMs).toBeGreaterThanOrEqual(DAY_MS);
    expect(seen.oldestAgeMs).toBeLessThan(DAY_MS + HOUR_MS);
    expect(seen.bytes).toBe(seen.leaves.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(seen.routes).toMatchObject([
      { route: 'quick', leaves: 0, positions: 0n },
      { route: 'stuck', leaves: 1, low: 1n, positions: BigInt(LEAF - 1), isExpired: false },
    ]);
  });

  it('tells what is young, due, kept for ever, and, when it may count, what stands against a leaf that is due', async () => {
    await insert(3, DAY_MS);
    await goTo(2);
    await insert(2);
    await goTo(3);
    await insert(1);
    await settle('r', 2 * LEAF + 1);

    expect(states(await status(DAY_MS / 2)).slice(0, 2)).toEqual(['1 due', '1000001 young']);
    expect(states(await status(null)).slice(0, 2)).toEqual(['1 kept', '1000001 kept']);
    await admin.query(`insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, payload)
      values (1000100, gen_random_uuid(), 'a', 'k', 't', '{}')`);
    expect(states(await status(0, 2)).slice(0, 2)).toEqual(['1 due', '1000001 miscounted r']);
    await admin.query('select millrace.empty_leaf(1, 0)');
    expect(states(await status(0, 1)).slice(0, 2)).toEqual(['1 emptied', '1000001 miscounted r']);
  });

  it('names the route that a leaf is held for, and counts the leaf for it, when only gaps are left of it', async () => {
    await insert(3, DAY_MS);
    await goTo(2);
    await insert(1);
    await settle('r', LEAF + 1);
    await admin.query(`update millrace.ledger set low = 3, high = ${LEAF + 1}`);

    const held = await status(DAY_MS / 2);
    expect(states(held)[0]).toBe('1 held r');
    expect(held.routes).toMatchObject([{ leaves: 1, positions: BigInt(LEAF - 3) }]);

    await admin.query(`update millrace.ledger set high = 3`);
    expect((await status(DAY_MS / 2)).routes).toMatchObject([{ leaves: 1 }]);
  });

  it('names no route for a leaf that only the next row can release', async () => {
    await insert(3, DAY_MS);
    await settle('r', 3);
    await admin.query(`select setval('millrace.position', ${LEAF})`);

    const idle = await status(DAY_MS / 2);
    expect(states(idle)[0]).toBe('1 held');
    expect(idle.routes).toMatchObject([{ leaves: 0, positions: 0n }]);
  });

  it('shows the default partition while it has rows', async () => {
    await admin.query(`select setval('millrace.position', ${20 * LEAF})`);
    await insert(2);
    await settle('r', 20 * LEAF + 2);

    const { defaultPartition } = await status(0, 1);
    expect(defaultPartition).toMatchObject({ lo: 0n, last: BigInt(20 * LEAF + 2), state: 'in_use' });
  });

  it('is not read for a signal that is aborted already, and leaves nothing on one that is not', async () => {
    const { signal } = new AbortController();
    await readRetentionStatus({ databaseUrl: relayUrl, keepMs: null, signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const read = readRetentionStatus({ databaseUrl: relayUrl, keepMs: null, signal: AbortSignal.abort() });
    await expect(read).rejects.toThrow('has been closed');
  });

  it('is of an empty outbox without rows', async () => {
    expect(await status(0)).toMatchObject({ lastPosition: 0n, oldestAgeMs: null, routes: [], leavesTotal: 10 });
  });
});

describe('the count of a leaf', () => {
  const leafOf = async (lo: bigint): Promise<LeafStatus | undefined> =>
    (await status(0, 5)).leaves.find((leaf) => leaf.lo === lo);

  beforeEach(async () => {
    await insert(3);
    await goTo(2);
    await insert(2);
    await settle('r', LEAF + 2);
  });

  it('is told for every route that differs before a person accepts it', async () => {
    expect(await inspectLeafCount({ databaseUrl: relayUrl, lo: 1n })).toEqual({ kind: 'fits', rows: 3, routes: [] });
    await admin.query(`insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, payload)
      values (1000, gen_random_uuid(), 'a', 'k', 't', '{}')`);
    await admin.query(`insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline, counted_from)
      select 'late', low, high, 0, system_identifier, timeline, 3 from millrace.ledger`);

    const difference = {
      kind: 'differs',
      rows: 4,
      routes: [
        { route: 'late', counted: 0, found: 2 },
        { route: 'r', counted: 3, found: 4 },
      ],
    };
    expect(await inspectLeafCount({ databaseUrl: relayUrl, lo: 1n })).toEqual(difference);
    expect(await acceptLeafCount({ databaseUrl: relayUrl, lo: 1n, rows: 4, actor: 'op', reason: null })).toMatchObject({
      kind: 'accepted',
      routes: 2,
    });
    expect(await inspectLeafCount({ databaseUrl: relayUrl, lo: 1n })).toMatchObject({ kind: 'fits', rows: 4 });
    expect(await leafOf(1n)).toMatchObject({ state: 'due' });
  });

  it('is not told of a leaf that is unknown or not settled', async () => {
    expect(await inspectLeafCount({ databaseUrl: relayUrl, lo: 7n })).toEqual({
      kind: 'refused',
      obstacle: 'unknown_leaf',
      route: null,
    });
    expect(await inspectLeafCount({ databaseUrl: relayUrl, lo: BigInt(LEAF + 1) })).toMatchObject({
      obstacle: 'ahead',
    });
  });
});
