import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';

const INSERT = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
  values (gen_random_uuid(), 'order', 'o-1', 'order.placed', '{}') returning position, id`;
const REFUSED = { code: '23001', message: expect.stringMatching(/events are immutable$/) };

let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
});

afterEach(async () => {
  await client.end();
  await database.drop();
});

describe('the default of position', () => {
  it('is evaluated per row, after the transaction has its xid, and follows the sort', async () => {
    const { rows: plan } = await client.query<Record<string, string>>(`explain (verbose, costs off) ${INSERT}`);
    expect(plan.map((line) => line['QUERY PLAN']).join(' ')).toMatch(
      /CASE WHEN \(pg_current_xact_id\(\) IS NOT NULL\) THEN nextval/,
    );

    const { rows } = await client.query(`
      insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
      select gen_random_uuid(), 'order', 'o-' || n, 'order.placed', '{}' from generate_series(1, 3) n order by n desc
      returning position::integer, aggregateid`);

    expect(rows).toEqual([
      { position: 1, aggregateid: 'o-3' },
      { position: 2, aggregateid: 'o-2' },
      { position: 3, aggregateid: 'o-1' },
    ]);
  });

  it('comes from a sequence without cache, in steps of one', async () => {
    const { rows } = await client.query(`
      select seqincrement::integer, seqcache::integer, seqcycle from pg_sequence
      where seqrelid = 'millrace.position'::regclass`);

    expect(rows).toEqual([{ seqincrement: 1, seqcache: 1, seqcycle: false }]);
  });
});

describe('a row', () => {
  it.each([
    ['aggregatetype', "'has blank', 'o', 't', '{}', 1, null"],
    ['aggregateid', "'a', '', 't', '{}', 1, null"],
    ['aggregateid', "'a', repeat('x', 1025), 't', '{}', 1, null"],
    ['type', "'a', 'o', '', '{}', 1, null"],
    ['schemaversion', "'a', 'o', 't', '{}', 0, null"],
    ['headers', "'a', 'o', 't', '{}', 1, '[]'"],
  ])('that no sink can carry is refused for its %s, whoever writes it', async (column, values) => {
    const insert = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, schemaversion, headers)
      values (gen_random_uuid(), ${values})`;

    await expect(client.query(insert)).rejects.toMatchObject({ code: '23514', constraint: `outbox_${column}_check` });
  });

  describe('once written', () => {
    beforeEach(async () => {
      await client.query(INSERT);
      await client.query(`select setval('millrace.position', 20000000)`);
      await client.query(INSERT);
    });

    it.each([
      'update millrace.outbox set type = type',
      'update millrace.outbox_p1 set type = type',
      'update millrace.outbox_default set type = type',
      'delete from millrace.outbox',
      'delete from millrace.outbox_p1',
      'delete from millrace.outbox_default',
      'truncate millrace.outbox',
      'truncate millrace.outbox_p1',
      'truncate millrace.outbox_p9000001',
      'truncate millrace.outbox_default',
    ])('withstands %s', async (statement) => {
      await expect(client.query(statement)).rejects.toMatchObject(REFUSED);
    });

    it('withstands the same in a leaf that was made later', async () => {
      await client.query('select millrace.ensure_leaves(1, 1000)');
      const { rows } = await client.query<{ leaf: string }>(
        'select leaf::text from millrace.outbox_leaf order by lo desc limit 1',
      );
      const leaf = rows[0]?.leaf ?? '';
      expect(leaf).toBe('millrace.outbox_p20001001');
      await client.query(`select setval('millrace.position', 20001000)`);
      await client.query(INSERT);

      expect((await client.query(`select from ${leaf}`)).rowCount).toBe(1);
      await expect(client.query(`delete from ${leaf}`)).rejects.toMatchObject(REFUSED);
      await expect(client.query(`truncate ${leaf}`)).rejects.toMatchObject(REFUSED);
    });

    it('is removed by a session that is retention', async () => {
      await client.query(`set millrace.retention = on`);
      await client.query('truncate millrace.outbox_p1');
      await client.query('delete from millrace.outbox_default');

      expect((await client.query('select from millrace.outbox')).rowCount).toBe(0);
    });
  });
});

describe('ensure_leaves', () => {
  const ensure = async (by: pg.Client, ahead: number, width = 1_000): Promise<unknown> =>
    (await by.query('select millrace.ensure_leaves($1, $2) as ahead', [ahead, width])).rows[0];

  it('makes leaves without a gap between them, and none when there are enough', async () => {
    expect(await ensure(client, 12)).toEqual({ ahead: 12 });
    expect(await ensure(client, 12)).toEqual({ ahead: 12 });

    const { rows } = await client.query(`
      select count(*)::integer as leaves, sum(hi - lo)::integer as positions, max(hi)::integer as end
      from millrace.outbox_leaf`);
    expect(rows).toEqual([{ leaves: 12, positions: 10_002_000, end: 10_002_001 }]);
  });

  it('counts the leaf that is being written as used', async () => {
    await client.query(INSERT);

    expect(await ensure(client, 10)).toEqual({ ahead: 10 });
    expect((await client.query('select from millrace.outbox_leaf')).rowCount).toBe(11);
  });

  it('gives a new leaf the index, the checks, the triggers and statistics of an empty table', async () => {
    await ensure(client, 11);

    const { rows } = await client.query(`
      select reltuples, relhasindex, relchecks,
        (select array_agg(tgname::text order by tgname) from pg_trigger where tgrelid = c.oid) as triggers
      from pg_class c where c.oid = 'millrace.outbox_p10000001'::regclass`);
    expect(rows).toEqual([
      {
        reltuples: 0,
        relhasindex: true,
        relchecks: 5,
        triggers: ['outbox_immutable', 'outbox_p10000001_no_truncate'],
      },
    ]);
  });

  it('neither waits for an open producer nor makes another one wait', async () => {
    const producer = await database.connect();
    const maker = await database.connect();
    await producer.query('begin');
    await producer.query(INSERT);

    await maker.query('begin');
    expect(await ensure(maker, 15)).toEqual({ ahead: 15 });
    // the new leaves are not committed yet: whoever had to wait for them would fail here
    await client.query(`set lock_timeout = '1ms'`);
    await client.query(INSERT);
    await producer.query(INSERT);

    await maker.query('commit');
    await producer.query('commit');
    expect((await client.query('select from millrace.outbox')).rowCount).toBe(3);
    await producer.end();
    await maker.end();
  });

  it('comes back at once when another caller is at work, and both see the same leaves afterwards', async () => {
    const other = await database.connect();
    await other.query('begin');
    await ensure(other, 15);

    expect(await ensure(client, 15)).toEqual({ ahead: 10 });
    await other.query('commit');
    expect(await ensure(client, 15)).toEqual({ ahead: 15 });
    await other.end();
  });

  it('makes each leaf once when many call it at the same time', async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => database.connect()));

    await Promise.all(clients.map((by) => ensure(by, 20)));

    expect((await client.query('select from millrace.outbox_leaf')).rowCount).toBe(20);
    await Promise.all(clients.map((by) => by.end()));
  });

  it('does not fail and does not move rows while the default partition is written, and goes on above them', async () => {
    await client.query(`select setval('millrace.position', 30000123)`);
    const producer = await database.connect();
    await producer.query('begin');
    await producer.query(INSERT);

    expect(await ensure(client, 2)).toEqual({ ahead: 0 });
    await producer.query('commit');
    expect(await ensure(client, 2)).toEqual({ ahead: 2 });

    expect((await client.query('select position::integer from millrace.outbox_default')).rows).toEqual([
      { position: 30_000_124 },
    ]);
    const { rows } = await client.query(
      'select lo::integer, hi::integer from millrace.outbox_leaf order by lo desc limit 2',
    );
    expect(rows).toEqual([
      { lo: 30_002_001, hi: 30_003_001 },
      { lo: 30_001_001, hi: 30_002_001 },
    ]);
    await producer.end();
  });

  it('makes none while the default partition is big, so that no producer waits for it to be scanned', async () => {
    await client.query(`select setval('millrace.position', 30000123)`);
    await client.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
      select gen_random_uuid(), 'order', 'o-1', 'order.placed', jsonb_build_object('text', repeat('x', 1500))
      from generate_series(1, 6000)`);

    expect(await ensure(client, 2)).toEqual({ ahead: 0 });
    await client.query(INSERT);
    expect((await client.query('select from millrace.outbox_default')).rowCount).toBe(6_001);

    await client.query(`set millrace.retention = on`);
    await client.query('truncate millrace.outbox_default');
    expect(await ensure(client, 2)).toEqual({ ahead: 2 });
  });

  it('leaves room for the statements that run now when the next boundary is near', async () => {
    await client.query(`select setval('millrace.position', 30000950)`);
    await client.query(INSERT);

    await ensure(client, 1);

    const { rows } = await client.query('select max(lo)::integer as lo from millrace.outbox_leaf');
    expect(rows).toEqual([{ lo: 30_002_001 }]);
  });

  it.each([
    [0, 1_000],
    [1_001, 1_000],
    [10, 9],
  ])('refuses %p leaves of %p positions', async (ahead, width) => {
    await expect(ensure(client, ahead, width)).rejects.toMatchObject({ code: '22023' });
  });
});
