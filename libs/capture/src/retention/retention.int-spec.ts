import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type CapturePort, type StartFrom } from '../capture-port.js';
import { CaptureError } from '../capture.errors.js';
import { PgConnection } from '../pg-connection.js';
import { adoptLedger, createOutboxSource } from '../outbox-source.js';
import { acceptLeafCount, inspectLeafCount, letRouteGoOn } from './retention-admin.js';
import { type ArchiveHook, RetentionKeeper } from './retention-keeper.js';
import { type RetentionAlarm, type RetentionReport, type RouteExpired } from './retention-observer.js';
import { type RetentionPolicy } from './retention-policy.js';

const LEAF = 1_000_000;
const HOUR_MS = 3_600_000;
const KEEP_NOTHING: RetentionPolicy = { keepMs: 0, maxAgeMs: null, maxBytes: null };

let database: TestDatabase;
let admin: pg.Client;
/** As the relay's login role: retention has no other rights. */
let relayUrl: string;
let login: string;
let open: { close(): Promise<void> }[];
let told: string[];
let expired: RouteExpired[];
let nowMs: number;

beforeEach(async () => {
  database = await createTestDatabase();
  admin = await database.connect();
  login = `relay_${database.name}`;
  await admin.query(`create role ${login} login password 'x' in role millrace_relay`);
  relayUrl = Object.assign(new URL(database.url), { username: login, password: 'x' }).toString();
  open = [];
  told = [];
  expired = [];
  nowMs = 0;
});

afterEach(async () => {
  await Promise.all(open.map((thing) => thing.close()));
  await admin.query(`drop owned by ${login}`);
  await admin.query(`drop role ${login}`);
  await admin.end();
  await database.drop();
});

function keeper(policy: Partial<RetentionPolicy> = {}, archive?: ArchiveHook): RetentionKeeper {
  const note = (what: string) => (alarm: RetentionAlarm) => told.push(`${what} ${alarm.kind}`);
  return new RetentionKeeper({
    source: 'shop',
    connect: () => new PgConnection({ databaseUrl: relayUrl, applicationName: 'test retention' }),
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
    policy: { ...KEEP_NOTHING, ...policy },
    observer: {
      alarmRaised: note('raised'),
      alarmCleared: note('cleared'),
      routeExpired: (route) => expired.push(route),
    },
    ...(archive === undefined ? {} : { archive }),
    expiryGraceMs: 1_000,
  });
}

async function claim(route: string, from: StartFrom = { kind: 'earliest' }, owner = 'a'): Promise<CapturePort> {
  const source = createOutboxSource({ name: 'shop', databaseUrl: relayUrl });
  const result = await source.claim({ route, owner, ttlMs: 600_000, from, aggregateTypes: null });
  if (result.kind !== 'claimed') {
    throw new Error(`The claim was answered with ${result.kind}.`);
  }
  open.push(result.capture);
  return result.capture;
}

async function connect(): Promise<pg.Client> {
  const client = await database.connect();
  open.push({ close: () => client.end() });
  return client;
}

async function insert(by: pg.Client = admin, count = 1): Promise<void> {
  await by.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), 'account', 'k', 'changed', '{}' from generate_series(1, $1)`,
    [count],
  );
}

/** The next event has the first position of the `leaf`th leaf. */
const goTo = (leaf: number): Promise<unknown> =>
  admin.query(`select setval('millrace.position', $1)`, [(leaf - 1) * LEAF]);

const lowOf = async (route: string): Promise<number> => {
  const { rows } = await admin.query<{ low: string }>('select low from millrace.ledger where route = $1', [route]);
  return Number(rows[0]?.low ?? -1);
};

/** Reads and settles until the ledger has got to `low`. */
async function settle(capture: CapturePort, low: number): Promise<void> {
  await until(
    async () => {
      const page = await capture.nextPage();
      if (page.isChanged) {
        await capture.settle(page);
      }
      return Number(capture.status().low);
    },
    (reached) => reached >= low,
    `low at ${low}`,
  );
}

/** Three events in the first leaf, two in the second. */
async function twoLeaves(): Promise<void> {
  await insert(admin, 3);
  await goTo(2);
  await insert(admin, 2);
}

/** As a sequence with a cache, or a producer that brings its own numbers, would do it. */
const slipIn = (position = 2000): Promise<unknown> =>
  admin.query(
    `insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, payload)
     values ($1, gen_random_uuid(), 'a', 'k', 't', '{}')`,
    [position],
  );

const rowsOf = async (table: string): Promise<number> => {
  const { rows } = await admin.query<{ count: string }>(`select count(*) from ${table}`);
  return Number(rows[0]?.count);
};

const emptiedBy = (report: RetentionReport): [string, number][] =>
  report.emptied.map(({ table, rows }) => [table, rows]);
const obstacles = (report: RetentionReport): string[] =>
  report.waiting.map(({ lo, obstacle, route }) => [String(lo), obstacle, ...(route === null ? [] : [route])].join(' '));

async function audited(action: string): Promise<unknown[]> {
  const { rows } = await admin.query<Record<string, unknown>>(
    'select actor, target, reason, details from millrace.audit where action = $1 order by id',
    [action],
  );
  return rows;
}

/** Waits until a statement of another connection waits for a lock. */
async function blocked(fragment: string): Promise<void> {
  const waiting = `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like $1`;
  await until(
    async () => (await admin.query(waiting, [`%${fragment}%`])).rowCount,
    (count) => count !== 0,
    `a statement with "${fragment}" that waits for a lock`,
  );
}

describe('a leaf that all routes have settled', () => {
  it('is emptied, stays attached, and its emptying is written down', async () => {
    await twoLeaves();
    const capture = await claim('r');
    await settle(capture, LEAF + 2);

    const report = await keeper().run();

    expect(emptiedBy(report)).toEqual([['millrace.outbox_p1', 3]]);
    expect([await rowsOf('millrace.outbox_p1'), await rowsOf('millrace.outbox')]).toEqual([0, 2]);
    expect(await audited('leaf.empty')).toEqual([
      {
        actor: 'retention',
        target: 'millrace.outbox_p1',
        reason: null,
        details: { lo: 1, last: LEAF, rows: 3, unsettled_by: [] },
      },
    ]);
    expect(report).toMatchObject({ alarms: [], waiting: [], defaultBytes: 0, leavesDropped: 0 });
    expect(emptiedBy(await keeper().run())).toEqual([]);
  });

  it('stays while its newest row is younger than the time to keep', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);

    expect(obstacles(await keeper({ keepMs: HOUR_MS }).run())).toEqual(['1 young']);
    expect(await rowsOf('millrace.outbox_p1')).toBe(3);
  });

  it('is emptied behind one whose rows a wrong clock has dated into the future', async () => {
    await admin.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, occurred_at)
      values (gen_random_uuid(), 'a', 'k', 't', '{}', clock_timestamp() + interval '1 year')`);
    await goTo(2);
    await insert();
    await goTo(3);
    await insert();
    await settle(await claim('r'), 2 * LEAF + 1);

    const report = await keeper().run();

    expect([emptiedBy(report), obstacles(report)]).toEqual([[['millrace.outbox_p1000001', 1]], ['1 young']]);
  });

  it('is emptied without a row when all its transactions were rolled back', async () => {
    const capture = await claim('r');
    await goTo(2);
    await insert();
    await settle(capture, LEAF + 1);

    const report = await keeper().run();

    expect([emptiedBy(report), obstacles(report)]).toEqual([[], []]);
    expect((await admin.query('select from millrace.outbox_leaf where emptied_at is not null')).rowCount).toBe(1);
  });

  it('is counted over pages, take-overs and late rows of the leaf before', async () => {
    const late = await connect();
    await insert(admin, 150);
    await late.query('begin');
    await insert(late, 2);
    const first = await claim('r');
    for (let pages = 0; pages < 2; pages += 1) {
      await first.settle(await first.nextPage());
    }
    await goTo(2);
    await insert(admin, 10);
    await admin.query(`update millrace.ledger set expires = clock_timestamp() - interval '1 second'`);
    const second = await claim('r', { kind: 'earliest' }, 'b');
    await second.settle(await second.nextPage());
    await late.query('commit');
    const pages = [await second.nextPage(), await second.nextPage()];
    await second.settle(pages[1] ?? (await second.nextPage()));
    await goTo(3);
    await insert();
    await settle(second, 2 * LEAF + 1);

    expect(emptiedBy(await keeper().run())).toEqual([
      ['millrace.outbox_p1', 152],
      ['millrace.outbox_p1000001', 10],
    ]);
    expect((await admin.query('select route, leaf_lo, rows_read from millrace.ledger_leaf')).rows).toEqual([]);
  });

  it('counts for a route that began later from where it began', async () => {
    await insert(admin, 5);
    const now = await claim('now', { kind: 'now' });
    await insert(admin, 4);
    await goTo(2);
    await insert();
    await settle(now, LEAF + 1);
    await settle(await claim('earliest'), LEAF + 1);

    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1', 9]]);
  });

  it('is emptied once by two relays that run at the same time', async () => {
    await twoLeaves();
    await goTo(3);
    await insert();
    await settle(await claim('r'), 2 * LEAF + 1);

    await Promise.all([1, 2, 3].map(() => keeper().run()));
    await keeper().run();

    expect(await audited('leaf.empty')).toHaveLength(2);
    expect(await rowsOf('millrace.outbox')).toBe(1);
  });
});

describe('a leaf stays', () => {
  it('while one route has not settled it, running, paused or about to be', async () => {
    await twoLeaves();
    await settle(await claim('quick'), LEAF + 2);
    const slow = await claim('slow');
    const source = createOutboxSource({ name: 'shop', databaseUrl: relayUrl });
    await source.setPaused({ route: 'slow', isPaused: true, actor: 'op', reason: null });

    expect(obstacles(await keeper().run())).toEqual(['1 held slow']);
    expect(await rowsOf('millrace.outbox_p1')).toBe(3);

    await settle(slow, LEAF + 2);
    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1', 3]]);
  });

  it('when nobody has ever read the outbox', async () => {
    await twoLeaves();

    expect(obstacles(await keeper().run())).toEqual(['1 no_route']);
  });

  it('while a producer whose position lies in it is still open, and then has its row read first', async () => {
    const late = await connect();
    await late.query('begin');
    await insert(late);
    await twoLeaves();
    const capture = await claim('r');
    await capture.settle(await capture.nextPage());

    expect(obstacles(await keeper().run())).toEqual(['1 held r']);
    await late.query('commit');
    await settle(capture, LEAF + 2);
    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1', 4]]);
  });

  it('while a lock of a writer or a reader is on it, whatever the ledger says', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const writer = await connect();
    await writer.query(`begin; insert into millrace.outbox_p1 (position, id, aggregatetype, aggregateid, type, payload)
      values (900, gen_random_uuid(), 'a', 'k', 't', '{}')`);

    expect(obstacles(await keeper().run())).toEqual(['1 locked']);
    await writer.query('rollback; begin; select count(*) from millrace.outbox_p1');
    expect(obstacles(await keeper().run())).toEqual(['1 locked']);
    await writer.query('commit');
    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1', 3]]);
  });

  it('while the ledger belongs to another branch of the server history', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    await admin.query('update millrace.ledger set timeline = 99, expires = null');
    await admin.query(`insert into millrace.relay_member (source, owner, expires, config_version, stopped)
      values ('shop', 'a', 'infinity', '1', '{r}')`);
    const retention = keeper();

    expect(obstacles(await retention.run())).toEqual(['1 identity_changed r']);
    await adoptLedger({ databaseUrl: relayUrl, route: 'r', actor: 'op', reason: null });
    expect(emptiedBy(await retention.run())).toHaveLength(1);
    expect(told).toEqual(['raised identity_changed', 'cleared identity_changed']);
  });

  it('while a ledger of an older release has not been claimed by this one', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    await admin.query('update millrace.ledger set counted_from = null, leaf_lo = null, leaf_rows = 0');

    expect(obstacles(await keeper().run())).toEqual(['1 not_counted r']);
    await admin.query(`update millrace.ledger set expires = null`);
    await claim('r');
    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1', 3]]);
  });
});

describe('a leaf whose rows are not the ones that were read', () => {
  beforeEach(async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
  });

  it('is never emptied, and a person is told until he has accepted it', async () => {
    await slipIn();
    const retention = keeper();

    const report = await retention.run();
    await retention.run();

    expect(report.alarms).toMatchObject([{ kind: 'leaf_miscounted', lo: 1n, route: 'r', found: 4, counted: 3 }]);
    expect(await rowsOf('millrace.outbox_p1')).toBe(4);
    const request = { databaseUrl: relayUrl, lo: 1n, rows: 4, actor: 'op', reason: 'sent by hand' };
    expect(await acceptLeafCount(request)).toEqual({ kind: 'accepted', routes: 1 });
    expect(await acceptLeafCount(request)).toEqual({ kind: 'fits' });
    expect(emptiedBy(await retention.run())).toEqual([['millrace.outbox_p1', 4]]);
    expect(told).toEqual(['raised leaf_miscounted', 'cleared leaf_miscounted']);
    expect(await audited('leaf.accept_count')).toMatchObject([
      { actor: 'op', reason: 'sent by hand', details: { lo: 1, routes: [{ route: 'r', counted: 3, found: 4 }] } },
    ]);
  });

  it('does not keep later leaves from being emptied', async () => {
    await slipIn();
    await goTo(3);
    await insert();
    await admin.query(`update millrace.ledger set expires = null`);
    await settle(await claim('r'), 2 * LEAF + 1);

    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1000001', 2]]);
  });

  it('is told of when rows have vanished', async () => {
    await admin.query(`begin; set local millrace.retention = on; delete from millrace.outbox_p1; commit`);

    expect((await keeper().run()).alarms).toMatchObject([{ kind: 'leaf_miscounted', found: 0, counted: 3 }]);
  });

  it('is told of when a row turns up after it was emptied, however young, and it is not removed', async () => {
    const retention = keeper({ keepMs: 0 });
    await retention.run();
    await slipIn();

    const report = await retention.run();

    expect(report.alarms).toMatchObject([{ kind: 'leaf_miscounted', lo: 1n, found: 1, counted: 0 }]);
    expect(await rowsOf('millrace.outbox_p1')).toBe(1);
  });

  it('would be emptied without the counters, and the row that nobody sent with it: the wrong rule', async () => {
    await slipIn();
    await admin.query(`create or replace function millrace.leaf_miscount(in_lo bigint, in_leaf regclass,
      out route text, out rows_found bigint, out counted bigint) language sql as $$ select null::text, 1::bigint, null::bigint $$`);

    await keeper().run();

    expect(await rowsOf('millrace.outbox where position = 2000')).toBe(0);
  });

  it('is not accepted with another number of rows than the person was shown', async () => {
    await slipIn();
    await slipIn(2001);
    const request = { databaseUrl: relayUrl, lo: 1n, actor: 'op', reason: 'sent by hand' };

    expect(await acceptLeafCount({ ...request, rows: 4 })).toEqual({ kind: 'changed' });
    expect(await audited('leaf.accept_count')).toEqual([]);
    expect(await acceptLeafCount({ ...request, rows: 5 })).toEqual({ kind: 'accepted', routes: 1 });
  });

  it('is not accepted while somebody has the leaf locked, and no producer waits for that', async () => {
    await slipIn();
    await slipIn(2001);
    await admin.query('begin');
    await admin.query('lock table millrace.outbox_p1 in row exclusive mode');
    const request = { databaseUrl: relayUrl, lo: 1n, rows: 5, actor: 'op', reason: 'sent by hand' };

    expect(await acceptLeafCount(request)).toMatchObject({ kind: 'refused', obstacle: 'locked' });
    await admin.query('rollback');
    expect(await acceptLeafCount(request)).toEqual({ kind: 'accepted', routes: 1 });
  });

  it('is not accepted in the default partition while new rows land there', async () => {
    await admin.query(`select setval('millrace.position', ${20 * LEAF})`);
    await insert(admin, 3);

    expect(await acceptLeafCount({ databaseUrl: relayUrl, lo: 0n, rows: 3, actor: 'op', reason: null })).toEqual({
      kind: 'refused',
      obstacle: 'in_use',
      route: null,
    });
    expect(await inspectLeafCount({ databaseUrl: relayUrl, lo: 0n })).toMatchObject({ obstacle: 'in_use' });
  });

  it('is not accepted before it is settled', async () => {
    expect(
      await acceptLeafCount({ databaseUrl: relayUrl, lo: 1_000_001n, rows: 2, actor: 'op', reason: null }),
    ).toEqual({
      kind: 'refused',
      obstacle: 'ahead',
      route: null,
    });
    expect(await lowOf('r')).toBe(LEAF + 2);
  });
});

describe('the archive hook', () => {
  it('has the range before the rows go, and keeps them when it fails', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const seen: string[] = [];
    let isBroken = true;
    const retention = keeper({}, async ({ table, lo, last, rows }) => {
      seen.push(`${table} ${String(lo)} to ${String(last)}: ${rows} of ${await rowsOf(table)}`);
      if (isBroken) {
        throw new Error('no room');
      }
    });

    expect(emptiedBy(await retention.run())).toEqual([]);
    expect(await rowsOf('millrace.outbox_p1')).toBe(3);
    isBroken = false;
    expect(emptiedBy(await retention.run())).toHaveLength(1);
    expect(seen).toEqual(Array(2).fill(`millrace.outbox_p1 1 to ${LEAF}: 3 of 3`));
    expect(told).toEqual(['raised archive_failed', 'cleared archive_failed']);
  });

  it('is offered the leaf again when rows came while it copied', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    await admin.query('update millrace.ledger set expired_at = clock_timestamp()');
    const seen: number[] = [];
    const retention = keeper({}, async ({ rows }) => {
      if (seen.push(rows) === 1) {
        await slipIn();
      }
    });

    expect(emptiedBy(await retention.run())).toEqual([]);
    expect(emptiedBy(await retention.run())).toEqual([['millrace.outbox_p1', 4]]);
    expect(seen).toEqual([3, 4]);
  });

  it('that fails is asked for a few leaves of a run, not for all of them', async () => {
    const capture = await claim('r');
    await insert();
    for (let leaf = 2; leaf <= 6; leaf += 1) {
      await goTo(leaf);
      await insert();
    }
    await settle(capture, 5 * LEAF + 1);
    const asked: bigint[] = [];
    const retention = keeper({}, ({ lo }) => {
      asked.push(lo);
      return Promise.reject(new Error('no room'));
    });

    await retention.run();

    expect(asked).toEqual([1n, BigInt(LEAF + 1), BigInt(2 * LEAF + 1)]);
  });

  it('that fails because another relay has emptied the leaf meanwhile is no alarm', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const retention = keeper({}, async () => {
      await keeper().run();
      throw new Error('no rows');
    });

    expect((await retention.run()).alarms).toEqual([]);
    expect(await rowsOf('millrace.outbox_p1')).toBe(0);
    expect(told).toEqual([]);
  });

  it('is cut off when the keeper stops, the leaf stays, and a later run goes on', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const begun = new AbortController();
    let isSlow = true;
    const retention = keeper({}, async (_leaf, signal) => {
      begun.abort();
      if (isSlow) {
        await once(signal, 'abort');
        throw new Error('cut off');
      }
    });
    await retention.stop();
    const run = retention.run();
    await once(begun.signal, 'abort');
    await retention.stop();

    await expect(run).rejects.toBeInstanceOf(CaptureError);
    expect(await rowsOf('millrace.outbox_p1')).toBe(3);
    isSlow = false;
    expect(emptiedBy(await retention.run())).toHaveLength(1);
  });
});

describe('the default partition', () => {
  it('is emptied when all its rows are settled and new ones go to leaves again, and is told of until then', async () => {
    const capture = await claim('r');
    await admin.query(`select setval('millrace.position', ${20 * LEAF})`);
    await insert(admin, 3);
    const retention = keeper();
    await settle(capture, 20 * LEAF + 3);
    expect(obstacles(await retention.run())).toEqual(['0 in_use']);

    await admin.query('select millrace.ensure_leaves(10)');
    await admin.query(`select setval('millrace.position', (select max(lo) from millrace.outbox_leaf))`);
    await insert(admin, 2);
    expect(obstacles(await retention.run())).toContain('0 in_use');
    await admin.query('select millrace.ensure_leaves(10)');
    const { rows } = await admin.query<{ last: string }>('select millrace.last_position() as last');
    await settle(capture, Number(rows[0]?.last));
    const report = await retention.run();

    expect(emptiedBy(report)).toEqual([['millrace.outbox_default', 3]]);
    expect(await rowsOf('millrace.outbox')).toBe(2);
    expect(report.defaultBytes).toBe(0);
    expect(told).toEqual(['raised default_partition_not_empty', 'cleared default_partition_not_empty']);
  });
});

describe('while the default partition is big', () => {
  const ahead = async (): Promise<unknown> => (await admin.query('select millrace.ensure_leaves(10) as ahead')).rows[0];

  it('leaves are made beside it as long as new rows go to a leaf, or when somebody accepts the pause', async () => {
    await admin.query(`select setval('millrace.position', ${20 * LEAF})`);
    await admin.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
      select gen_random_uuid(), 'a', 'k', 't', jsonb_build_object('text', repeat('x', 1500)) from generate_series(1, 6000)`);
    expect(await ahead()).toEqual({ ahead: 0 });

    await admin.query(`set millrace.default_bytes_max = '100000000'`);
    expect(await ahead()).toEqual({ ahead: 10 });
    await admin.query(`set millrace.default_bytes_max = ''`);
    await admin.query(
      `select setval('millrace.position', (select min(lo) from millrace.outbox_leaf where lo > 20000000))`,
    );

    expect(await ahead()).toEqual({ ahead: 10 });
    expect((await admin.query('select from millrace.outbox_leaf where lo > 20000000')).rowCount).toBe(11);
  });
});

describe('leaves that were emptied', () => {
  it('are dropped later, a few at a time, and the last leaf never', async () => {
    const capture = await claim('r');
    await twoLeaves();
    await settle(capture, LEAF + 2);
    const retention = keeper();

    const first = await retention.run();
    await insert();
    nowMs += 60_000;
    const second = await retention.run();

    expect(first.leavesDropped + second.leavesDropped).toBe(1);
    expect((await admin.query(`select to_regclass('millrace.outbox_p1') as found`)).rows).toEqual([{ found: null }]);
    expect((await admin.query('select from millrace.outbox_leaf where lo = 1')).rowCount).toBe(0);
    await settle(capture, LEAF + 3);
    expect(await rowsOf('millrace.outbox')).toBe(3);
  });

  it('stay while somebody holds the outbox for longer than a moment: nobody is made to queue behind him', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const producer = await connect();
    await producer.query('begin');
    await insert(producer);

    const retention = keeper();
    expect(emptiedBy(await retention.run())).toEqual([['millrace.outbox_p1', 3]]);
    nowMs += 60_000;
    expect((await retention.run()).leavesDropped).toBe(0);
    await producer.query('commit; begin; select from millrace.outbox_p1');
    nowMs += 60_000;
    expect((await retention.run()).leavesDropped).toBe(0);

    await producer.query('commit');
    nowMs += 60_000;
    expect((await retention.run()).leavesDropped).toBe(1);
  });
});

describe('a new route', () => {
  it('that begins while a leaf is being emptied waits, and begins after it', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const other = await connect();
    await other.query('begin');
    await other.query('select * from millrace.empty_leaf(1, 0)');

    const claiming = claim('new');
    await blocked('insert into millrace.ledger');
    await other.query('commit');

    const capture = await claiming;
    const page = await capture.nextPage();
    expect(page.events.map(({ position }) => Number(position))).toEqual([LEAF + 1, LEAF + 2]);
  });

  it('would otherwise begin in a leaf that vanishes before it has read it: the wrong rule', async () => {
    await admin.query('drop trigger ledger_wait_for_retention on millrace.ledger');
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const other = await connect();
    await other.query('begin');
    await other.query('select * from millrace.empty_leaf(1, 0)');

    const capture = await claim('new');
    expect(await lowOf('new')).toBe(0);
    await other.query('commit');

    expect((await capture.nextPage()).events[0]?.position).toBe(BigInt(LEAF + 1));
  });

  it('that has begun counts, however recent it is', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    const other = await connect();
    await other.query('begin');
    await other.query(`insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline, counted_from)
      select 'new', 0, 0, 0, system_identifier, timeline, 1 from millrace.ledger`);

    expect(obstacles(await keeper().run())).toContain('1 busy');
    await other.query('commit');
    expect(obstacles(await keeper().run())).toEqual(['1 held new']);
  });

  it('of an old name does not inherit its counters', async () => {
    await twoLeaves();
    await settle(await claim('r'), LEAF + 2);
    await admin.query(`delete from millrace.ledger; delete from millrace.ledger_gap;
      insert into millrace.ledger_leaf values ('r', 1, 77)`);
    await settle(await claim('r'), LEAF + 2);

    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1', 3]]);
  });
});

describe('a route that holds too much', () => {
  const DAY = `clock_timestamp() - interval '1 day'`;
  const limits = { maxAgeMs: HOUR_MS };

  beforeEach(async () => {
    await admin.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, occurred_at)
      select gen_random_uuid(), 'a', 'k', 't', '{}', ${DAY} from generate_series(1, 3)`);
    await goTo(2);
    await insert(admin, 2);
  });

  it('expires by name after its time of grace, is given to nobody, and goes on by a decision that says what was lost', async () => {
    await settle(await claim('quick'), LEAF + 2);
    const stuck = await claim('stuck');
    const page = await stuck.nextPage();
    const retention = keeper(limits);

    expect(obstacles(await retention.run())).toEqual(['1 held stuck']);
    nowMs += 1_000;
    const report = await retention.run();

    expect(expired).toMatchObject([{ route: 'stuck', low: 0n, leaves: 1 }]);
    expect(emptiedBy(report)).toEqual([['millrace.outbox_p1', 3]]);
    expect(await audited('route.expire')).toMatchObject([
      { actor: 'retention', target: 'stuck', details: { low: 0, leaves: 1, max_age_ms: HOUR_MS } },
    ]);
    await expect(stuck.settle(page)).rejects.toMatchObject({ code: 'fenced' });
    await expect(claim('stuck')).rejects.toMatchObject({
      code: 'route_expired',
      disposition: 'stop',
      message: expect.stringMatching(/^Route stuck has expired: .* then let the route go on/),
    });
    const request = { databaseUrl: relayUrl, route: 'stuck', actor: 'op', reason: 'fixed', exemptMs: HOUR_MS };
    expect(await letRouteGoOn(request)).toEqual({ kind: 'goes_on', lost: { from: 1n, to: BigInt(LEAF) } });
    expect(await letRouteGoOn(request)).toEqual({ kind: 'not_expired' });
    await expect(letRouteGoOn({ ...request, route: 'x' })).rejects.toMatchObject({ code: 'route_unknown' });
    await settle(await claim('stuck'), LEAF + 2);
    await goTo(3);
    await insert();
    await admin.query('update millrace.ledger set expires = null');
    await settle(await claim('stuck'), 2 * LEAF + 1);
    await settle(await claim('quick'), 2 * LEAF + 1);
    expect(emptiedBy(await retention.run())).toEqual([['millrace.outbox_p1000001', 2]]);
    expect(told).toEqual([
      'raised route_over_limit',
      'cleared route_over_limit',
      'raised route_expired',
      'cleared route_expired',
    ]);
  });

  it('does not expire for age while it moves, nor while a person has exempted it, nor without a limit', async () => {
    const capture = await claim('r');
    const retention = keeper(limits);
    await retention.run();
    nowMs += 1_000;
    await admin.query('update millrace.ledger set low = 1, high = 1');
    await retention.run();
    await admin.query(`update millrace.ledger set exempt_until = clock_timestamp() + interval '1 hour'`);
    nowMs += 1_000;
    await retention.run();
    nowMs += 1_000;
    await keeper().run();

    expect(expired).toEqual([]);
    await admin.query('update millrace.ledger set low = 0, high = 0, exempt_until = null');
    await settle(capture, LEAF + 2);
  });

  it('expires for the bytes of what it holds, also while it moves', async () => {
    await claim('r');
    const retention = keeper({ maxBytes: 1 });
    await retention.run();
    nowMs += 1_000;
    await admin.query('update millrace.ledger set low = 1, high = 1');
    const report = await retention.run();

    expect(expired).toMatchObject([{ route: 'r', low: 1n }]);
    expect(report.routes).toMatchObject([{ route: 'r', isExpired: true, leaves: 1 }]);
  });

  it('does not expire for positions that were drawn and never became rows', async () => {
    const capture = await claim('r');
    await settle(capture, LEAF + 2);
    await admin.query(`select setval('millrace.position', ${2 * LEAF})`);
    await admin.query(`begin; set local millrace.retention = on;
      update millrace.outbox set occurred_at = ${DAY}; commit`);
    const retention = keeper(limits);

    const report = await retention.run();
    nowMs += 1_000;
    await retention.run();

    expect(report.routes).toMatchObject([{ route: 'r', leaves: 0, bytes: 0 }]);
    expect(obstacles(report)).toEqual([`${LEAF + 1} held`]);
    expect([expired, told]).toEqual([[], []]);
  });

  it.each([
    ['it has not read on', 3],
    ['it has left gaps', LEAF + 2],
  ])('expires also when only positions without rows are left of the leaf, as %s', async (_, high) => {
    await claim('r');
    await admin.query('update millrace.ledger set low = 3, high = $1', [high]);
    const retention = keeper(limits);

    const report = await retention.run();
    nowMs += 1_000;
    await retention.run();

    expect(report.routes).toMatchObject([{ route: 'r', leaves: 1, bytes: expect.any(Number) }]);
    expect(obstacles(report)).toEqual(['1 held r']);
    expect(expired).toMatchObject([{ route: 'r', low: 3n, leaves: 1 }]);
  });

  it('is told what it has lost when the clock was set back meanwhile, too', async () => {
    await settle(await claim('quick'), LEAF + 2);
    await claim('stuck');
    await admin.query(`select * from millrace.expire_route('stuck', 0, ${HOUR_MS}, null, 0)`);
    await admin.query(`update millrace.ledger set expired_at = expired_at + interval '1 hour' where route = 'stuck'`);
    expect(emptiedBy(await keeper().run())).toEqual([['millrace.outbox_p1', 3]]);

    const request = { databaseUrl: relayUrl, route: 'stuck', actor: 'op', reason: 'fixed', exemptMs: HOUR_MS };
    expect(await letRouteGoOn(request)).toEqual({ kind: 'goes_on', lost: { from: 1n, to: BigInt(LEAF) } });
  });

  it('does not expire for what a producer holds open', async () => {
    await claim('r');
    const writer = await connect();
    await writer.query(`begin; lock table millrace.outbox_p1 in row exclusive mode`);
    const retention = keeper(limits);
    await retention.run();
    nowMs += 1_000;
    await retention.run();
    expect(expired).toEqual([]);

    await writer.query('commit');
    await retention.run();
    expect(expired).toHaveLength(1);
  });

  it('is not expired by a caller whose limits it keeps', async () => {
    await claim('r');
    const asked = `select verdict from millrace.expire_route('r', 0, ${25 * HOUR_MS}, null, 0)`;
    expect((await admin.query(asked)).rows).toEqual([{ verdict: 'within_limits' }]);
    await expect(admin.query(`select millrace.expire_route('r', 10, 5, null, 0)`)).rejects.toMatchObject({
      code: '22023',
    });
  });
});

describe('the functions trust no caller', () => {
  let relay: pg.Client;

  beforeEach(async () => {
    await twoLeaves();
    await claim('r');
    relay = await connect();
    await relay.query(`set role ${login}`);
  });

  const verdict = async (statement: string): Promise<unknown> => (await relay.query(statement)).rows[0];

  it('with a leaf that is not settled, not written to its end, or unknown', async () => {
    expect(await verdict('select verdict from millrace.empty_leaf(1, 0)')).toEqual({ verdict: 'held' });
    expect(await verdict('select verdict from millrace.empty_leaf(1000001, 0)')).toEqual({ verdict: 'ahead' });
    expect(await verdict('select verdict from millrace.empty_leaf(5, 0)')).toEqual({ verdict: 'unknown_leaf' });
    expect(await verdict('select verdict from millrace.drop_empty_leaves(5)')).toEqual({ verdict: 'nothing' });
  });

  it.each(['empty_leaf(null, 0)', 'empty_leaf(1, null)', 'empty_leaf(1, -1)'])('with %s', async (call) => {
    await expect(relay.query(`select millrace.${call}`)).rejects.toMatchObject({ code: '22023' });
  });

  it('in a snapshot that may miss rows', async () => {
    await relay.query('begin isolation level repeatable read');
    await expect(relay.query('select millrace.empty_leaf(1, 0)')).rejects.toMatchObject({ code: '25000' });
    await relay.query('rollback');
  });

  it('nor may it truncate by itself, in the session that has emptied a leaf either', async () => {
    await settle(await claim('r'), LEAF + 2);
    await relay.query('begin');
    expect(await verdict('select verdict from millrace.empty_leaf(1, 0)')).toEqual({ verdict: 'emptied' });
    expect(await verdict(`select current_setting('millrace.retention')`)).toEqual({ current_setting: 'off' });
    await relay.query('commit');
    for (const statement of ['truncate millrace.outbox_p1', 'select millrace.leaf_miscount(1, null)']) {
      await expect(relay.query(statement)).rejects.toMatchObject({ code: '42501' });
    }
  });
});
