import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type CapturePort, type ClaimResult, type SourcePort, type StartFrom } from './capture-port.js';
import { createOutboxSource } from './outbox-source.js';
import { slotPrefix } from './slot/slot-name.js';
import { ledgerName, type RouteShard, type RouteShards } from './route-shards.js';

const DEADLINE_MS = 60_000;
const INSERT = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
  select gen_random_uuid(), 'order', 'k' || n, 'placed', '{}' from generate_series(1, $1::int) n returning position::text`;

type Claimed = Extract<ClaimResult, { kind: 'claimed' }>;

let database: TestDatabase;
let client: pg.Client;
let source: SourcePort;
let open: { close(): Promise<void> }[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  source = createOutboxSource({ name: 'db', databaseUrl: database.url });
  open = [];
});

afterEach(async () => {
  await Promise.all(open.map((each) => each.close()));
  await client.end();
  await database.drop();
});

function ask(number: number, count: number, owner = 'a', from: StartFrom = { kind: 'earliest' }): Promise<ClaimResult> {
  const shard: RouteShard = { of: 'r', number, count };
  return source.claim({ route: ledgerName(shard), owner, ttlMs: 600_000, from, aggregateTypes: null, shard });
}

async function claim(number: number, count: number, owner = 'a'): Promise<Claimed> {
  const claimed = await ask(number, count, owner);
  if (claimed.kind !== 'claimed') {
    throw new Error(`Shard ${number} of ${count} is ${JSON.stringify(claimed)}.`);
  }
  open.push(claimed.capture);
  return claimed;
}

async function publish(count: number, by = client): Promise<number[]> {
  const { rows } = await by.query<{ position: string }>(INSERT, [count]);
  return rows.map(({ position }) => Number(position));
}

/** A transaction that has drawn one position. */
async function beginToPublish(
  by?: pg.Client,
): Promise<{ position: number; end(how: 'commit' | 'rollback'): Promise<void> }> {
  const other = by ?? (await database.connect());
  await other.query('begin');
  const [position = 0] = await publish(1, other);
  let isOpen = true;
  const end = async (how: 'commit' | 'rollback'): Promise<void> => {
    if (isOpen) {
      isOpen = false;
      await other.query(how);
      await other.end();
    }
  };
  open.push({ close: () => end('rollback') });
  return { position, end };
}

/** Reads and settles until nothing is left; which positions were handed out. */
async function drain(capture: CapturePort): Promise<number[]> {
  const positions: number[] = [];
  for (let page = await capture.nextPage(); page.isChanged; page = await capture.nextPage()) {
    positions.push(...page.events.map(({ position }) => Number(position)));
    await capture.settle(page);
  }
  return positions;
}

/** Polls until the shard has nothing left to do, or the claim has ended; the code of the error that ended it. */
async function drainAs(name: string, capture: CapturePort): Promise<string> {
  const deadline = performance.now() + DEADLINE_MS;
  while (performance.now() < deadline) {
    try {
      await drain(capture);
      await capture.renew();
    } catch (error) {
      return codeOf(error);
    }
    const { shards } = await source.shards('r');
    if (shards.find((shard) => shard.name === name)?.isDrained === true) {
      return 'drained';
    }
    await sleep(50);
  }
  throw new Error(`${name} does not drain, at ${String(capture.status().low)}`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function setShards(shards: number): Promise<RouteShards> {
  return source.setShards({ route: 'r', shards, actor: 'anna', reason: 'more of them' });
}

async function databaseOid(): Promise<string> {
  const { rows } = await client.query<{ oid: string }>(
    'select oid::text from pg_database where datname = current_database()',
  );
  return rows[0]?.oid ?? '';
}

interface StoredLedger {
  readonly route: string;
  readonly shards: number;
  readonly low: number;
  readonly high: number;
  readonly fence: number | null;
  readonly epoch: number;
}

async function ledgers(): Promise<StoredLedger[]> {
  const { rows } = await client.query<StoredLedger>(
    `select route, shards, low::float8, high::float8, fence::float8, (epoch & 4294967295)::float8 as epoch
     from millrace.ledger order by route`,
  );
  return rows;
}

async function shapes(): Promise<string[]> {
  return (await ledgers()).map(({ route, shards, low, fence }) => `${route} of ${shards} at ${low}, fence ${fence}`);
}

describe('a route that is divided', () => {
  it('gets all its ledgers with the first claim, and keeps their number whatever others think', async () => {
    await publish(3);
    const one = await claim(1, 3);
    expect(await shapes()).toEqual([
      'r/1 of 3 at 0, fence null',
      'r/2 of 3 at 0, fence null',
      'r/3 of 3 at 0, fence null',
    ]);
    expect(one.fence).toBeNull();
    expect(await drain(one.capture)).toEqual([1, 2, 3]);
    expect(await ask(1, 1, 'b')).toEqual({ kind: 'resharded', shards: 3 });
    expect(await ask(1, 2, 'b')).toEqual({ kind: 'resharded', shards: 3 });
    expect(await ask(1, 3, 'b')).toMatchObject({ kind: 'held', owner: 'a' });
    expect(await drain((await claim(3, 3, 'b')).capture)).toEqual([1, 2, 3]);
    expect(await source.shards('r')).toMatchObject({
      inForce: 3,
      wanted: null,
      fence: null,
      shards: [
        { name: 'r/1', low: 3n, owner: 'a', isDrained: false },
        { name: 'r/2', low: 0n, owner: null },
        { name: 'r/3', low: 3n, owner: 'b' },
      ],
    });
  });

  it('begins now in every shard with what is still in flight', async () => {
    await publish(2);
    const late = await beginToPublish();
    await publish(1);
    const first = await ask(1, 2, 'a', { kind: 'now' });
    const second = await ask(2, 2, 'a', { kind: 'now' });
    await late.end('commit');
    for (const each of [first, second]) {
      if (each.kind !== 'claimed') {
        throw new Error(each.kind);
      }
      open.push(each.capture);
      expect(await drain(each.capture)).toEqual([late.position]);
    }
  });

  it('is made once when two relays think of different numbers', async () => {
    const asked = await Promise.all([ask(1, 2, 'a'), ask(1, 3, 'b')]);
    const kinds = asked.map(({ kind }) => kind).sort();
    open.push(...asked.flatMap((each) => (each.kind === 'claimed' ? [each.capture] : [])));
    expect(kinds).toContain('claimed');
    const [first] = await ledgers();
    expect(await ledgers()).toHaveLength(first?.shards ?? 0);
  });

  it('is paused and resumed as a whole, with one audit row each', async () => {
    const one = await claim(1, 2);
    const two = await claim(2, 2);
    await source.setPaused({ route: 'r', isPaused: true, actor: 'anna', reason: null });
    expect([await one.capture.renew(), await two.capture.renew()]).toMatchObject([
      { isPaused: true },
      { isPaused: true },
    ]);
    await source.setPaused({ route: 'r/2', isPaused: false, actor: 'anna', reason: null });
    expect([await one.capture.renew(), await two.capture.renew()]).toMatchObject([
      { isPaused: true },
      { isPaused: false },
    ]);
    expect((await client.query('select action, target from millrace.audit order by id')).rows).toEqual([
      { action: 'route.pause', target: 'r' },
      { action: 'route.resume', target: 'r/2' },
    ]);
  });
});

describe('another number of shards', () => {
  it('comes into force when all have settled what one of them has, and not a position sooner', async () => {
    await publish(5);
    const before = await claim(1, 1);
    expect(await drain(before.capture)).toEqual([1, 2, 3, 4, 5]);
    await publish(3);
    const state = await setShards(2);
    expect(state).toMatchObject({ inForce: 1, wanted: 2, fence: 5n, shards: [{ name: 'r', isDrained: false }] });
    await expect(before.capture.renew()).rejects.toMatchObject({ code: 'fenced' });
    const draining = await claim(1, 1);
    expect(draining.fence).toBe(5n);
    expect(await drain(draining.capture)).toEqual([]);
    expect(await drainAs('r', draining.capture)).toBe('fenced');
    expect(await shapes()).toEqual(['r/1 of 2 at 5, fence null', 'r/2 of 2 at 5, fence null']);
    expect(await ask(1, 1)).toEqual({ kind: 'resharded', shards: 2 });
    expect(await drain((await claim(1, 2)).capture)).toEqual([6, 7, 8]);
    expect(await drain((await claim(2, 2)).capture)).toEqual([6, 7, 8]);
    expect((await client.query('select actor, action, target, reason from millrace.audit order by id')).rows).toEqual([
      { actor: 'anna', action: 'route.shards', target: 'r', reason: 'more of them' },
      { actor: 'relay', action: 'route.shards.done', target: 'r', reason: null },
    ]);
  });

  it('lets a shard that is behind read up to the fence, and waits for it whoever runs it', async () => {
    await publish(4);
    const ahead = await claim(1, 2);
    await drain(ahead.capture);
    await publish(2);
    await setShards(3);
    await expect(ahead.capture.renew()).rejects.toMatchObject({ code: 'fenced' });
    const first = await claim(1, 2);
    expect(await drainAs('r/1', first.capture)).toBe('drained');
    expect((await source.shards('r')).shards.map(({ isDrained }) => isDrained)).toEqual([true, false]);
    const behind = await claim(2, 2, 'b');
    const page = await behind.capture.nextPage();
    expect(page.events.map(({ position }) => Number(position))).toEqual([1, 2, 3, 4]);
    // dies before it has settled anything
    await behind.capture.close();
    const heir = await claim(2, 2, 'c');
    expect(await drainAs('r/2', heir.capture)).toBe('fenced');
    expect((await ledgers()).map(({ route, low }) => `${route} ${low}`)).toEqual(['r/1 4', 'r/2 4', 'r/3 4']);
    expect(await drain((await claim(3, 3)).capture)).toEqual([5, 6]);
  });

  it('waits for what may still be committed below the fence, in every shard', async () => {
    const late = await beginToPublish();
    await publish(1);
    const one = await claim(1, 2);
    expect(await drain(one.capture)).toEqual([late.position + 1]);
    await setShards(1);
    const first = await claim(1, 2);
    const second = await claim(2, 2);
    expect(await drain(first.capture)).toEqual([]);
    expect(await drain(second.capture)).toEqual([late.position + 1]);
    await second.capture.renew();
    expect((await ledgers()).map(({ fence }) => fence)).toEqual([2, 2]);
    await late.end('commit');
    expect(await drain(first.capture)).toEqual([late.position]);
    expect(await drainAs('r/1', first.capture)).toBe('drained');
    expect(await drainAs('r/2', second.capture)).toBe('fenced');
    expect(await shapes()).toEqual(['r of 1 at 2, fence null']);
  });

  it('loses nothing of a transaction that began while the change waited for a ledger write', async () => {
    const one = await claim(1, 2);
    await publish(1);
    const page = await one.capture.nextPage();
    await one.capture.settle(page);
    const [locker, writer] = [await database.connect(), await database.connect()];
    await locker.query('begin');
    await locker.query(`update millrace.ledger set high = high + 2, low = low + 2 where route = 'r/1'`);
    const setting = setShards(3);
    const waits = `select 1 from pg_stat_activity where query like '%set_shards(%' and wait_event_type = 'Lock'
      and datname = current_database()`;
    await until(
      async () => (await client.query(waits)).rowCount,
      (count) => count !== 0,
      'a change of shards that waits for a lock',
    );
    const late = await beginToPublish(writer);
    await publish(1);
    await locker.query('commit');
    await locker.end();
    expect(await setting).toMatchObject({ fence: 3n });
    const behind = await claim(2, 2);
    expect(await drain(behind.capture)).toEqual([1, 3]);
    await sleep(1_200);
    expect(await drain(behind.capture)).toEqual([]);
    await late.end('commit');
    const { events } = await behind.capture.nextPage();
    expect(events.map(({ position }) => Number(position))).toEqual([2]);
  });

  it('reaches a fence at which there is no row', async () => {
    await publish(1);
    const nobody = await beginToPublish();
    await publish(1);
    const one = await claim(1, 2);
    await drain(one.capture);
    await client.query(`update millrace.ledger set low = 2, high = 2 where route = 'r/1'`);
    await client.query(`delete from millrace.ledger_gap where route = 'r/1'`);
    await setShards(1);
    expect(await drainAs('r/1', (await claim(1, 2)).capture)).toBe('drained');
    const behind = await claim(2, 2);
    expect(await drain(behind.capture)).toEqual([1]);
    await nobody.end('rollback');
    expect(await drainAs('r/2', behind.capture)).toBe('fenced');
    expect(await drain((await claim(1, 1)).capture)).toEqual([3]);
  });

  it('never takes an epoch back when a name comes again', async () => {
    const epochs: number[] = [];
    for (const [now, next] of [
      [1, 3],
      [3, 1],
      [1, 3],
    ] as const) {
      for (let number = 1; number <= now; number += 1) {
        await (await claim(number, now)).capture.close();
      }
      await setShards(next);
      for (let number = 1; number <= now; number += 1) {
        const { capture } = await claim(number, now);
        expect(await drainAs(now === 1 ? 'r' : `r/${number}`, capture)).toBe(number === now ? 'fenced' : 'drained');
      }
      const stored = await ledgers();
      expect(stored.map(({ shards }) => shards)).toEqual(Array<number>(next).fill(next));
      epochs.push(Math.min(...stored.map(({ epoch }) => epoch)));
    }
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
    expect(new Set(epochs).size).toBe(3);
  });

  it('can be called off, and changed on the way', async () => {
    await publish(2);
    const one = await claim(1, 2);
    await drain(one.capture);
    await setShards(3);
    expect(await setShards(4)).toMatchObject({ inForce: 2, wanted: 4, fence: 2n });
    expect(await setShards(2)).toMatchObject({ inForce: 2, wanted: null, fence: null });
    expect(await setShards(2)).toMatchObject({ inForce: 2, wanted: null });
    const again = await claim(1, 2);
    expect(again.fence).toBeNull();
    await publish(1);
    expect(await drain(again.capture)).toEqual([3]);
    expect(await drain((await claim(2, 2)).capture)).toEqual([1, 2, 3]);
    expect((await client.query('select count(*)::int as rows from millrace.audit')).rows).toEqual([{ rows: 3 }]);
  });

  it('keeps the leases, so that nobody else sends for a shard before its owner has stopped', async () => {
    await claim(1, 1);
    await setShards(2);
    expect(await ask(1, 1, 'b')).toMatchObject({ kind: 'held', owner: 'a' });
    expect((await claim(1, 1, 'a')).fence).toBe(0n);
  });

  it('keeps a pause and the way of capture, and starts to count for retention at the fence', async () => {
    await publish(3);
    const one = await claim(1, 1);
    await drain(one.capture);
    await source.setPaused({ route: 'r', isPaused: true, actor: 'anna', reason: null });
    await source.setCapture({ route: 'r', mode: 'auto', actor: 'anna', reason: null });
    await setShards(2);
    expect(await drainAs('r', (await claim(1, 1)).capture)).toBe('fenced');
    expect(
      (await client.query('select route, is_paused, capture, counted_from::int from millrace.ledger order by route'))
        .rows,
    ).toEqual([
      { route: 'r/1', is_paused: true, capture: 'auto', counted_from: 4 },
      { route: 'r/2', is_paused: true, capture: 'auto', counted_from: 4 },
    ]);
    expect((await client.query('select * from millrace.ledger_leaf')).rows).toEqual([]);
    expect(
      (await client.query('select route, rows_found::int from millrace.leaf_miscount(1, $1)', ['millrace.outbox_p1']))
        .rows,
    ).toEqual([{ route: null, rows_found: 3 }]);
  });

  it('waits for every owner to know of it, whatever there is to settle', async () => {
    await claim(1, 2, 'a');
    const two = await claim(2, 2, 'b');
    await setShards(1);
    await two.capture.close();
    expect(await drainAs('r/2', (await claim(2, 2, 'b')).capture)).toBe('drained');
    expect(await shapes()).toEqual(['r/1 of 2 at 0, fence 0', 'r/2 of 2 at 0, fence 0']);
    expect(await drainAs('r/1', (await claim(1, 2, 'a')).capture)).toBe('fenced');
    expect(await shapes()).toEqual(['r of 1 at 0, fence null']);
  });

  it('leaves no slot behind of a shard that is no more', async () => {
    await (await claim(1, 2)).capture.close();
    const name = slotPrefix({ route: 'r/2', databaseOid: await databaseOid() });
    await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [`${name}0`]);
    await setShards(1);
    expect(await drainAs('r/1', (await claim(1, 2)).capture)).toBe('drained');
    expect(await drainAs('r/2', (await claim(2, 2)).capture)).toBe('fenced');
    const slots = 'select slot_name from pg_replication_slots where database = current_database()';
    expect((await client.query(slots)).rows).toEqual([]);
  });

  it('is refused with a name where it could never end', async () => {
    await expect(setShards(2)).rejects.toMatchObject({ code: 'route_unknown' });
    await expect(source.shards('r')).rejects.toMatchObject({ code: 'route_unknown' });
    await claim(1, 1);
    await expect(setShards(65)).rejects.toMatchObject({ code: 'internal' });
    await client.query('update millrace.ledger set expired_at = clock_timestamp()');
    await expect(setShards(2)).rejects.toMatchObject({ code: 'route_expired' });
    expect(await shapes()).toEqual(['r of 1 at 0, fence null']);
  });
});
