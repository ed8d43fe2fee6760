import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { adoptTable, planAdoption, releaseTable } from './adopt.js';
import { type AdoptRequest, type AdoptResult } from './adoption.js';
import { migrate } from './migrate.js';

const DEBEZIUM = `(id uuid not null, aggregatetype varchar(255) not null, aggregateid varchar(255) not null,
  type varchar(255) not null, payload jsonb not null)`;
const INSERT = `insert into public.outbox (id, aggregatetype, aggregateid, type, payload)`;
const SKIP: AdoptRequest = { table: 'public.outbox', existing: { kind: 'skip' }, actor: 'test' };

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

async function table(columns = DEBEZIUM): Promise<void> {
  await client.query(`create table public.outbox ${columns}`);
}

async function adopt(request: Partial<AdoptRequest> = {}): Promise<AdoptResult> {
  return await adoptTable({ databaseUrl: database.url }, { ...SKIP, ...request });
}

async function insert(keys: readonly string[], by: pg.Client = client): Promise<void> {
  await by.query(
    `${INSERT} select gen_random_uuid(), 'order', key, 'order.placed', '{"n": 1}' from unnest($1::text[]) with ordinality k (key, n) order by n`,
    [keys],
  );
}

async function events(): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select aggregatetype, aggregateid, type, aggregateversion::integer, schemaversion, payload::text, headers
     from millrace.outbox order by position`,
  );
  return rows;
}

/** Waits until the adopted table has so many rows. */
async function rowsOf(count: number): Promise<void> {
  let found: number | null = null;
  while (found !== count) {
    await client.query('select pg_sleep(0.02)');
    found = (await client.query('select from public.outbox')).rowCount;
  }
}

async function keys(): Promise<unknown[]> {
  return (await events()).map(({ aggregateid }) => aggregateid);
}

describe('an adopted table', () => {
  it('has each new row copied as an event, with its id, and none of the old ones', async () => {
    await table();
    await insert(['old']);

    const result = await adopt();
    await insert(['a', 'b']);

    expect(result).toEqual({
      table: 'public.outbox',
      outcome: 'adopted',
      copied: 0,
      findings: [],
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
    });
    expect(await events()).toEqual(
      ['a', 'b'].map((key) => ({
        aggregatetype: 'order',
        aggregateid: key,
        type: 'order.placed',
        aggregateversion: null,
        schemaversion: 1,
        payload: '{"n": 1}',
        headers: null,
      })),
    );
    const { rows } = await client.query(`select o.aggregateid from millrace.outbox e join public.outbox o using (id)`);
    expect(rows).toHaveLength(2);
  });

  it('keeps what is deleted, also in the same transaction, and leaves changes of old rows alone', async () => {
    await table();
    await adopt();

    await client.query('begin');
    await insert(['a']);
    await client.query('delete from public.outbox');
    await client.query('commit');
    await insert(['b']);
    await client.query(`update public.outbox set type = 'changed'; truncate public.outbox`);

    expect(await events()).toMatchObject([
      { aggregateid: 'a', type: 'order.placed' },
      { aggregateid: 'b', type: 'order.placed' },
    ]);
  });

  it('gives back what the producer asks for, and takes rows by COPY, RETURNING, ON CONFLICT and savepoint', async () => {
    await table();
    await client.query('alter table public.outbox add primary key (id)');
    await adopt();
    const id = '00000000-0000-7000-8000-00000000000a';
    const one = `${INSERT} values ('${id}', 'order', 'one', 't', '{}')`;

    expect((await client.query(`${one} returning id, payload`)).rows).toEqual([{ id, payload: {} }]);
    await client.query(`${one} on conflict (id) do update set type = 'again'`);
    await client.query(`${one} on conflict do nothing`);
    await client.query('begin; savepoint s');
    await insert(['never']);
    await client.query('rollback to s');
    await insert(['two']);
    await client.query('commit');
    await client.query(`copy public.outbox from program 'echo ${id.replace(/a$/, 'b')},order,three,t,{}' csv`);

    expect(await keys()).toEqual(['one', 'two', 'three']);
  });

  it('has no row of a transaction that is rolled back', async () => {
    await table();
    await adopt();

    await client.query('begin');
    await insert(['a']);
    await client.query('rollback');

    expect(await events()).toEqual([]);
  });

  it('needs no right of the producer beyond its own table', async () => {
    await table();
    await adopt();
    const role = `producer_${database.name}`;
    await client.query(`create role ${role} nologin; grant insert on public.outbox to ${role}; set role ${role}`);
    await insert(['a']);
    await expect(client.query('select from millrace.outbox')).rejects.toMatchObject({ code: '42501' });
    await client.query(`set search_path = public; set role ${role}`);
    await insert(['b']);

    await client.query(`reset role; drop owned by ${role}; drop role ${role}`);
    expect(await keys()).toEqual(['a', 'b']);
  });

  it('is copied in sessions that turn triggers off by session_replication_role, too', async () => {
    await table();
    await adopt();

    await client.query('set session_replication_role = replica');
    await insert(['a']);

    expect(await keys()).toEqual(['a']);
  });

  it('leaves alone what comes by logical replication: those are events of another database', async () => {
    const origin = await createTestDatabase({ isMigrated: false });
    const there = await origin.connect();
    await there.query(`create table public.outbox ${DEBEZIUM}; create publication p for table public.outbox`);
    await there.query(`select pg_create_logical_replication_slot('${origin.name}', 'pgoutput')`);
    await insert(['by the first copy'], there);
    await table();
    await adopt();

    const { hostname, port, username } = new URL(origin.url);
    await client.query(`create subscription ${database.name} connection
      'host=${hostname} port=${port} user=${username} dbname=${origin.name}' publication p
      with (create_slot = false, slot_name = '${origin.name}')`);
    await rowsOf(1);
    await insert(['by the stream'], there);
    await rowsOf(2);
    await insert(['by a producer']);

    expect(await keys()).toEqual(['by a producer']);
    await client.query(`drop subscription ${database.name}`);
    await there.end();
    await origin.drop();
  });

  it('may be partitioned, now and later', async () => {
    await table(`${DEBEZIUM} partition by list (aggregateid)`);
    await client.query(`create table public.outbox_a partition of public.outbox for values in ('a')`);
    const { findings } = await adopt();
    expect(findings).toEqual([
      expect.stringMatching(/^public\.outbox is partitioned by LIST \(aggregateid\)\. An UPDATE/),
    ]);
    await client.query(`create table public.outbox_b partition of public.outbox default`);

    await insert(['a', 'b', 'a']);
    await client.query(`insert into public.outbox_b select gen_random_uuid(), 'order', 'direct', 't', '{}'`);
    await client.query('set session_replication_role = replica');
    await insert(['b']);

    expect(await keys()).toEqual(['a', 'b', 'a', 'direct', 'b']);
  });

  it('may have other columns, and more of them, that become headers', async () => {
    await table(`(event_id text, kind text, customer bigint, name text, body json, version smallint, revision bigint,
      tenant text, at timestamptz, "Odd ""name" integer)`);
    const result = await adopt({
      columns: {
        id: 'event_id',
        routeBy: 'kind',
        key: 'customer',
        type: 'name',
        payload: 'body',
        schemaVersion: 'version',
        aggregateVersion: 'revision',
      },
      headers: [
        { column: 'tenant', name: 'tenant' },
        { column: 'Odd "name', name: "it's" },
        { column: 'name', name: 'eventType' },
      ],
    });
    await client.query(`insert into public.outbox values
      (gen_random_uuid()::text, 'customer', 7, 'moved', '{"b":1,  "a":2}', 3, 42, 'acme', now(), 5),
      (gen_random_uuid()::text, 'customer', 8, 'moved', '[]', null, null, null, now(), null)`);

    expect(await events()).toEqual([
      {
        aggregatetype: 'customer',
        aggregateid: '7',
        type: 'moved',
        aggregateversion: 42,
        schemaversion: 3,
        payload: '{"a": 2, "b": 1}',
        headers: { tenant: 'acme', "it's": '5' },
      },
      {
        aggregatetype: 'customer',
        aggregateid: '8',
        type: 'moved',
        aggregateversion: null,
        schemaversion: 1,
        payload: '[]',
        headers: null,
      },
    ]);
    expect(result.findings).toEqual([
      expect.stringMatching(/^event_id, kind, customer, name, body may be null in public\.outbox/),
      expect.stringMatching(/^body is no jsonb/),
    ]);
  });

  it.each([
    ['text', 'json', `'{"a":1}'`, '{"a": 1}'],
    ['bytea', 'json', `convert_to('{"ä":1}', 'UTF8')`, '{"ä": 1}'],
    ['text', 'string', `'<a>"b"</a>'`, '"<a>\\"b\\"</a>"'],
    ['jsonb', 'string', `'{"a":1}'`, '"{\\"a\\": 1}"'],
  ] as const)('with a payload of %s is published as %s', async (type, payloadAs, payload, expected) => {
    await table(DEBEZIUM.replace('jsonb', type));
    await adopt({ payloadAs });

    await client.query(`${INSERT} values (gen_random_uuid(), 'order', 'o', 't', ${payload})`);

    expect(await events()).toMatchObject([{ payload: expected }]);
  });

  it.each([
    [`null, 'order', 'o', 't', '{}'`, 'id is null'],
    [`'x', 'order', 'o', 't', '{}'`, 'id is no UUID'],
    [`gen_random_uuid(), 'has blank', 'o', 't', '{}'`, 'aggregatetype gives no name of a topic'],
    [`gen_random_uuid(), null, 'o', 't', '{}'`, 'aggregatetype is null'],
    [`gen_random_uuid(), 'order', '', 't', '{}'`, 'aggregateid is null or empty'],
    [`gen_random_uuid(), 'order', repeat('x', 1025), 't', '{}'`, 'aggregateid is longer than 1,024 bytes'],
    [`gen_random_uuid(), 'order', 'o', null, '{}'`, 'type is null or empty'],
    [`gen_random_uuid(), 'order', 'o', 't', null`, 'payload is null'],
  ])('fails the INSERT of a row that cannot be carried: %s', async (values, problem) => {
    await table('(id text, aggregatetype text, aggregateid text, type text, payload text)');
    await adopt();

    await expect(client.query(`${INSERT} values (${values})`)).rejects.toMatchObject({
      code: '23514',
      message: expect.stringContaining(`Millrace cannot carry this row of public.outbox: ${problem}`),
    });
    expect(await events()).toEqual([]);
  });

  it.each([
    ['text', 'json', `'{"card": geheim}'`, 'payload is not JSON'],
    ['text', 'json', `'"\\u0000geheim"'`, 'payload is not JSON'],
    ['bytea', 'json', `convert_to('geheim', 'UTF8')`, 'payload is not JSON'],
    ['bytea', 'string', `'\\xfffe'`, 'payload is no text in UTF-8'],
  ] as const)('of %s as %s fails the INSERT of %s by the name of the column, and quotes nothing', async (...row) => {
    const [type, payloadAs, payload, problem] = row;
    await table(DEBEZIUM.replace('jsonb', type));
    await adopt({ payloadAs });
    await client.query(`begin; ${INSERT} values (gen_random_uuid(), 'order', 'kept', 't', '{}'); savepoint s`);

    const error: unknown = await client
      .query(`${INSERT} values (gen_random_uuid(), 'order', 'o', 't', ${payload})`)
      .catch((reason: unknown) => reason);
    await client.query('rollback to s; commit');

    expect(error).toMatchObject({
      code: '23514',
      message: `Millrace cannot carry this row of public.outbox: ${problem}`,
    });
    expect(JSON.stringify(error)).not.toMatch(/geheim|0xff/);
    expect(await keys()).toEqual(['kept']);
  });

  it('runs no cast that its owner has made since with the rights of the owner of the schema', async () => {
    await table(DEBEZIUM.replace('aggregatetype varchar(255)', 'aggregatetype text'));
    await adopt();
    const role = `owner_${database.name}`;
    await client.query(`create role ${role} nologin; grant create on schema public to ${role};
      alter table public.outbox owner to ${role}; set role ${role};
      create type public.trap as (v text);
      create function public.spring(public.trap) returns text immutable language plpgsql as
        $$begin raise exception 'runs as %', current_user; end$$;
      create cast (public.trap as text) with function public.spring(public.trap);
      alter table public.outbox alter aggregateid type public.trap using row(aggregateid)::public.trap`);
    const row = `${INSERT} values (gen_random_uuid(), 'order', row('k')::public.trap, 't', '{}')`;

    await expect(client.query(row)).rejects.toMatchObject({
      code: '42804',
      message: 'Column aggregateid of public.outbox has another type than when Millrace adopted the table',
    });
    await client.query('reset role');
    expect(await adopt()).toMatchObject({ outcome: 'changed' });
    await client.query(`set role ${role}; ${row}; reset role`);
    expect(await keys()).toEqual(['(k)']);
    expect(await adopt()).toMatchObject({ outcome: 'unchanged' });
    await client.query(`drop owned by ${role} cascade; drop role ${role}`);
  });

  it('may have types that were made for it', async () => {
    await client.query(`create type public.kind as enum ('order', 'blue'); create domain public.name as varchar(9);
      create domain public.body as jsonb; create domain public.whole as bigint`);
    await table(`(id uuid, aggregatetype public.kind, aggregateid public.name, type text, payload public.body, v public.whole,
      colour public.kind)`);
    await adopt({
      columns: { schemaVersion: 'v', aggregateVersion: 'v' },
      headers: [{ column: 'colour', name: 'colour' }],
    });

    await client.query(`insert into public.outbox values (gen_random_uuid(), 'order', 'a', 't', '{"a":1}', 7, 'blue'),
      (gen_random_uuid(), 'order', 'b', 't', '{}', null, null)`);

    expect(await events()).toMatchObject([
      { aggregateid: 'a', aggregateversion: 7, schemaversion: 7, payload: '{"a": 1}', headers: { colour: 'blue' } },
      { aggregateid: 'b', aggregateversion: null, schemaversion: 1, headers: null },
    ]);
  });

  it('is found with its partitions, mended and told when the trigger was disabled or lost', async () => {
    await table();
    await adopt();
    expect(await adopt()).toMatchObject({ outcome: 'unchanged', findings: [] });

    expect((await migrate({ client })).notices).toEqual([]);

    await client.query('alter table public.outbox disable trigger all');
    expect((await migrate({ client })).notices).toEqual([
      expect.stringMatching(/^The trigger on the adopted table public\.outbox is missing or disabled/),
    ]);
    expect(await adopt()).toMatchObject({
      outcome: 'changed',
      findings: [expect.stringMatching(/^The trigger on public\.outbox was missing or disabled, and is mended/)],
    });
    await client.query('drop trigger millrace_adopt on public.outbox');
    expect(await adopt()).toMatchObject({ outcome: 'changed' });

    await insert(['a']);
    expect(await keys()).toEqual(['a']);
  });

  it('is told when another table has taken its name, until that one is adopted or released', async () => {
    await table();
    await adopt();
    const replace = `create table public.next (like public.outbox); drop table public.outbox;
      alter table public.next rename to outbox`;
    const notices = [
      expect.stringMatching(/^The adopted table public\.outbox was dropped, and another one has its name/),
    ];

    await client.query(replace);
    expect((await migrate({ client })).notices).toEqual(notices);
    expect(await adopt()).toMatchObject({ outcome: 'adopted' });
    expect((await migrate({ client })).notices).toEqual([]);
    await client.query(replace);
    expect((await migrate({ client })).notices).toEqual(notices);
    await releaseTable({ client }, SKIP);

    expect((await migrate({ client })).notices).toEqual([]);
    await client.query('drop table public.outbox');
    expect((await migrate({ client })).notices).toEqual([]);
  });

  it('is not adopted again with a wish that comes too late', async () => {
    await table(`${DEBEZIUM.slice(0, -1)}, n bigserial, m bigserial)`);
    await client.query('create publication other_relay for table public.outbox');
    await insert(['a', 'b']);
    const cut = adoptTable(
      { client },
      { ...SKIP, existing: { kind: 'copy', orderBy: 'n' } },
      {
        chunkRows: 1,
        onCopied: () => {
          throw new Error('cut short');
        },
      },
    );
    await expect(cut).rejects.toThrow('cut short');
    const refusal = async (request: Partial<AdoptRequest>): Promise<string> =>
      await adopt(request).then(
        () => 'none',
        (error: unknown) => String(error),
      );

    expect(await refusal({ existing: { kind: 'skip' } })).toMatch(/Finish it with --existing copy --order-by n\.$/);
    expect(await refusal({ existing: { kind: 'copy', orderBy: 'm' } })).toMatch(
      /copy of its older rows is not finished/,
    );
    const copy: Partial<AdoptRequest> = { existing: { kind: 'copy', orderBy: 'n' } };
    expect(await refusal({ ...copy, leavePublication: 'other_relay' })).toMatch(/is still in publication other_relay/);
    expect(await refusal({ ...copy, leavePublication: 'none' })).toMatch(/Publication none does not exist/);
    await client.query('alter publication other_relay drop table public.outbox');
    expect(await refusal({ ...copy, leavePublication: 'other_relay' })).toBe('none');
    expect(await keys()).toEqual(['a', 'b']);

    await releaseTable({ client }, SKIP);
    const { findings } = await adopt(copy);
    expect(findings).toContainEqual(expect.stringMatching(/^public\.outbox was adopted before: .* come again/));
  });

  it('may be partitioned, and restored from a dump in the middle of a copy: its trigger knows it by no number', async () => {
    await table(`${DEBEZIUM.slice(0, -1)}, n bigserial) partition by list (aggregateid)`);
    await client.query(`create table public.outbox_rest partition of public.outbox default`);
    await insert(['a']);
    const cut = adoptTable(
      { client },
      { ...SKIP, existing: { kind: 'copy', orderBy: 'n' } },
      {
        onCopied: () => {
          throw new Error('cut short');
        },
      },
    );
    await expect(cut).rejects.toThrow('cut short');
    await insert(['b']);

    const { rows } = await client.query<{ is_known: boolean; source: string }>(
      `select h.source = 'public.outbox'::regclass as is_known, f.prosrc as source
       from millrace.adoption_held h, pg_proc f where f.proname like 'adopted_%'`,
    );
    expect(rows).toMatchObject([{ is_known: true }]);
    const { rows: numbers } = await client.query<{ oid: string }>(`select 'public.outbox'::regclass::oid::text as oid`);
    expect(rows[0]?.source).not.toContain(numbers[0]?.oid);
    await adopt({ existing: { kind: 'copy', orderBy: 'n' } });
    expect(await keys()).toEqual(['a', 'b']);
  });

  it.each([
    ['char(5)', `'1' || lpad(g::text, 4, '0')`],
    ['timestamp', `'2026-03-01'::timestamp + g * interval '1 day'`],
    ['double precision', 'g / 7.0::double precision'],
  ])('has its older rows copied by a column of type %s, also by two runs with other settings', async (type, value) => {
    await table(`(id uuid, aggregatetype text, aggregateid text, type text, payload jsonb, n ${type})`);
    await client.query(`insert into public.outbox select gen_random_uuid(), 'order', 'k' || g, 't', '{}', ${value}
      from generate_series(1, 20) g`);
    const request: AdoptRequest = { ...SKIP, existing: { kind: 'copy', orderBy: 'n' } };

    await client.query(`set datestyle = 'SQL, DMY'; set extra_float_digits = -5`);
    await expect(
      adoptTable({ client }, request, {
        chunkRows: 4,
        onCopied: () => {
          throw new Error('cut short');
        },
      }),
    ).rejects.toThrow('cut short');
    await client.query(`set datestyle = 'SQL, MDY'`);
    const { findings } = await adoptTable({ client }, request, {
      chunkRows: 4,
      onCopied: (rows) => {
        expect(rows).toBeLessThanOrEqual(20);
      },
    });

    expect(await keys()).toEqual(Array.from({ length: 20 }, (_, n) => `k${n + 1}`));
    expect(findings).toContainEqual(expect.stringMatching(/^n has no unique index of its own/));
  });

  it('takes other columns from one row to the next', async () => {
    await table();
    await client.query(`alter table public.outbox add tenant text default 't1'`);
    await adopt();
    await insert(['a']);

    expect(await adopt({ headers: [{ column: 'tenant', name: 'tenant' }] })).toMatchObject({ outcome: 'changed' });

    await insert(['b']);
    expect(await events()).toMatchObject([{ headers: null }, { headers: { tenant: 't1' } }]);
  });

  it('takes other columns, or none, beside a producer whose transaction stays open', async () => {
    await table();
    await adopt();
    const producer = await database.connect();
    await producer.query('begin');
    await insert(['a'], producer);

    try {
      const request = { ...SKIP, headers: [{ column: 'type', name: 'kind' }] };
      const again = (): Promise<AdoptResult> => adoptTable({ databaseUrl: database.url }, request, { waitMs: 1_000 });
      expect(await again()).toMatchObject({ outcome: 'changed' });
      expect(await again()).toMatchObject({ outcome: 'unchanged' });
    } finally {
      await producer.end();
    }
  });

  it('leaves an audit row and its settings', async () => {
    await table();
    await adopt();
    await releaseTable({ client }, { table: 'public.outbox', actor: 'test' });

    expect((await client.query('select actor, action, target from millrace.audit order by id')).rows).toEqual([
      { actor: 'test', action: 'outbox.adopt', target: 'public.outbox' },
      { actor: 'test', action: 'outbox.release', target: 'public.outbox' },
    ]);
  });

  it('is left without a trace when it is released, and may be adopted again', async () => {
    await table();
    await adopt();
    const release = async (): Promise<unknown> =>
      await releaseTable({ client }, { table: 'public.outbox', actor: 'test' });

    expect(await release()).toEqual({ table: 'public.outbox', isReleased: true });
    expect(await release()).toEqual({ table: 'public.outbox', isReleased: false });
    await insert(['a']);
    expect(await events()).toEqual([]);
    expect((await client.query(`select from pg_proc where proname like 'adopted_%'`)).rowCount).toBe(0);
    expect((await client.query('select from millrace.adoption')).rowCount).toBe(0);

    expect(await adopt()).toMatchObject({ outcome: 'adopted' });
    await insert(['b']);
    expect(await keys()).toEqual(['b']);
  });
});

describe('a plan', () => {
  it('changes nothing, and is a script that does it', async () => {
    await table();
    await insert(['old']);

    const { script } = await planAdoption({ databaseUrl: database.url }, SKIP);
    expect((await client.query('select from millrace.adoption')).rowCount).toBe(0);
    await client.query(script);
    await insert(['a']);

    expect(await keys()).toEqual(['a']);
    expect(await adopt()).toMatchObject({ outcome: 'unchanged' });
  });

  it('needs no superuser: the owner of table and schema adopts and releases', async () => {
    await table();
    const role = `owner_${database.name}`;
    await client.query(`create role ${role} nologin; grant create on database ${database.name} to ${role}`);
    await client.query(`grant create on schema public to ${role}; alter table public.outbox owner to ${role};
      drop schema millrace cascade; set role ${role}`);
    await migrate({ client });

    expect(await adoptTable({ client }, SKIP)).toMatchObject({ outcome: 'adopted' });
    await insert(['a']);
    expect(await keys()).toEqual(['a']);
    expect(await releaseTable({ client }, SKIP)).toMatchObject({ isReleased: true });
    await client.query(`reset role; drop owned by ${role} cascade; drop role ${role}`);
  });

  it('gives the function to the owner of the schema, whoever runs it', async () => {
    await table();
    const role = `owner_${database.name}`;
    await client.query(`create role ${role} nologin; alter table millrace.outbox owner to ${role};
      alter sequence millrace.position owner to ${role}; grant all on schema millrace to ${role}`);
    await adopt();

    const { rows } = await client.query(
      `select pg_get_userbyid(proowner)::text as owner, prosecdef from pg_proc where proname like 'adopted_%'`,
    );
    expect(rows).toEqual([{ owner: role, prosecdef: true }]);
    await client.query(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`);
  });
});

describe('a table that cannot be adopted', () => {
  it.each([
    ['', 'table_missing', /^There is no table public\.outbox/],
    [`create view public.outbox as select 1 as id`, 'table_unfit', /is a view/],
    [
      `create table public.p ${DEBEZIUM} partition by list (type); create table public.outbox partition of public.p default`,
      'table_unfit',
      /is one partition of a table/,
    ],
    [
      `create table public.outbox ${DEBEZIUM}; create table public.child () inherits (public.outbox)`,
      'table_unfit',
      /has child tables by inheritance/,
    ],
    [
      `create table public.outbox ${DEBEZIUM}; create rule r as on insert to public.outbox do instead nothing`,
      'table_unfit',
      /has a rule that rewrites INSERT/,
    ],
    [
      `create table public.outbox (id bigint, aggregatetype text)`,
      'column_unfit',
      /Column id of .* has type bigint; ids are UUIDs/,
    ],
    [
      `create table public.outbox (event uuid)`,
      'column_missing',
      /has no column id\. It has event: .* with --event-id/,
    ],
    [
      `create table public.outbox ${DEBEZIUM.replace('jsonb', 'xml')}`,
      'column_unfit',
      /has type xml; a payload is one of/,
    ],
    [
      `create table public.outbox (id uuid, aggregatetype text, k text, type text, payload jsonb,
        aggregateid text generated always as (k) virtual)`,
      'column_unfit',
      /Column aggregateid of public\.outbox is generated when it is read/,
    ],
    [
      `create domain public.bytes as bytea; create table public.outbox ${DEBEZIUM.replace('jsonb', 'public.bytes')}`,
      'column_unfit',
      /has a domain over bytea/,
    ],
  ])('%j is refused by name', async (sql, code, message) => {
    await client.query(sql);

    await expect(adopt()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(planAdoption({ client }, SKIP)).rejects.toMatchObject({ code });
  });

  it('is one of Millrace itself, or one whose rows come from another database', async () => {
    await expect(adopt({ table: 'millrace.outbox' })).rejects.toMatchObject({
      code: 'table_unfit',
      message: expect.stringMatching(/is a table of Millrace itself/),
    });
    await table();
    await client.query(`create subscription s_${database.name} connection 'dbname=none' publication p
      with (connect = false, slot_name = none)`);
    await client.query(`insert into pg_subscription_rel (srsubid, srrelid, srsubstate)
      select oid, 'public.outbox'::regclass, 'r' from pg_subscription where subname = 's_${database.name}'`);
    await expect(adopt()).rejects.toMatchObject({
      code: 'table_unfit',
      message: expect.stringMatching(/gets its rows by logical replication/),
    });
    await client.query(`drop subscription s_${database.name}`);
  });

  it('has rows of which nobody said what is to become of them', async () => {
    await table();
    await insert(['a']);

    await expect(adoptTable({ client }, { table: 'public.outbox', actor: 'test' })).rejects.toMatchObject({
      code: 'rows_undecided',
    });
  });

  it('has rows by the time of the lock that no earlier look could see', async () => {
    await table();
    const looking = {
      query: async (sql: string) => {
        const result = await client.query(sql);
        if (sql.includes('coalesce(problem')) {
          await client.query('rollback; begin');
          await insert(['late']);
          await client.query('commit; begin');
        }
        return result;
      },
    };

    await expect(
      adoptTable({ client: looking }, { table: 'public.outbox', actor: 'test' }, { lockWaitMs: 2_000 }),
    ).rejects.toMatchObject({ code: 'rows_undecided', message: expect.stringMatching(/^public\.outbox holds rows\./) });
    expect((await client.query('select from millrace.adoption')).rowCount).toBe(0);
  });

  it('has rows that row-level security hides, or a user who may make no temporary function', async () => {
    await table();
    const role = `owner_${database.name}`;
    await client.query(`create role ${role} nologin; grant create on database ${database.name} to ${role};
      revoke temporary on database ${database.name} from public; grant create on schema public to ${role};
      alter table public.outbox owner to ${role}; alter table public.outbox enable row level security;
      alter table public.outbox force row level security; drop schema millrace cascade; set role ${role}`);
    await migrate({ client });

    await expect(adoptTable({ client }, SKIP)).rejects.toMatchObject({
      code: 'not_authorised',
      message: expect.stringMatching(/^Row-level security applies to this user on public\.outbox/),
    });
    await client.query('alter table public.outbox no force row level security');
    expect(await adoptTable({ client }, SKIP)).toMatchObject({ outcome: 'adopted' });

    await client.query(`reset role; drop owned by ${role} cascade; drop role ${role}`);
  });

  it('has more columns as headers than one event can have', async () => {
    await table();
    const headers = (count: number): { column: string; name: string }[] =>
      Array.from({ length: count }, (_, n) => ({ column: 'type', name: `h${n}` }));

    await expect(adopt({ headers: headers(51) })).rejects.toMatchObject({ code: 'column_unfit' });
    await adopt({ headers: headers(50) });
    await insert(['a']);
    expect(await keys()).toEqual(['a']);
  });

  it('has rows that cannot be carried, each reason with a count and no contents', async () => {
    await table('(id uuid, aggregatetype text, aggregateid text, type text, payload text)');
    await client.query(`${INSERT} values (gen_random_uuid(), 'a', 'b', 'c', '{}'), (gen_random_uuid(), 'a', 'b', 'c', 'geheim'),
      (gen_random_uuid(), 'a', 'b', 'c', 'geheim'), (gen_random_uuid(), 'a b', 'b', 'c', 'geheim')`);

    const error: unknown = await adopt().catch((reason: unknown) => reason);

    expect(error).toMatchObject({
      code: 'rows_unfit',
      message: expect.stringMatching(
        /^Of 4 rows .*: payload is not JSON \(2, such as id .{36}\); aggregatetype gives no name of a topic.* \(1, such as/,
      ),
    });
    expect(String(error)).not.toMatch(/geheim/);
    expect((await client.query(`select from pg_trigger where tgname = 'millrace_adopt'`)).rowCount).toBe(0);
  });

  it.each([
    ['id', /is set by Millrace itself/],
    ['millrace-low', /is set by Millrace itself/],
    ['has blank', /no blanks/],
  ])('has a column that cannot be the header %s', async (name, message) => {
    await table();
    await expect(adopt({ headers: [{ column: 'type', name }] })).rejects.toMatchObject({
      code: 'column_unfit',
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ['', /does not exist/],
    ['create publication other_relay for all tables', /is for all tables/],
    ['create publication other_relay', /does not name public\.outbox itself, and alone/],
    ['create publication other_relay for tables in schema public', /does not name public\.outbox itself, and alone/],
  ])('cannot leave a publication: %s', async (sql, message) => {
    await table();
    await client.query(sql);

    await expect(adopt({ leavePublication: 'other_relay' })).rejects.toMatchObject({
      code: 'publication_unfit',
      message: expect.stringMatching(message),
    });
    expect((await client.query('select from millrace.adoption')).rowCount).toBe(0);
  });

  it('belongs to somebody else', async () => {
    await table();
    const role = `stranger_${database.name}`;
    await client.query(`create role ${role} login; grant all on all tables in schema public to ${role};
      grant usage on schema millrace to ${role}; grant select on millrace.migration to ${role}; set role ${role}`);

    await expect(adoptTable({ client }, SKIP)).rejects.toMatchObject({
      code: 'not_authorised',
      message: expect.stringMatching(
        /A trigger on public\.outbox needs its owner's rights: grant postgres to this user/,
      ),
    });
    await client.query(`reset role; drop owned by ${role}; drop role ${role}`);
  });
});

describe('an outbox that inserts and deletes', () => {
  it('is recognised, told and adopted', async () => {
    await table();
    await client.query('begin');
    await insert(Array.from({ length: 100 }, (_, n) => `k${n}`));
    await client.query('delete from public.outbox; commit');
    await client.query('select pg_stat_force_next_flush()');
    await client.query('select 1');

    const { findings } = await adopt();

    expect(findings).toEqual([
      expect.stringMatching(
        /^insert-and-delete outbox: none of 100 rows that were inserted into public\.outbox is left/,
      ),
    ]);
  });
});
