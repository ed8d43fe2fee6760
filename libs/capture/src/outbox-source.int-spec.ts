import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { createTestDatabase, freePort, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type CapturedPage, type CapturePort, type ClaimResult, type StartFrom } from './capture-port.js';
import { type CaptureErrorCode } from './capture.errors.js';
import { CLAIM_SQL } from './ledger.sql.js';
import { PgConnection } from './pg-connection.js';
import { PgOutboxReader } from './pg-outbox-reader.js';
import { adoptLedger, createOutboxSource } from './outbox-source.js';

/** No test takes so long. */
const TTL_MS = 600_000;
const EARLIEST: StartFrom = { kind: 'earliest' };
const EXPIRE = `update millrace.ledger set expires = clock_timestamp() - interval '1 second'`;

let database: TestDatabase;
let client: pg.Client;
let captures: CapturePort[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  captures = [];
});

afterEach(async () => {
  await Promise.all(captures.map((capture) => capture.close()));
  await client.end();
  await database.drop();
});

interface Ask {
  readonly from?: StartFrom;
  readonly url?: string;
  readonly route?: string;
}

async function ask(
  owner: string,
  { from = EARLIEST, url = database.url, route = 'r' }: Ask = {},
): Promise<ClaimResult> {
  const source = createOutboxSource({ name: 'source', databaseUrl: url });
  const result = await source.claim({ route, owner, ttlMs: TTL_MS, from, aggregateTypes: null });
  if (result.kind === 'claimed') {
    captures.push(result.capture);
  }
  return result;
}

async function claim(owner: string, options: Ask = {}): Promise<Extract<ClaimResult, { kind: 'claimed' }>> {
  const result = await ask(owner, options);
  if (result.kind !== 'claimed') {
    throw new Error(`The claim was answered with ${result.kind}.`);
  }
  return result;
}

async function insert(by: pg.Client, count = 1): Promise<void> {
  await by.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), 'account', 'k', 'changed', '{}' from generate_series(1, $1)`,
    [count],
  );
}

/** Opens a transaction that writes one event; the caller ends it and its connection. */
async function insertAndStayOpen(): Promise<{ end(how: 'commit' | 'rollback'): Promise<void> }> {
  const other = await database.connect();
  await other.query('begin');
  await insert(other);
  return {
    end: async (how) => {
      await other.query(how);
      await other.end();
    },
  };
}

const positionsOf = (page: CapturedPage): number[] => page.events.map(({ position }) => Number(position));

async function stored(): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select low::integer, high::integer, owner, is_paused, (
       select coalesce(json_agg(json_build_array(g.lo, g.hi) order by g.lo), '[]') from millrace.ledger_gap g where g.route = l.route
     ) as gaps from millrace.ledger l where route = 'r'`,
  );
  return rows[0];
}

/** Waits until a statement of another connection waits for a lock. */
async function blocked(fragment: string): Promise<void> {
  const waiting = `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like $1`;
  await until(
    async () => (await client.query(waiting, [`%${fragment}%`])).rowCount,
    (count) => count !== 0,
    `a statement with "${fragment}" that waits for a lock`,
  );
}

/** Reads and settles until the ledger has no gap: one dies when every writer of the server that was there before has ended. */
async function settleGaps(capture: CapturePort): Promise<void> {
  await until(
    async () => {
      await capture.settle(await capture.nextPage());
      return capture.status().gapRanges;
    },
    (gaps) => gaps === 0,
    'the end of the gaps',
  );
}

describe('a claim', () => {
  it('is given to one relay at a time; the others hear who has the route and for how long', async () => {
    await claim('a');

    const other = await ask('b');

    expect(other).toMatchObject({ kind: 'held', owner: 'a' });
    expect(other.kind === 'held' && other.expiresInMs > TTL_MS / 2 && other.expiresInMs <= TTL_MS).toBe(true);
  });

  it('is won by one of many that ask for a new route at the same moment', async () => {
    const results = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((owner) => ask(owner)));

    expect(results.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
  });

  it('has an epoch that begins at the timeline and grows with each owner', async () => {
    const first = await claim('a');
    await client.query(EXPIRE);
    const second = await claim('b');
    const again = await claim('b');

    expect([first.epoch, second.epoch, again.epoch].map((epoch) => epoch - (1n << 32n))).toEqual([1n, 2n, 3n]);
  });

  it('lives on with each settlement and each renewal', async () => {
    const { capture } = await claim('a');
    await insert(client);
    for (const extend of [() => capture.renew(), async () => capture.settle(await capture.nextPage())]) {
      await client.query(EXPIRE);
      await extend();
      expect(await ask('b')).toMatchObject({ kind: 'held', owner: 'a' });
    }
  });

  it('is given back on close, and the next one reads on from what was settled', async () => {
    const { capture } = await claim('a');
    await insert(client, 2);
    await capture.settle(await capture.nextPage());
    await insert(client);
    await capture.nextPage();
    await capture.close();
    await capture.close();

    expect(await stored()).toEqual({ low: 2, high: 2, owner: null, is_paused: false, gaps: [] });
    expect(positionsOf(await (await claim('b')).capture.nextPage())).toEqual([3]);
  });

  it('of one route does not disturb another', async () => {
    await insert(client);
    const one = await claim('a');
    const two = await claim('a', { route: 'other' });
    await one.capture.settle(await one.capture.nextPage());

    expect(positionsOf(await two.capture.nextPage())).toEqual([1]);
  });
});

describe('a relay that was taken over', () => {
  /** The zombie has a page in hand whose settlement would fill gap 1 and raise `high` from 2 to 3. */
  async function zombieWithPage(): Promise<{ zombie: CapturePort; page: CapturedPage }> {
    const open = await insertAndStayOpen();
    await insert(client);
    const { capture: zombie } = await claim('a');
    await zombie.settle(await zombie.nextPage());
    await open.end('commit');
    await insert(client);
    const page = await zombie.nextPage();
    expect(positionsOf(page)).toEqual([1, 3]);
    return { zombie, page };
  }

  const UNTOUCHED = { low: 0, high: 2, owner: 'b', is_paused: false, gaps: [[1, 1]] };

  it('changes neither ledger nor gaps, and hears who has the route now', async () => {
    const { zombie, page } = await zombieWithPage();
    await client.query(EXPIRE);
    await claim('b');

    await expect(zombie.settle(page)).rejects.toMatchObject({
      code: 'fenced',
      message: 'Route r has been taken over by b.',
    });
    await expect(zombie.renew()).rejects.toMatchObject({ code: 'fenced' });
    await zombie.close();
    expect(await stored()).toEqual(UNTOUCHED);
  });

  it('changes nothing even where the row has come back to the place that it remembers', async () => {
    const { zombie, page } = await zombieWithPage();
    const place = async (): Promise<unknown> => (await client.query('select ctid::text from millrace.ledger')).rows[0];
    const remembered = await place();
    await client.query(EXPIRE);
    const { capture: owner } = await claim('b');
    await owner.renew();
    let renewals = 0;
    for (let now = await place(); JSON.stringify(now) !== JSON.stringify(remembered); now = await place()) {
      await owner.renew();
      renewals += 1;
      if (renewals % 200 === 0) {
        // a snapshot of somebody else let the row leave its page, for good: from the first place again
        await client.query('vacuum full millrace.ledger');
      }
      expect(renewals).toBeLessThan(2_000);
    }

    await expect(zombie.settle(page)).rejects.toMatchObject({ code: 'fenced' });
    expect(await stored()).toEqual(UNTOUCHED);
  });

  it('changes nothing when its write meets the take-over under way', async () => {
    const { zombie, page } = await zombieWithPage();
    await client.query(EXPIRE);
    const taker = await database.connect();
    await taker.query('begin');
    await taker.query(CLAIM_SQL, ['r', 'b', TTL_MS, 0, 1]);

    const late = expect(zombie.settle(page)).rejects.toMatchObject({ code: 'fenced' });
    await blocked('update millrace.ledger set low');
    await taker.query('commit');
    await taker.end();

    await late;
    expect(await stored()).toEqual(UNTOUCHED);
  });

  it('has written all or nothing: a take-over that waits for its last write sees row and gaps of it', async () => {
    const { zombie, page } = await zombieWithPage();
    const holder = await database.connect();
    await holder.query('begin');
    await holder.query('select from millrace.ledger_gap for update');
    const settling = zombie.settle(page);
    await blocked('delete from millrace.ledger_gap');

    const expiring = client.query(EXPIRE);
    await holder.query('commit');
    await holder.end();
    await Promise.all([settling, expiring]);

    const next = await claim('b');
    expect(await stored()).toEqual({ low: 3, high: 3, owner: 'b', is_paused: false, gaps: [] });
    expect(positionsOf(await next.capture.nextPage())).toEqual([]);
  });
});

describe('the ledger row', () => {
  it.each([
    ['a pause', `update millrace.ledger set is_paused = true`],
    ['an update by hand', `update millrace.ledger set updated_at = clock_timestamp()`],
    ['a rewrite of the table', `vacuum full millrace.ledger`],
  ])('is found again after %s has moved it', async (_, statement) => {
    const { capture } = await claim('a');
    await insert(client);
    await client.query(statement);

    await capture.settle(await capture.nextPage());

    expect(await stored()).toMatchObject({ low: 1, high: 1, owner: 'a' });
  });

  it('that is gone means that the claim is, too', async () => {
    const { capture } = await claim('a');
    await client.query('delete from millrace.ledger');

    await expect(capture.renew()).rejects.toMatchObject({ code: 'fenced' });
  });
});

describe('pausing a route', () => {
  const source = () => createOutboxSource({ name: 'source', databaseUrl: database.url });

  it('marks it, writes the audit row, and is told by the next ledger write and the next claim', async () => {
    const { capture } = await claim('a');
    await source().setPaused({ route: 'r', isPaused: true, actor: 'ann', reason: 'deploy' });
    expect(await capture.renew()).toMatchObject({ isPaused: true });
    await insert(client);
    expect(await capture.settle(await capture.nextPage())).toMatchObject({ isPaused: true });
    expect((await claim('a')).isPaused).toBe(true);

    await source().setPaused({ route: 'r', isPaused: false, actor: 'ben', reason: null });

    expect((await claim('a')).isPaused).toBe(false);
    const { rows } = await client.query('select actor, action, target, reason from millrace.audit order by id');
    expect(rows).toEqual([
      { actor: 'ann', action: 'route.pause', target: 'r', reason: 'deploy' },
      { actor: 'ben', action: 'route.resume', target: 'r', reason: null },
    ]);
  });

  it('is refused for a route without a ledger, and leaves no audit row', async () => {
    const pausing = source().setPaused({ route: 'none', isPaused: true, actor: 'ann', reason: null });

    await expect(pausing).rejects.toMatchObject({ code: 'route_unknown', message: /Route none has no ledger/ });
    expect((await client.query('select from millrace.audit')).rowCount).toBe(0);
  });
});

describe('a new route', () => {
  it('from earliest gets all that is there', async () => {
    await insert(client, 3);

    expect(positionsOf(await (await claim('a')).capture.nextPage())).toEqual([1, 2, 3]);
  });

  it('from now gets what commits later, with what was in flight below, and nothing older', async () => {
    await insert(client, 2);
    const committing = await insertAndStayOpen();
    const rollingBack = await insertAndStayOpen();
    await insert(client);

    const { capture } = await claim('a', { from: { kind: 'now' } });

    expect(await stored()).toMatchObject({ low: 2, high: 5, gaps: [[3, 4]] });
    await committing.end('commit');
    await rollingBack.end('rollback');
    await insert(client);
    const page = await capture.nextPage();
    expect(positionsOf(page)).toEqual([3, 6]);
    await capture.settle(page);
    await settleGaps(capture);
    expect(await stored()).toMatchObject({ low: 6, high: 6, gaps: [] });
  });

  it('from now does not read the history when nobody writes', async () => {
    await client.query(`begin; select nextval('millrace.position'); rollback`);
    await insert(client);

    const { capture } = await claim('a', { from: { kind: 'now' } });

    expect(await stored()).toMatchObject({ low: 2, high: 2, gaps: [] });
    expect(positionsOf(await capture.nextPage())).toEqual([]);
  });

  it('from now looks back no further than the oldest writer', async () => {
    await client.query(`select nextval('millrace.position')`);
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, occurred_at)
       values (gen_random_uuid(), 'account', 'k', 'changed', '{}', now() - interval '1 hour')`,
    );
    const open = await insertAndStayOpen();

    await claim('a', { from: { kind: 'now' } });

    expect(await stored()).toMatchObject({ low: 2, high: 3, gaps: [[3, 3]] });
    await open.end('rollback');
  });

  it('from now looks through all of the history for a prepared writer, whose beginning nobody knows', async () => {
    await client.query(`begin`);
    await insert(client);
    await client.query(`prepare transaction '${database.name}'`);
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, occurred_at)
       values (gen_random_uuid(), 'account', 'k', 'changed', '{}', now() - interval '1 hour')`,
    );

    const { capture } = await claim('a', { from: { kind: 'now' } });

    expect(await stored()).toMatchObject({ low: 0, high: 2, gaps: [[1, 1]] });
    await client.query(`commit prepared '${database.name}'`);
    expect(positionsOf(await capture.nextPage())).toEqual([1]);
  });

  it('from a position gets that one and what follows', async () => {
    await insert(client, 4);

    const { capture } = await claim('a', { from: { kind: 'position', position: toPosition(3) } });

    expect(positionsOf(await capture.nextPage())).toEqual([3, 4]);
  });

  it('from a position that does not exist yet is refused, and no ledger is made', async () => {
    await insert(client, 4);
    const claiming = ask('a', { from: { kind: 'position', position: toPosition(6) } });

    await expect(claiming).rejects.toMatchObject({ code: 'sequence_behind', message: /position 6: the last .* is 4/ });
    expect(await stored()).toBeUndefined();
    expect((await claim('a', { from: { kind: 'position', position: toPosition(5) } })).epoch).toBeGreaterThan(0n);
  });

  it('does not use `from` again once it has a ledger', async () => {
    await insert(client, 2);
    await (await claim('a')).capture.close();

    expect(positionsOf(await (await claim('a', { from: { kind: 'now' } })).capture.nextPage())).toEqual([1, 2]);
  });
});

describe('a ledger of another server', () => {
  const adopt = (): Promise<number> =>
    adoptLedger({ databaseUrl: database.url, route: 'r', actor: 'ann', reason: 'compared' });

  /** A relay says for `life` which routes it has stopped. */
  const present = (stopped: readonly string[], life = '1 minute'): Promise<unknown> =>
    client.query(
      `insert into millrace.relay_member (source, owner, expires, config_version, stopped)
       values ('source', 'a', clock_timestamp() + $2::interval, '1', $1)
       on conflict (source, owner) do update set expires = excluded.expires, stopped = excluded.stopped`,
      [stopped, life],
    );

  it.each([
    ['system', `update millrace.ledger set system_identifier = '1'`],
    ['timeline', `update millrace.ledger set timeline = timeline + 1`],
  ])('(%s) is to be repaired, or adopted by an operator', async (_, statement) => {
    const open = await insertAndStayOpen();
    await insert(client);
    const { capture } = await claim('a');
    await capture.settle(await capture.nextPage());
    await capture.close();
    await client.query(statement);
    await client.query(`update millrace.ledger_gap set bound = '9999999'`);

    const refused = await ask('a');
    expect(refused).toMatchObject({ kind: 'forked' });
    await (refused.kind === 'forked' ? refused.repair.close() : undefined);
    expect(await stored()).toMatchObject({ owner: null, low: 0, high: 2 });
    await present(['r']);
    expect(await adopt()).toBe(1);

    const next = await claim('a');
    await open.end('rollback');
    await settleGaps(next.capture);
    expect(await stored()).toMatchObject({ low: 2, gaps: [] });
    const { rows } = await client.query('select actor, action, target, reason from millrace.audit');
    expect(rows).toEqual([{ actor: 'ann', action: 'route.adopt', target: 'r', reason: 'compared' }]);
  });

  it('is adopted with all shards of its route', async () => {
    await (await claim('a')).capture.close();
    await client.query(`insert into millrace.ledger (route, shard_of, low, high, epoch, system_identifier, timeline)
      select 'r/' || n, 'r', low, high, epoch, system_identifier, timeline - (n - 1) from millrace.ledger, generate_series(1, 3) n`);
    await client.query(`delete from millrace.ledger where route = 'r'`);

    await present(['r/3']);
    await expect(adopt()).rejects.toMatchObject({ message: expect.stringMatching(/^The ledger of r\/2 was written/) });
    await present(['r/2', 'r/3']);
    expect(await adopt()).toBe(2);

    const { rows } = await client.query(
      `select target from millrace.audit where action = 'route.adopt' order by target`,
    );
    expect(rows).toEqual([{ target: 'r/2' }, { target: 'r/3' }]);
  });

  it('is not adopted before a relay has tried to repair it on this server, nor while one does, nor unless it stopped', async () => {
    await (await claim('a')).capture.close();
    await client.query('update millrace.ledger set timeline = 0, epoch = 7');
    const refused = {
      code: 'identity_changed',
      message: expect.stringMatching(/^The ledger of r was written on another/),
    };

    await present(['r']);
    await expect(adopt()).rejects.toMatchObject(refused);
    const answer = await ask('a');
    await expect(adopt()).rejects.toMatchObject(refused);
    await (answer.kind === 'forked' ? answer.repair.close() : undefined);
    await present(['other']);
    await expect(adopt()).rejects.toMatchObject(refused);
    expect((await client.query('select timeline::integer from millrace.ledger')).rows).toEqual([{ timeline: 0 }]);

    await present(['r']);
    expect(await adopt()).toBe(1);
  });

  it('is adopted while no relay runs when its epoch tells that one has tried to repair it on this server', async () => {
    await (await claim('a')).capture.close();
    await present(['other'], '-1 second');
    await client.query(`update millrace.ledger set system_identifier = '1'`);
    await expect(adopt()).rejects.toMatchObject({ code: 'identity_changed' });

    await client.query('update millrace.ledger set timeline = 0, epoch = 7');
    await expect(adopt()).rejects.toMatchObject({ code: 'identity_changed' });
    const answer = await ask('a');
    await (answer.kind === 'forked' ? answer.repair.close() : undefined);
    expect(await adopt()).toBe(1);
  });

  it('is left as it is when it belongs to this server already', async () => {
    const { capture } = await claim('a');
    await present(['r']);

    expect(await adopt()).toBe(0);

    await capture.settle(await capture.nextPage());
    expect((await client.query('select from millrace.audit')).rowCount).toBe(0);
  });
});

describe('a claim is refused', () => {
  async function refusal(url: string): Promise<unknown> {
    return ask('a', { url }).then(
      () => null,
      (error: unknown) => error,
    );
  }

  const like = (code: CaptureErrorCode, message: RegExp): unknown =>
    expect.objectContaining({ code, message: expect.stringMatching(message) });

  it('where the schema is missing', async () => {
    const empty = await createTestDatabase({ isMigrated: false });
    expect(await refusal(empty.url)).toEqual(like('schema_missing', /no schema millrace.*millrace migrate/));
    await empty.drop();
  });

  it('where the schema is newer or older than this release', async () => {
    await client.query(`insert into millrace.migration (version, name, checksum) values (99, 'later', '')`);
    expect(await refusal(database.url)).toEqual(like('schema_too_new', /version 99.*Upgrade this program/));
    await client.query(`delete from millrace.migration; insert into millrace.migration values (-1, 'earlier', '')`);
    expect(await refusal(database.url)).toEqual(like('schema_too_old', /millrace migrate/));
  });

  it('by a database that is not there, a port that nobody listens on and a URL that is none', async () => {
    const missing = Object.assign(new URL(database.url), { pathname: '/no_such_database' }).toString();
    const silent = Object.assign(new URL(database.url), { port: String(await freePort()) }).toString();

    expect(await refusal(missing)).toEqual(like('database_unavailable', /database name.*3D000/));
    expect(await refusal(silent)).toEqual(like('database_unavailable', /does not answer.*ECONNREFUSED/));
    expect(await refusal('mysql://127.0.0.1/x')).toEqual(like('database_url_invalid', /postgres:\/\//));
    expect(await refusal('no url')).toEqual(like('database_url_invalid', /postgres:\/\//));
  });
});

describe('a claim after one whose page took longer than its limit', () => {
  it('asks for fewer rows, and the one before said what was wrong', async () => {
    await insert(client, 100);
    const source = createOutboxSource({ name: 'source', databaseUrl: database.url });
    const next = async (): Promise<CapturedPage> => {
      const result = await source.claim({
        route: 'r',
        owner: 'a',
        ttlMs: TTL_MS,
        from: EARLIEST,
        aggregateTypes: null,
      });
      if (result.kind !== 'claimed') {
        throw new Error(`The claim was answered with ${result.kind}.`);
      }
      captures.push(result.capture);
      return result.capture.nextPage();
    };
    const other = await database.connect();
    await other.query('begin');
    await other.query('lock table millrace.outbox in access exclusive mode');
    const first = next();
    await blocked('octets');
    await client.query(`select pg_cancel_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%octets%'`);

    await expect(first).rejects.toMatchObject({
      code: 'statement_timeout',
      disposition: 'retry',
      message: expect.stringMatching(/took longer than its limit.*57014/),
    });
    await other.end();
    expect((await next()).rowCount).toBe(64);
  });
});

describe('a login role', () => {
  let login: string;
  let url: string;

  beforeEach(async () => {
    login = `login_${database.name}`;
    await client.query(`create role ${login} login`);
    url = Object.assign(new URL(database.url), { username: login }).toString();
  });

  afterEach(async () => {
    await Promise.all(captures.map((capture) => capture.close()));
    await client.query(`drop role ${login}`);
  });

  it('without the group role is told which one it needs', async () => {
    await expect(ask('a', { url })).rejects.toMatchObject({ code: 'not_authorised', message: /grant millrace_relay/ });
  });

  it('that is only a member of millrace_relay can do all that a relay does', async () => {
    await client.query(`grant millrace_relay to ${login}`);
    const open = await insertAndStayOpen();
    await insert(client);
    const { capture } = await claim('a', { url, from: { kind: 'now' } });
    await insert(client);
    await capture.settle(await capture.nextPage());
    await open.end('commit');
    const page = await capture.nextPage();
    expect(positionsOf(page)).toEqual([1]);
    await capture.settle(page);
    expect(await stored()).toMatchObject({ low: 3, high: 3, gaps: [] });
    await createOutboxSource({ name: 's', databaseUrl: url }).setPaused({
      route: 'r',
      isPaused: true,
      actor: 'ann',
      reason: null,
    });
    await adoptLedger({ databaseUrl: url, route: 'r', actor: 'ann', reason: null });

    const reader = new PgOutboxReader(new PgConnection({ databaseUrl: url, applicationName: 'test' }), {
      aggregateTypes: null,
    });
    await reader.forceFlush();
    await reader.ensureLeaves();
    expect(await reader.flushedLsn()).toBeGreaterThan(0n);
    const writer = await insertAndStayOpen();
    expect(await reader.writers()).toMatchObject({
      oldestXid: expect.any(BigInt),
      oldest: expect.stringMatching(/^pid \d+, application test connection$/),
    });
    await writer.end('rollback');
    await reader.close();
  });
});
