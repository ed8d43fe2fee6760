import { describe, expect, it } from '@jest/globals';
import { createTestDatabase } from './test-database.js';
import { LocalServerError } from './testing.errors.js';

describe('a test database', () => {
  it('is migrated, its own, and gone after the drop', async () => {
    const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    const client = await first.connect();
    await client.query('create table mine (id int)');
    const { rows } = await client.query<{ found: string | null }>(
      `select to_regclass('millrace.outbox')::text as found`,
    );
    expect(rows[0]?.found).toBe('millrace.outbox');
    await client.end();

    const other = await second.connect();
    expect((await other.query('select from pg_class where relname = $1', ['mine'])).rowCount).toBe(0);
    await other.end();
    await Promise.all([first.drop(), second.drop()]);
    await expect(first.connect()).rejects.toMatchObject({ code: '3D000' });
  });

  it('is empty when asked to be', async () => {
    const database = await createTestDatabase({ isMigrated: false });
    const client = await database.connect();
    expect((await client.query(`select from pg_namespace where nspname = 'millrace'`)).rowCount).toBe(0);
    await client.end();
    await database.drop();
  });

  it('names the connection, the slot and the prepared transaction that a test left', async () => {
    const database = await createTestDatabase();
    const client = await database.connect();
    await client.query(`select pg_create_logical_replication_slot('left_slot', 'pgoutput')`);
    await client.query('begin; create table left_table (id int)');
    await client.query(`prepare transaction 'left-transaction'`);
    await client.query('select 42');

    const error: unknown = await database.drop().catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(LocalServerError);
    const message = String(error);
    expect(message).toContain('connection "test connection" (idle, last statement: select 42)');
    expect(message).toContain('replication slot left_slot');
    expect(message).toContain('prepared transaction left-transaction');
    await expect(database.connect()).rejects.toMatchObject({ code: '3D000' });
  });

  it('is a copy of one template, and not migrated anew', async () => {
    const oids = new Set<string>();
    for (let copy = 0; copy < 3; copy++) {
      const database = await createTestDatabase();
      const client = await database.connect();
      const { rows } = await client.query<{ oid: string }>(`select 'millrace.outbox'::regclass::oid::text as oid`);
      oids.add(rows[0]?.oid ?? '');
      await client.query('create table moves_the_next_oid (id int)');
      await client.end();
      await database.drop();
    }
    expect(oids.size).toBe(1);
  });
});
