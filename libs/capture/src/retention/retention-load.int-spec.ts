import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type CapturePort } from '../capture-port.js';
import { PgConnection } from '../pg-connection.js';
import { createOutboxSource } from '../outbox-source.js';
import { RetentionKeeper } from './retention-keeper.js';
import { type RetentionReport } from './retention-observer.js';

const FIRST = 10_000_001;
const LEAF_WIDTH = 50;
const LEAVES = 60;
const PRODUCERS = 4;
const TRANSACTIONS = 120;
const SEED = 20_261_121;

let database: TestDatabase;
let admin: pg.Client;
let open: { close(): Promise<void> }[];

beforeEach(async () => {
  database = await createTestDatabase();
  admin = await database.connect();
  open = [];
  await admin.query('select millrace.ensure_leaves($1, $2)', [10 + LEAVES, LEAF_WIDTH]);
  await admin.query(`select setval('millrace.position', $1)`, [FIRST - 1]);
});

afterEach(async () => {
  await Promise.all(open.map((thing) => thing.close()));
  await admin.end();
  await database.drop();
});

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

async function connect(): Promise<pg.Client> {
  const client = await database.connect();
  open.push({ close: () => client.end() });
  return client;
}

/** Commits most of its transactions of one to three events; returns the positions of the committed ones. */
async function produce(client: pg.Client, random: () => number): Promise<number[]> {
  const committed: number[] = [];
  for (let n = 0; n < TRANSACTIONS; n += 1) {
    await client.query('begin');
    const { rows } = await client.query<{ position: string }>(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
       select gen_random_uuid(), 'a', 'k', 't', '{}' from generate_series(1, $1) returning position`,
      [1 + Math.floor(random() * 3)],
    );
    if (random() < 0.1) {
      await client.query('select pg_sleep(0.05)');
    }
    const isCommitted = random() < 0.8;
    await client.query(isCommitted ? 'commit' : 'rollback');
    committed.push(...(isCommitted ? rows.map(({ position }) => Number(position)) : []));
  }
  return committed;
}

async function claim(route: string, owner: string): Promise<CapturePort> {
  const source = createOutboxSource({ name: 'shop', databaseUrl: database.url, pageRowsMax: 40 });
  const from = { kind: 'earliest' } as const;
  const result = await source.claim({ route, owner, ttlMs: 600_000, from, aggregateTypes: null });
  if (result.kind !== 'claimed') {
    throw new Error(`The claim was answered with ${result.kind}.`);
  }
  open.push(result.capture);
  return result.capture;
}

/** Reads pages, settles some of them together, gives the route up now and then; returns all positions it was handed. */
async function relay(route: string, random: () => number, isOver: (low: number) => boolean): Promise<Set<number>> {
  const handed = new Set<number>();
  let capture = await claim(route, 'a');
  for (let low = 0; !isOver(low); low = Number(capture.status().low)) {
    if (random() < 0.02) {
      await capture.close();
      capture = await claim(route, 'b');
    }
    let page = await capture.nextPage();
    let isChanged = page.isChanged;
    page.events.forEach(({ position }) => handed.add(Number(position)));
    if (random() < 0.3) {
      page = await capture.nextPage();
      isChanged ||= page.isChanged;
      page.events.forEach(({ position }) => handed.add(Number(position)));
    }
    if (isChanged) {
      await capture.settle(page);
    }
  }
  return handed;
}

describe('under load, with small leaves and nothing to keep', () => {
  it('retention removes what was read, all of it in the end, and nothing else', async () => {
    const random = randomOf(SEED);
    let last = Number.POSITIVE_INFINITY;
    const isOver = (low: number): boolean => low >= last;
    const producing = Promise.all(
      (await Promise.all(Array.from({ length: PRODUCERS }, () => connect()))).map((client) => produce(client, random)),
    );
    const relaying = [relay('one', random, isOver), relay('two', random, isOver)];
    const reports: RetentionReport[] = [];
    let nowMs = 0;
    let isRelayed = false;
    const keepers = [1, 2].map(
      () =>
        new RetentionKeeper({
          source: 'shop',
          connect: () => new PgConnection({ databaseUrl: database.url, applicationName: 'test retention' }),
          clock: { nowMs: () => (nowMs += 60_000), sleep: () => Promise.resolve() },
          policy: { keepMs: 0, maxAgeMs: null, maxBytes: null },
          observer: { ran: (report) => reports.push(report) },
          expiryGraceMs: 0,
        }),
    );
    const keeping = keepers.map(async (keeper) => {
      while (!isRelayed) {
        await keeper.run();
      }
    });

    const committed = (await producing).flat();
    await admin.query(`select setval('millrace.position', $1)`, [FIRST - 1 + (LEAVES - 1) * LEAF_WIDTH]);
    const { rows } = await admin.query<{ position: string }>(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
       values (gen_random_uuid(), 'a', 'k', 't', '{}') returning position`,
    );
    last = Number(rows[0]?.position);
    const handed = await Promise.all(relaying);
    isRelayed = true;
    await Promise.all(keeping);
    for (let runs = 0; runs < 20; runs += 1) {
      await keepers[0]?.run();
    }

    const expected = [...committed, last].sort((a, b) => a - b);
    expect(handed.map((positions) => [...positions].sort((a, b) => a - b))).toEqual([expected, expected]);
    expect(reports.flatMap(({ alarms }) => alarms)).toEqual([]);
    const removed = reports.flatMap(({ emptied }) => emptied).reduce((sum, { rows: count }) => sum + count, 0);
    expect(removed).toBe(committed.length);
    expect((await admin.query('select position::int from millrace.outbox')).rows).toEqual([{ position: last }]);
    const counted = await admin.query(`select l.route,
        (l.leaf_rows + (select coalesce(sum(c.rows_read), 0) from millrace.ledger_leaf c where c.route = l.route))::int as rows
      from millrace.ledger l order by 1`);
    expect(counted.rows).toEqual([
      { route: 'one', rows: 1 },
      { route: 'two', rows: 1 },
    ]);
  }, 300_000);
});
