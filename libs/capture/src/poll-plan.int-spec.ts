import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type EventFilter } from './event-filter.js';
import { type GapRange } from './ledger.js';
import { type PollRequest } from './outbox-reader.js';
import { PgConnection, type Statement } from './pg-connection.js';
import { PgOutboxReader, pollStatement } from './pg-outbox-reader.js';

const FILTER: EventFilter = {
  aggregateTypes: ['account'],
  eventTypes: ['opened', 'changed'],
  headerValues: [{ name: 'tenant', values: ['a', 'b'] }],
};

let database: TestDatabase;
let client: pg.Client;
let connection: PgConnection;

async function open(): Promise<void> {
  database = await createTestDatabase();
  client = await database.connect();
  connection = new PgConnection({ databaseUrl: database.url, applicationName: 'test' });
}

async function close(): Promise<void> {
  await connection.close();
  await client.end();
  await database.drop();
}

const gap = (lo: number, hi = lo): GapRange => ({
  lo: toPosition(lo),
  hi: toPosition(hi),
  bound: { xid: 1n, knownAtMs: 0 },
});

function request(above: number | null, gaps: readonly GapRange[] = [], reach: bigint | null = 1_000_000n): PollRequest {
  return { above: above === null ? null : toPosition(above), reach, gaps, rowsMax: 1_000, bytesMax: 8_000_000 };
}

interface PlanNode {
  readonly type: string;
  readonly relation: string | undefined;
}

/** Every node of the plan that the relay's own session makes for a poll. */
async function planOf(asked: PollRequest): Promise<readonly PlanNode[]> {
  const statement: Statement = pollStatement(asked, FILTER);
  const [row] = await connection.rows({
    text: `explain (format json) ${statement.text}`,
    values: statement.values ?? [],
  });
  const nodes: PlanNode[] = [];
  const visit = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) {
      if ('Node Type' in value) {
        const relation = 'Relation Name' in value ? String(value['Relation Name']) : undefined;
        nodes.push({ type: String(value['Node Type']), relation });
      }
      Object.values(value).forEach(visit);
    }
  };
  visit(JSON.parse(row?.[0] ?? '[]'));
  return nodes;
}

function relationsOf(nodes: readonly PlanNode[]): string[] {
  const relations = nodes.flatMap(({ relation }) =>
    relation === undefined || relation === 'position' ? [] : [relation],
  );
  return [...new Set(relations)].sort();
}

describe('the plan of a poll', () => {
  beforeAll(async () => {
    await open();
    await client.query(`insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, payload)
      select n + leaf, gen_random_uuid(), 'account', 'k', 'changed', '{}'
      from generate_series(1, 10000) n cross join (values (0), (3000000)) l (leaf)`);
  });

  afterAll(close);

  const singles = Array.from({ length: 500 }, (_, index) => gap(3_000_002 + index * 4));
  const ranges = [gap(3_000_003, 3_000_005), gap(3_004_000, 3_005_000)];
  const cases: [string, PollRequest, string[]][] = [
    ['rows above', request(3_005_000, [], 10_000n), ['outbox_p3000001']],
    ['rows above at the end of a leaf', request(3_999_999), ['outbox_p3000001', 'outbox_p4000001']],
    ['single gaps', request(null, singles), ['outbox_p3000001']],
    ['ranges', request(null, ranges), ['outbox_p3000001']],
    ['all of them', request(3_010_000, [...ranges, ...singles]), ['outbox_p3000001', 'outbox_p4000001']],
    ['an old gap and rows above', request(3_010_000, [gap(17)]), ['outbox_p1', 'outbox_p3000001', 'outbox_p4000001']],
  ];

  describe.each(['never analysed', 'analysed'])('(leaves %s)', (state) => {
    beforeAll(async () => {
      if (state === 'analysed') {
        await client.query('analyze millrace.outbox');
      }
    });

    it.each(cases)('of %s reads by index, from the leaves that can hold the positions', async (_, asked, leaves) => {
      const nodes = await planOf(asked);

      expect(relationsOf(nodes)).toEqual(leaves);
      expect(nodes.filter(({ type, relation }) => type === 'Seq Scan' && relation !== 'position')).toEqual([]);
      expect(nodes.some(({ type }) => /^(Index|Bitmap)/.test(type))).toBe(true);
    });

    it('of thousands of gaps looks each of them up', async () => {
      const many = Array.from({ length: 5_000 }, (_, index) => gap(2 * index + 2));
      const nodes = await planOf(request(null, many));

      expect(relationsOf(nodes)).toEqual(['outbox_p1']);
      expect(nodes.filter(({ type }) => /Join|Seq Scan/.test(type)).map(({ relation }) => relation)).toEqual([
        'position',
      ]);
    });
  });

  it('without a reach looks into every leaf above, and into the default partition', async () => {
    const relations = relationsOf(await planOf(request(8_500_000, [], null)));

    expect(relations).toEqual(['outbox_default', 'outbox_p8000001', 'outbox_p9000001']);
  });

  it('waits for no lock on an old leaf', async () => {
    await client.query('begin');
    await client.query('lock table millrace.outbox_p1 in access exclusive mode');

    const { rows } = await new PgOutboxReader(connection, { aggregateTypes: null }).poll(
      request(3_000_000, ranges.concat(singles.slice(1))),
    );

    expect(rows).toHaveLength(1_000);
    await client.query('rollback');
  });
});

describe('a polled event', () => {
  beforeEach(open);
  afterEach(close);

  it('has the payload exactly as PostgreSQL prints it, bare texts as headers and the time to the millisecond', async () => {
    const kolkata = new URL(database.url);
    kolkata.searchParams.set('options', '-c timezone=Asia/Kolkata');
    await client.query(`alter database ${database.name} set datestyle = 'German'`);
    const there = new PgConnection({ databaseUrl: kolkata.toString(), applicationName: 'test' });
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers, occurred_at)
       values ('0192d4a0-0000-7000-8000-000000000001', 'account', 'k-1', 'opened', 9007199254740993, 2,
         '{"b": 1.50, "a": "ä\\u0009", "n": 12345678901234567890}',
         '{"tenant": "t 1", "try": 2, "flag": true, "none": null, "list": [1, "x"], "__proto__": "kept"}',
         '2026-11-21 11:20:00.123456+00')`,
    );

    const { rows } = await new PgOutboxReader(there, { aggregateTypes: ['account'] }).poll(request(0));
    await there.close();

    const [row] = rows;
    expect(row?.event).toMatchObject({
      position: 1n,
      id: '0192d4a0-0000-7000-8000-000000000001',
      aggregateType: 'account',
      aggregateId: 'k-1',
      type: 'opened',
      aggregateVersion: '9007199254740993',
      schemaVersion: 2,
      payload: '{"a": "ä\\t", "b": 1.50, "n": 12345678901234567890}',
      occurredAtMs: Date.UTC(2026, 10, 21, 11, 20, 0, 123),
    });
    expect(Object.entries(row?.event?.headers ?? {}).sort()).toEqual([
      ['__proto__', 'kept'],
      ['flag', 'true'],
      ['list', '[1, "x"]'],
      ['none', 'null'],
      ['tenant', 't 1'],
      ['try', '2'],
    ]);
    const bytes = Buffer.byteLength(row?.event?.payload ?? '');
    expect(row?.bytes).toBeGreaterThan(bytes);
  });

  it('has numbers and deep values of its headers exactly as PostgreSQL prints them, and counts what is printed', async () => {
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, headers)
       values (gen_random_uuid(), 'account', 'k', 'opened', '{}', '{"big": 12345678901234567890, "scale": 1.10}'),
         (gen_random_uuid(), 'account', 'k', 'opened', '{}', ('{"d":' || repeat('[', 5000) || repeat(']', 5000) || '}')::jsonb),
         (gen_random_uuid(), 'account', 'k', 'opened', '{}', '{}')`,
    );

    const { rows } = await new PgOutboxReader(connection, { aggregateTypes: null }).poll(request(0));

    const d = '['.repeat(5_000) + ']'.repeat(5_000);
    expect(rows.map(({ event }) => event?.headers)).toEqual([
      { big: '12345678901234567890', scale: '1.10' },
      { d },
      {},
    ]);
    expect(rows[1]?.bytes).toBe(Buffer.byteLength(JSON.stringify({ d })) + '{}'.length + ' '.length);
  });

  it('without headers has none, and one that the route does not want leaves its position alone', async () => {
    await client.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
      values (gen_random_uuid(), 'account', 'k', 'opened', 'null'), (gen_random_uuid(), 'order', 'k', 'placed', '{}')`);

    const { rows } = await new PgOutboxReader(connection, { aggregateTypes: ['account'] }).poll(request(0));

    expect(rows).toEqual([
      { position: 1n, bytes: 4, event: expect.objectContaining({ payload: 'null', headers: null }) },
      { position: 2n, bytes: 0, event: null },
    ]);
  });

  it('is wanted when each condition of the filter holds, and its payload stays in the database when one does not', async () => {
    await client.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, headers)
      values (gen_random_uuid(), 'account', 'k', 'opened', '{"n": 1}', '{"tenant": "a", "other": 1}'),
        (gen_random_uuid(), 'account', 'k', 'closed', '{"n": 2}', '{"tenant": "a"}'),
        (gen_random_uuid(), 'order', 'k', 'opened', '{"n": 3}', '{"tenant": "a"}'),
        (gen_random_uuid(), 'account', 'k', 'opened', '{"n": 4}', '{"tenant": "A"}'),
        (gen_random_uuid(), 'account', 'k', 'opened', '{"n": 5}', '{"Tenant": "a"}'),
        (gen_random_uuid(), 'account', 'k', 'opened', '{"n": 6}', null),
        (gen_random_uuid(), 'account', 'k', 'changed', '{"n": 7}', '{"tenant": "b"}')`);

    const answer = await connection.rows(pollStatement(request(0), FILTER));

    expect(answer.slice(1).map(([position, , , , , , , payload]) => [position, payload])).toEqual([
      ['1', '{"n": 1}'],
      ...['2', '3', '4', '5', '6'].map((position) => [position, null]),
      ['7', '{"n": 7}'],
    ]);
    const { rows } = await new PgOutboxReader(connection, FILTER).poll(request(0));
    expect(rows.map(({ event, bytes }) => [event?.payload ?? null, bytes > 0])).toEqual([
      ['{"n": 1}', true],
      ...Array.from({ length: 5 }, () => [null, false]),
      ['{"n": 7}', true],
    ]);
  });
});
