import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, freePort, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { run } from './program.js';

const LEAF = 1_000_000;

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let database: TestDatabase;
let client: pg.Client;

/** Three rows of three days ago in the first leaf, which one route has settled, and one row in the second. */
beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  await insert(3, 3);
  await client.query(`select setval('millrace.position', ${LEAF})`);
  await insert(1, 0);
  await client.query(`insert into millrace.ledger
    (route, low, high, epoch, system_identifier, timeline, counted_from, leaf_lo, leaf_rows)
    select 'quick', ${LEAF + 1}, ${LEAF + 1}, 1, system_identifier,
      ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint, 1, 1, 3 from pg_control_system()`);
});

afterEach(async () => {
  await client.end();
  await database.drop();
});

async function insert(rows: number, daysAgo: number): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, occurred_at)
     select gen_random_uuid(), 'a', 'k', 't', '{}', clock_timestamp() - $2 * interval '1 day' from generate_series(1, $1)`,
    [rows, daysAgo],
  );
}

async function retention(...args: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const code = await run(['retention', ...args, '--database-url', database.url], {
    out: (text) => (out += text),
    err: (text) => (err += text),
  });
  return { code, out, err };
}

async function slowRoute(): Promise<void> {
  await client.query(`insert into millrace.ledger
    (route, low, high, epoch, system_identifier, timeline, counted_from)
    select 'slow', 1, 1, 1, system_identifier, timeline, 1 from millrace.ledger`);
}

async function audited(action: string): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(
    'select actor, target, reason from millrace.audit where action = $1',
    [action],
  );
  return rows;
}

describe('millrace retention status', () => {
  it('shows leaves with what they wait for, and what each route holds up', async () => {
    await slowRoute();
    const { code, out, err } = await retention('status', '--keep', '1d');

    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^Outbox of \d+ KiB, oldest row 3 d old, last position 1000001\.$/);
    expect(lines[1]).toMatch(/^1\d leaves: 2 with rows, 0 emptied, 0 empty, \d+ ahead\.$/);
    expect(lines[2]).toMatch(
      /^held {13}millrace\.outbox_p1 1 to 1000000: about \d rows, \d+ KiB, newest 3 d old, for route slow$/,
    );
    expect(lines[3]).toMatch(/^filling {10}millrace\.outbox_p1000001 1000001 to 2000000: about \d rows, /);
    expect(lines[4]).toBe('route quick has settled up to 1000001 and holds nothing up');
    expect(lines[5]).toMatch(
      /^route slow has settled up to 1 and holds 1 leaf up: 999999 positions, \d+ KiB, 3 d old$/,
    );
  });

  it('tells which leaves are due, and is one JSON object for programs', async () => {
    expect((await retention('status', '--keep', '1d')).out).toMatch(/^due {14}millrace\.outbox_p1 /m);
    expect((await retention('status', '--keep', '7d')).out).toMatch(/^young {12}millrace\.outbox_p1 /m);
    const { out } = await retention('status', '--json');
    expect(JSON.parse(out)).toMatchObject({ lastPosition: '1000001', routes: [{ route: 'quick', positions: '0' }] });
    expect(out).toContain('"lo":"1","last":"1000000"');
  });
});

describe('millrace retention let-go-on', () => {
  it('lets an expired route go on and says what it has lost', async () => {
    await slowRoute();
    await client.query(`update millrace.ledger set expired_at = clock_timestamp() where route = 'slow'`);
    await client.query('select millrace.empty_leaf(1, 0)');
    expect((await retention('status')).out).toMatch(/^route slow .* has expired: millrace retention let-go-on$/m);

    const command = ['let-go-on', '--route', 'slow', '--reason', 'repaired', '--exempt', '2d'];
    expect(await retention(...command)).toEqual({
      code: 0,
      out:
        'Route slow may go on. Rows that it had not settled were removed among positions 2 to 1000000: make up for them. ' +
        'Resume it where it is stopped.\n',
      err: '',
    });
    expect((await retention(...command)).out).toBe('Route slow has not expired. Nothing was changed.\n');
    expect(await audited('route.let_go_on')).toEqual([
      { actor: expect.stringMatching(/^cli /), target: 'slow', reason: 'repaired' },
    ]);
  });

  it('says that there is no such route', async () => {
    expect(await retention('let-go-on', '--route', 'x', '--reason', 'r')).toEqual({
      code: 1,
      out: '',
      err: 'error: Route x has no ledger in this database.\n',
    });
  });
});

describe('millrace retention accept-count', () => {
  beforeEach(async () => {
    await client.query(`insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, payload)
      values (500, gen_random_uuid(), 'a', 'k', 't', '{}')`);
  });

  it('tells the numbers, accepts what was seen only, and writes it down', async () => {
    const numbers = 'The leaf has 4 rows.\nRoute quick has read 3 of it and should have read 4.\n';
    expect(await retention('accept-count', '--leaf', '1', '--dry-run')).toMatchObject({
      code: 0,
      out: `${numbers}Nothing was changed.\n`,
    });
    expect(await retention('accept-count', '--leaf', '1', '--rows', '3', '--reason', 'r')).toMatchObject({
      code: 2,
      err: 'error: The leaf has 4 rows now, not 3: look again with --dry-run.\n',
    });
    expect(await audited('leaf.accept_count')).toEqual([]);
    expect(await retention('accept-count', '--leaf', '1', '--rows', '4', '--reason', 'sent by hand')).toMatchObject({
      code: 0,
      out: `${numbers}Accepted: the leaf can be emptied now.\n`,
    });
    expect(await audited('leaf.accept_count')).toMatchObject([{ reason: 'sent by hand' }]);
    expect((await retention('accept-count', '--leaf', '1', '--dry-run')).out).toBe(
      'The leaf has 4 rows, and every route has read exactly these.\nNothing was changed.\n',
    );
  });

  it('says why a leaf cannot be counted', async () => {
    expect(await retention('accept-count', '--leaf', '7', '--dry-run')).toEqual({
      code: 1,
      out: '',
      err: 'error: No leaf begins at this position: millrace retention status lists all.\n',
    });
  });
});

it('a database that cannot be reached is told with exit code 3', async () => {
  let err = '';
  const url = `postgres://u:geheim@127.0.0.1:${await freePort()}/x`;
  const terminal = { out: () => undefined, err: (text: string) => (err += text) };

  expect(await run(['retention', 'status', '-d', url], terminal)).toBe(3);
  expect(err).toMatch(/^error: The database does not answer/);
});
