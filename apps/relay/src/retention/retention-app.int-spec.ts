import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { portOf } from '@millrace/http';
import {
  createTestDatabase,
  type TestDatabase,
  testKafkaBrokers,
  topicOffsets,
  uniqueName,
  until,
} from '@millrace/testing';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { type RetentionView } from '../admin/retention/retention-view.js';
import { readRelaySettings } from '../relay.config.js';
import { startRelay } from '../relay-app.js';

const LEAF = 1_000_000;
const HOUR_MS = 3_600_000;
const TOKEN = 'a-token-of-some-length';
/** As a relay, only faster: a route that is over a limit expires after half a second. */
const PACE = { intervalMs: 100, firstWithinMs: 50, expiryGraceMs: 500 };

type SourceView = RetentionView['sources'][number];

let database: TestDatabase;
let client: pg.Client;
let topic: string;
let aggregateType: string;
let archive: string;
let app: NestExpressApplication | undefined;
let logged: string;

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  aggregateType = uniqueName('order');
  topic = `outbox.event.${aggregateType}`;
  archive = await mkdtemp(join(tmpdir(), 'millrace-archive-'));
  logged = '';
});

afterEach(async () => {
  await app?.close();
  app = undefined;
  await client.end();
  await database.drop();
  await rm(archive, { recursive: true });
});

async function start(more: Readonly<Record<string, string>> = {}): Promise<void> {
  const settings = readRelaySettings({
    PORT: '0',
    MILLRACE_ADMIN_TOKEN: TOKEN,
    DATABASE_URL: database.url,
    KAFKA_BROKERS: testKafkaBrokers().join(','),
    ...more,
  });
  const logDestination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      logged += chunk.toString('utf8');
      done();
    },
  });
  app = await startRelay(settings, { logDestination, retentionPace: PACE });
}

async function ask(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`http://127.0.0.1:${app === undefined ? 0 : portOf(app)}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith('{') ? (JSON.parse(text) as unknown) : text };
}

async function history(): Promise<SourceView | undefined> {
  return ((await ask('GET', '/admin/v1/retention')).body as RetentionView).sources[0];
}

async function insert(count: number, ageMs = 0): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, occurred_at)
     select gen_random_uuid(), $1, 'a', 'placed', '{}', clock_timestamp() - $3 * interval '1 ms' from generate_series(1, $2)`,
    [aggregateType, count, ageMs],
  );
}

/** Three rows of yesterday in the first leaf, two of now in the second. */
async function twoLeaves(): Promise<void> {
  await insert(3, 24 * HOUR_MS);
  await client.query(`select setval('millrace.position', ${LEAF})`);
  await insert(2);
}

const rowsOf = async (table: string): Promise<number> => {
  const { rows } = await client.query<{ count: string }>(`select count(*) from millrace.${table}`);
  return Number(rows[0]?.count);
};

async function untilRows(table: string, count: number): Promise<void> {
  await until(
    () => rowsOf(table),
    (seen) => seen === count,
    `${table} to have ${count} rows`,
  );
}

const inKafka = async (): Promise<number> =>
  (await topicOffsets(testKafkaBrokers(), topic).catch(() => [])).reduce(
    (sum, { first, end }) => sum + Number(end - first),
    0,
  );

async function routeState(): Promise<string> {
  const { body } = await ask('GET', '/admin/v1/routes/default');
  const { state } = body as { state: { kind: string; problem?: { code: string } } };
  return [state.kind, ...(state.problem === undefined ? [] : [state.problem.code])].join(' ');
}

async function untilRoute(state: string): Promise<void> {
  await until(routeState, (seen) => seen === state, `the route to be ${state}`);
}

/** One that is still in use is waited for. */
async function dropSlots(): Promise<void> {
  const slots = 'from pg_replication_slots where database = current_database()';
  await until(
    async () => {
      await client.query(`select pg_drop_replication_slot(slot_name) ${slots} and not active`);
      return (await client.query(`select ${slots}`)).rowCount;
    },
    (count) => count === 0,
    'the slots to be gone',
  );
}

async function audited(action: string): Promise<unknown[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    'select actor, target, reason from millrace.audit where action = $1 order by id',
    [action],
  );
  return rows;
}

const linesOf = (phrase: string): Record<string, unknown>[] =>
  logged
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === phrase);

describe('a relay with a time to keep', () => {
  it('writes rows that are settled and old to the archive, removes them, and keeps the young ones', async () => {
    await twoLeaves();
    await start({ MILLRACE_RETENTION_KEEP: '1h', MILLRACE_RETENTION_ARCHIVE_DIR: archive });
    await untilRows('outbox_p1', 0);

    await until(inKafka, (count) => count === 5, 'all rows in Kafka');
    expect(await rowsOf('outbox')).toBe(2);
    expect(await audited('leaf.empty')).toHaveLength(1);
    expect(await readdir(join(archive, 'default'))).toEqual([
      expect.stringMatching(/^outbox_p1\.1-1000000\.[0-9a-f]{16}\.jsonl\.gz$/),
    ]);
    await until(history, (view) => view?.leaves[0]?.state === 'emptied', 'the end of the run');
    const seen = await until(history, (view) => view?.routes[0]?.low === String(LEAF + 2), 'the next run');
    expect(seen).toMatchObject({
      source: 'default',
      policy: { keep: '1h', maxAge: null, maxBytes: null, archive },
      problem: null,
      lastRun: { at: expect.stringMatching(/^\d{4}-.*Z$/) },
      lastPosition: String(LEAF + 2),
      defaultPartition: null,
      alarms: [],
      routes: [{ route: 'default', isExpired: false, leaves: 0, positions: '0', oldestSeconds: 0 }],
    });
    expect(seen?.leaves.find(({ state }) => state === 'filling')).toMatchObject({ lo: String(LEAF + 1) });
    expect(linesOf('leaf archived')).toMatchObject([{ source: 'default', rows: 3 }]);
    expect(linesOf('leaf emptied')).toMatchObject([{ source: 'default', table: 'millrace.outbox_p1', rows: 3 }]);
    const metrics = String((await ask('GET', '/metrics')).body);
    for (const line of [
      'millrace_retention_leaves_emptied_total{source="default"} 1',
      'millrace_retention_rows_removed_total{source="default"} 3',
      'millrace_retention_leaves_archived_total{source="default"} 1',
      'millrace_retention_leaves{source="default",state="filling"} 1',
      'millrace_retention_alarms{source="default",alarm="leaf_miscounted"} 0',
      'millrace_retention_held_positions{source="default",route="default"} 0',
      'millrace_retention_default_partition_bytes{source="default"} 0',
    ]) {
      expect(metrics).toContain(line);
    }
    for (const name of ['outbox_bytes', 'oldest_row_seconds', 'last_success_timestamp_seconds']) {
      expect(metrics).toMatch(new RegExp(`millrace_retention_${name}\\{source="default"\\} \\d`));
    }
  });

  it('counts rows from the stream as rows from the table, over changes of the mode and rolled-back ones', async () => {
    const reading = async (): Promise<unknown> => {
      const { body } = await ask('GET', '/admin/v1/routes/default');
      return (body as { capture: { reading: string } | null }).capture?.reading;
    };
    const change = async (mode: string, wanted: string): Promise<void> => {
      await ask('PUT', '/admin/v1/routes/default/capture', { mode });
      await until(reading, (seen) => seen === wanted, `the route to read the ${wanted}`);
    };
    await start({ MILLRACE_RETENTION_KEEP: '1h', MILLRACE_CAPTURE: 'wal' });
    await until(reading, (seen) => seen === 'stream', 'the stream');
    try {
      for (const [mode, wanted] of [
        ['polling', 'table'],
        ['wal', 'stream'],
      ] as const) {
        await insert(150, 24 * HOUR_MS);
        await client.query('begin');
        await insert(20, 24 * HOUR_MS);
        await client.query('rollback');
        await change(mode, wanted);
        await insert(50, 24 * HOUR_MS);
      }
      await client.query(`select setval('millrace.position', ${LEAF})`);
      await insert(2);
      await untilRows('outbox_p1', 0);

      // the line comes after the rows have gone
      await until(
        () => Promise.resolve(linesOf('leaf emptied')),
        (lines) => lines.length > 0,
        'the line of the log',
      );
      expect(linesOf('leaf emptied')).toMatchObject([{ rows: 400 }]);
      expect(linesOf('retention alarm')).toEqual([]);
      await until(inKafka, (count) => count === 402, 'all rows in Kafka');
    } finally {
      await change('polling', 'table');
      await app?.close();
      await dropSlots();
    }
  });

  it('keeps what it could not archive, says so once, and removes it when the archive is there again', async () => {
    await twoLeaves();
    await rm(archive, { recursive: true });
    await start({ MILLRACE_RETENTION_KEEP: '1h', MILLRACE_RETENTION_ARCHIVE_DIR: archive });
    await until(history, (view) => view?.alarms[0]?.name === 'archive_failed', 'the alarm');
    await until(
      async () => String((await ask('GET', '/metrics')).body),
      (text) => /runs_total\{source="default",code="ok"\} ([3-9]|\d\d)/.test(text),
      'three runs',
    );
    expect(await rowsOf('outbox_p1')).toBe(3);
    const problem = `The archive directory ${archive} cannot be used (ENOENT): `;
    expect(linesOf('retention alarm').map((line) => [line['alarm'], line['problem']])).toEqual(
      expect.arrayContaining([
        ['archive_failed', expect.stringContaining(problem)],
        ['archive_missing', expect.stringContaining(problem)],
      ]),
    );
    expect(linesOf('retention alarm')).toHaveLength(2);

    await mkdir(archive);
    await untilRows('outbox_p1', 0);
    await until(history, (view) => view?.alarms.length === 0, 'the alarm to be over');
    expect(linesOf('retention alarm over').map(({ alarm }) => alarm)).toEqual(
      expect.arrayContaining(['archive_failed', 'archive_missing']),
    );
  });

  it('lets a paused route hold its rows, lets it expire by policy, and lets it go on when a person says so', async () => {
    await start({ MILLRACE_RETENTION_KEEP: '1h' });
    await untilRoute('running');
    await ask('POST', '/admin/v1/routes/default/pause', { reason: 'maintenance' });
    await untilRoute('paused');
    await twoLeaves();
    const held = await until(history, (view) => view?.leaves[0]?.state === 'held', 'the route to hold a leaf');
    expect(held).toMatchObject({
      routes: [{ route: 'default', leaves: 1, positions: String(LEAF), isExpired: false }],
      alarms: [],
    });
    expect(held?.leaves[0]).toMatchObject({ table: 'millrace.outbox_p1', route: 'default' });
    expect(await rowsOf('outbox_p1')).toBe(3);
    await app?.close();

    await start({ MILLRACE_RETENTION_KEEP: '1h', MILLRACE_RETENTION_MAX_AGE: '2h' });
    await untilRows('outbox_p1', 0);
    await untilRoute('stopped route_expired');
    const expired = await until(history, (view) => view?.alarms[0]?.name === 'route_expired', 'the alarm');
    expect(expired?.routes).toMatchObject([{ route: 'default', isExpired: true }]);
    expect(linesOf('route expired')).toMatchObject([{ route: 'default', low: '0', leaves: 1 }]);
    expect(await audited('route.expire')).toMatchObject([{ actor: 'retention', target: 'default' }]);

    const command = { reason: 'the sink is back' };
    expect(await ask('POST', '/admin/v1/routes/default/let-go-on', command)).toEqual({
      status: 200,
      body: { route: 'default', ledgers: [{ ledger: 'default', lost: { from: '1', to: String(LEAF) } }] },
    });
    expect(await audited('route.let_go_on')).toEqual([
      { actor: 'first-admin', target: 'default', reason: 'the sink is back' },
    ]);
    // the pause is another decision
    await untilRoute('paused');
    await until(history, (view) => view?.alarms.length === 0, 'the alarm to be over');
    expect((await ask('POST', '/admin/v1/routes/default/let-go-on', command)).body).toMatchObject({ ledgers: [] });
    await ask('POST', '/admin/v1/routes/default/resume', {});
    await until(inKafka, (count) => count === 2, 'the rows that are still there in Kafka');
  });

  it('keeps a leaf with a row that nobody has read until a person has seen the numbers and accepted them', async () => {
    const command = '/admin/v1/retention/default/leaves/1/accept-count';
    await twoLeaves();
    await start();
    await until(history, (view) => view?.leaves[0]?.state === 'kept', 'the leaf to be settled');
    await client.query(`insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, payload, occurred_at)
      select 2000, gen_random_uuid(), 'a', 'k', 't', '{}', clock_timestamp() - interval '1 day'`);
    await app?.close();
    await start({ MILLRACE_RETENTION_KEEP: '1h' });
    const seen = await until(history, (view) => view?.leaves[0]?.state === 'miscounted', 'the leaf to be miscounted');
    expect(seen?.alarms).toMatchObject([{ name: 'leaf_miscounted', message: expect.stringContaining('has 4 rows') }]);

    const numbers = { rows: 4, routes: [{ route: 'default', counted: 3, found: 4 }] };
    const dryRun = await ask('POST', command, { dryRun: true });
    expect(dryRun).toEqual({ status: 200, body: { outcome: 'differs', ...numbers } });
    expect(await ask('POST', command, { rows: 3, reason: 'sent by hand' })).toMatchObject({
      status: 409,
      body: { detail: 'The leaf has 4 rows now: look again with { "dryRun": true }.' },
    });
    expect(await audited('leaf.accept_count')).toEqual([]);
    expect(await ask('POST', command, { rows: 4, reason: 'sent by hand' })).toEqual({
      status: 200,
      body: { outcome: 'accepted', ...numbers },
    });
    expect(await audited('leaf.accept_count')).toMatchObject([{ actor: 'first-admin', reason: 'sent by hand' }]);
    await untilRows('outbox_p1', 0);
    expect((await ask('POST', command, { dryRun: true })).body).toMatchObject({ outcome: 'fits' });
  });

  it('refuses a decision about a leaf that is not settled, is none, or without what it needs', async () => {
    await start();
    await untilRoute('running');
    for (const [path, body, status] of [
      ['default/leaves/1/accept-count', { rows: 3 }, 400],
      ['default/leaves/1/accept-count', { rows: -1, reason: 'r' }, 400],
      ['default/leaves/one/accept-count', { dryRun: true }, 400],
      ['default/leaves/7/accept-count', { dryRun: true }, 404],
      ['absent/leaves/1/accept-count', { dryRun: true }, 404],
      ['default/leaves/1/accept-count', { dryRun: true }, 409],
    ] as const) {
      expect(await ask('POST', `/admin/v1/retention/${path}`, body)).toMatchObject({ status, body: { status } });
    }
  });
});

describe('a relay without a time to keep', () => {
  it('shows what there is and removes nothing', async () => {
    await twoLeaves();
    await start();
    const seen = await until(history, (view) => view?.leaves[0]?.state === 'kept', 'the leaf to be settled');
    expect(seen).toMatchObject({ policy: null, alarms: [], lastRun: { leavesEmptied: 0 } });
    expect(seen?.oldestRowSeconds).toBeGreaterThan(86_000);
    expect(await rowsOf('outbox')).toBe(5);
  });
});
