import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, FAST_UNSAFE_SETTINGS, TemporaryPostgres, type TestDatabase } from '@millrace/testing';
import pg from 'pg';
import { migrate } from './migrate.js';
import { requireSchema } from './require-schema.js';

const DENIED = { code: '42501' };

describe('a login role', () => {
  let database: TestDatabase;
  let admin: pg.Client;
  let client: pg.Client;
  let login: string;

  beforeEach(async () => {
    database = await createTestDatabase();
    admin = await database.connect();
    login = `login_${database.name}`;
    await admin.query(`create role ${login} login password 'x'`);
  });

  afterEach(async () => {
    await client.end();
    await admin.query(`drop role ${login}`);
    await admin.end();
    await database.drop();
  });

  async function connectAs(group: string | null): Promise<pg.Client> {
    if (group !== null) {
      await admin.query(`grant ${group} to ${login}`);
    }
    const url = Object.assign(new URL(database.url), { username: login, password: 'x' }).toString();
    client = new pg.Client({ connectionString: url });
    await client.connect();
    return client;
  }

  const insert = (columns: string, values: string): string =>
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload${columns})
     values (gen_random_uuid(), 'order', 'o-1', 'order.placed', '{}'${values}) returning position::integer, id`;

  it('that is in no group may do nothing', async () => {
    const stranger = await connectAs(null);

    await expect(stranger.query(insert('', ''))).rejects.toMatchObject(DENIED);
    await expect(stranger.query('select millrace.ensure_leaves()')).rejects.toMatchObject(DENIED);
  });

  it('that is a producer inserts with every column but position and occurred_at, and gets its position back', async () => {
    const producer = await connectAs('millrace_producer');

    await requireSchema((sql) => producer.query(sql));
    expect((await producer.query(insert('', ''))).rows).toMatchObject([{ position: 1 }]);
    expect(
      (await producer.query(insert(', aggregateversion, schemaversion, headers', `, 7, 2, '{"tenant": "t"}'`))).rows,
    ).toMatchObject([{ position: 2 }]);
    await expect(producer.query(insert(', position', ', 3'))).rejects.toMatchObject(DENIED);
    await expect(producer.query(insert(', occurred_at', ', now()'))).rejects.toMatchObject(DENIED);
  });

  it.each([
    'select payload from millrace.outbox',
    'update millrace.outbox set type = type',
    'delete from millrace.outbox',
    'truncate millrace.outbox_p1',
    `insert into millrace.outbox_p1 (id, aggregatetype, aggregateid, type, payload) values (gen_random_uuid(), 'o', 'o', 't', '{}')`,
    `select setval('millrace.position', 1)`,
    'select * from millrace.ledger',
    'select millrace.ensure_leaves()',
    'select millrace.empty_leaf(1, 0)',
    `select millrace.expire_route('r', 0, 0, 0, 0)`,
    'create table millrace.mine (id int)',
  ])('that is a producer may not: %s', async (statement) => {
    const producer = await connectAs('millrace_producer');

    await expect(producer.query(statement)).rejects.toMatchObject(DENIED);
  });

  it('that is a relay reads the outbox and its leaves, keeps the ledger and makes leaves', async () => {
    const relay = await connectAs('millrace_relay');

    await requireSchema((sql) => relay.query(sql));
    for (const statement of [
      'select * from millrace.outbox',
      'select * from millrace.outbox_p1',
      'select last_value from millrace.position',
      'select * from millrace.outbox_leaf',
      `insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline) values ('r', 0, 0, 1, 's', 1)`,
      `update millrace.ledger set high = 1 returning *`,
      `insert into millrace.ledger_gap (route, lo, hi, bound) values ('r', 1, 1, pg_current_xact_id())`,
      'delete from millrace.ledger_gap',
      `insert into millrace.ledger_leaf values ('r', 1, 1)`,
      'delete from millrace.ledger_leaf',
      `insert into millrace.ledger_offset (route, topic, partition, next_offset, at) values ('r', 't', 0, 1, now())`,
      'update millrace.ledger_offset set next_offset = 2',
      'delete from millrace.ledger_offset',
      `insert into millrace.checkpoint (route, low, high, offsets) values ('r', 1, 2, '{}')`,
      'delete from millrace.checkpoint',
      'select millrace.leaf_verdict(1, 0), millrace.empty_leaf(1, 0), millrace.drop_empty_leaves(1)',
      `select millrace.route_holds('r', 0), millrace.expire_route('r', 0, null, null, 0)`,
      `select millrace.let_route_go_on('r', 'op', null, 0), millrace.accept_leaf_count(1, 'op', null)`,
      `insert into millrace.relay_member (source, owner, expires, config_version) values ('s', 'o', now(), 'v')`,
      'update millrace.relay_member set seen_at = now()',
      'delete from millrace.relay_member',
      `insert into millrace.audit (actor, action, target) values ('a', 'b', 'c')`,
      'select * from millrace.audit',
    ]) {
      await relay.query(statement);
    }
    expect((await relay.query('select millrace.ensure_leaves(11, 1000) as ahead')).rows).toEqual([{ ahead: 11 }]);
    await relay.query('select * from millrace.outbox_p10000001');
  });

  it.each([
    insert('', ''),
    'delete from millrace.outbox',
    'truncate millrace.outbox_p1',
    'drop table millrace.outbox_p1',
    'select millrace.make_leaf(1::text)',
    'delete from millrace.audit',
    `update millrace.audit set actor = 'x'`,
    'update millrace.migration set version = 2',
    'create table millrace.mine (id int)',
  ])('that is a relay may not: %s', async (statement) => {
    const relay = await connectAs('millrace_relay');

    await expect(relay.query(statement)).rejects.toMatchObject(DENIED);
  });

  it('that is a consumer sees the version and no event', async () => {
    const consumer = await connectAs('millrace_consumer');

    await requireSchema((sql) => consumer.query(sql));
    await expect(consumer.query('select position from millrace.outbox')).rejects.toMatchObject(DENIED);
  });
});

describe('on a cluster without the group roles', () => {
  let server: TemporaryPostgres;

  beforeAll(async () => {
    server = new TemporaryPostgres(FAST_UNSAFE_SETTINGS);
    await server.start();
  });

  afterAll(async () => {
    await server.remove();
  });

  const urlOf = (database: string, username: string): string =>
    Object.assign(new URL(server.adminUrl), { pathname: `/${database}`, username }).toString();

  it('a user without CREATEROLE migrates, and is told what a DBA has to run', async () => {
    await onServer('create role plain login', 'create database plain owner plain');

    const result = await migrate({ databaseUrl: urlOf('plain', 'plain') });

    expect(result.notices).toHaveLength(3);
    expect(result.notices[0]).toMatch(
      /^Role millrace_producer does not exist.*Ask a DBA to run "create role millrace_producer nologin", then run this again/,
    );
    await onServer('create role millrace_producer nologin');
    expect((await migrate({ databaseUrl: urlOf('plain', 'plain') })).notices).toHaveLength(2);
    expect(
      await onDatabase('plain', `select has_schema_privilege('millrace_producer', 'millrace', 'usage') as ok`),
    ).toEqual([{ ok: true }]);
    await onDatabase('plain', 'drop owned by millrace_producer');
    await onServer('drop role millrace_producer');
  });

  it('two databases that are migrated at the same time make the roles once', async () => {
    const names = ['one', 'two', 'three', 'four'];
    await onServer(...names.map((name) => `create database ${name}`));

    const results = await Promise.all(names.map((name) => migrate({ databaseUrl: urlOf(name, 'postgres') })));

    expect(results.flatMap(({ notices }) => notices)).toEqual([]);
    expect(await onDatabase('four', `select count(*)::integer from pg_roles where rolname like 'millrace%'`)).toEqual([
      { count: 3 },
    ]);
  });

  async function onServer(...statements: string[]): Promise<void> {
    for (const statement of statements) {
      await onDatabase('postgres', statement);
    }
  }

  async function onDatabase(database: string, statement: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: urlOf(database, 'postgres') });
    await client.connect();
    try {
      const { rows } = await client.query<Record<string, unknown>>(statement);
      return rows;
    } finally {
      await client.end();
    }
  }
});
