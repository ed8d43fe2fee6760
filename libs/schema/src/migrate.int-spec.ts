import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, freePort, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { migrate, printMigration } from './migrate.js';
import { MIGRATIONS, SCHEMA_VERSION } from './migrations.js';
import { requireSchema } from './require-schema.js';

describe('migrate', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeEach(async () => {
    database = await createTestDatabase({ isMigrated: false });
    client = await database.connect();
  });

  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  it('brings an empty database to this release and makes ten leaves', async () => {
    await expect(requireSchema((sql) => client.query(sql))).rejects.toMatchObject({ code: 'schema_missing' });

    const result = await migrate({ databaseUrl: database.url });

    expect(result).toEqual({
      version: SCHEMA_VERSION,
      applied: [
        { version: 1, name: 'outbox and ledger' },
        { version: 2, name: 'inbox' },
        { version: 3, name: 'relay members' },
        { version: 4, name: 'retention' },
        { version: 5, name: 'publication and capture mode' },
        { version: 6, name: 'fork repair' },
        { version: 7, name: 'shards' },
        { version: 8, name: 'adoption of tables' },
        { version: 9, name: 'held events' },
        { version: 10, name: 'ledger offsets' },
        { version: 11, name: 'delivery' },
      ],
      leavesAhead: 10,
      notices: [],
    });
    await requireSchema((sql) => client.query(sql));
  });

  it('does nothing but complete leaves and grants when it is repeated', async () => {
    await migrate({ client });
    const before = await fingerprint(client);

    const result = await migrate({ client });

    expect(result).toMatchObject({ applied: [], leavesAhead: 10 });
    expect(await fingerprint(client)).toEqual(before);
    expect(await migrate({ client }, { leavesAhead: 12, leafWidth: 1_000 })).toMatchObject({ leavesAhead: 12 });
  });

  it('applies each step once when four run at once', async () => {
    const once = { lockTimeoutMs: 60_000 };
    const results = await Promise.all([1, 2, 3, 4].map(() => migrate({ databaseUrl: database.url }, once)));

    expect(results.flatMap(({ applied }) => applied)).toHaveLength(SCHEMA_VERSION);
    expect((await client.query('select version from millrace.migration order by 1')).rows).toEqual(
      MIGRATIONS.map(({ version }) => ({ version })),
    );
  });

  it('does not touch a database that is newer', async () => {
    await migrate({ client });
    await client.query(`insert into millrace.migration (version, name, checksum) values (99, 'later', 'x')`);
    const before = await fingerprint(client);

    const refusal = { code: 'schema_too_new', message: expect.stringMatching(/version 99, this release knows/) };
    await expect(migrate({ client })).rejects.toMatchObject(refusal);
    await expect(printMigration({ client })).rejects.toMatchObject(refusal);
    await expect(requireSchema((sql) => client.query(sql))).rejects.toMatchObject(refusal);
    expect(await fingerprint(client)).toEqual(before);
  });

  it('has a way back for each step, after which the step can be applied again', async () => {
    await migrate({ client });

    for (const { version, down, up } of [...MIGRATIONS].reverse()) {
      await client.query(version === 1 ? down : `${down}${up}${down}`);
    }

    expect((await client.query(`select to_regnamespace('millrace') as found`)).rows).toEqual([{ found: null }]);
    expect(await migrate({ client })).toMatchObject({ version: SCHEMA_VERSION, leavesAhead: 10 });
  });

  it('names the step that was applied with another text', async () => {
    await migrate({ client });
    await client.query(`update millrace.migration set checksum = 'feedfacecafebeef'`);

    await expect(migrate({ client })).rejects.toMatchObject({
      code: 'step_changed',
      message: expect.stringMatching(
        /^Step 1 \(outbox and ledger\).*checksum feedfacecafe in the database, [0-9a-f]{12}/,
      ),
    });
  });

  it('leaves nothing of a step that failed', async () => {
    await client.query('create schema millrace; create table millrace.audit (id int)');

    await expect(migrate({ client })).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/relation "audit" already exists \(42P07\)$/),
    });
    expect((await client.query(`select to_regclass('millrace.outbox') as found`)).rows).toEqual([{ found: null }]);
  });

  it('gives up behind a migration that does not end', async () => {
    const holder = await database.connect();
    await holder.query(`begin; select pg_advisory_xact_lock(hashtextextended('millrace.migration', 0))`);

    await expect(migrate({ client }, { lockTimeoutMs: 100 })).rejects.toMatchObject({ code: 'lock_not_available' });
    await holder.end();
  });

  describe('as a script', () => {
    it('prints all that it would run on an empty database, ready for psql', async () => {
      const script = await printMigration(null, { leavesAhead: 3 });
      expect(script.startsWith('\\set ON_ERROR_STOP on\n')).toBe(true);
      expect(await printMigration({ client }, { leavesAhead: 3 })).toBe(script);
      expect((await client.query(`select to_regnamespace('millrace') as found`)).rows).toEqual([{ found: null }]);

      await client.query(script.replace(/^\\set.*$/m, ''));

      await requireSchema((sql) => client.query(sql));
      expect((await client.query('select from millrace.outbox_leaf')).rowCount).toBe(3);
      expect(await migrate({ client })).toMatchObject({ applied: [] });
    });

    it('prints only what is pending', async () => {
      await migrate({ client });

      const script = await printMigration({ databaseUrl: database.url });

      expect(script).not.toMatch(/create table/);
      expect(script).toMatch(/grant usage on schema millrace/);
    });
  });
});

describe('migrate explains a connection that fails', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase({ isMigrated: false });
  });

  afterEach(async () => {
    await database.drop();
  });

  it.each([
    ['', 'database_url_invalid'],
    ['mysql://u:geheim@localhost/x', 'database_url_invalid'],
    ['postgres://u:ge%heim@[::zz]/x', 'database_url_invalid'],
    ['postgres://u:geheim@no-such-host.invalid/x', 'database_unreachable'],
  ])('%j is %s, and the password is not told', async (databaseUrl, code) => {
    await expectRefusal(databaseUrl, code);
  });

  it('a port where nothing listens', async () => {
    await expectRefusal(`postgres://u:geheim@127.0.0.1:${await freePort()}/x`, 'database_unreachable');
  });

  it('a database that does not exist', async () => {
    await expectRefusal(changed(database.url, { pathname: '/no_such_database' }), 'database_missing');
  });

  it('a user that does not exist', async () => {
    await expectRefusal(changed(database.url, { username: 'nobody', password: 'geheim' }), 'authentication_failed');
  });

  it('a user that may not create schemas, until a DBA makes the schema for it', async () => {
    const role = `poor_${database.name}`;
    const admin = await database.connect();
    await admin.query(`create role ${role} login password 'geheim' nocreaterole`);
    const url = changed(database.url, { username: role, password: 'geheim' });

    await expectRefusal(url, 'not_authorised');
    await admin.query(`create schema millrace authorization ${role}`);
    expect(await migrate({ databaseUrl: url })).toMatchObject({
      applied: MIGRATIONS.map(({ version }) => ({ version })),
    });

    await admin.query(`drop owned by ${role}; drop role ${role}`);
    await admin.end();
  });
});

async function expectRefusal(databaseUrl: string, code: string): Promise<void> {
  const error: unknown = await migrate({ databaseUrl }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'SchemaError', code });
  expect(error instanceof Error ? error.message : '').not.toMatch(/ge%?heim/);
}

function changed(url: string, part: { pathname?: string; username?: string; password?: string }): string {
  return Object.assign(new URL(url), part).toString();
}

/** Everything that a repeated run could have changed. */
async function fingerprint(client: pg.Client): Promise<unknown> {
  const { rows } = await client.query(`
    select c.oid, c.relname, c.relacl::text, c.relfilenode from pg_class c
    where relnamespace = 'millrace'::regnamespace order by 1`);
  return rows;
}
