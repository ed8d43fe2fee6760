import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { type DynamicModule, type InjectionToken } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Outbox } from './outbox.js';
import { OutboxModule } from './outbox.module.js';

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string() }),
});

class DatabaseModule {
  readonly name = 'database';
}

function databaseModule(token: InjectionToken, value: unknown): DynamicModule {
  return { module: DatabaseModule, providers: [{ provide: token, useValue: value }] };
}

async function boot(imports: DynamicModule[]): Promise<Outbox> {
  const testing = await Test.createTestingModule({ imports }).compile();
  const application = await testing.init();
  const outbox = application.get(Outbox);
  await application.close();
  return outbox;
}

describe('OutboxModule', () => {
  let database: TestDatabase;
  let pool: pg.Pool;

  async function use(isMigrated: boolean): Promise<void> {
    database = await createTestDatabase({ isMigrated });
    pool = new pg.Pool({ connectionString: database.url });
  }

  afterEach(async () => {
    await pool.end();
    await database.drop();
  });

  describe('on a migrated database', () => {
    beforeEach(async () => use(true));

    it('offers an Outbox over a pg Pool', async () => {
      const outbox = await boot([
        databaseModule(pg.Pool, pool),
        OutboxModule.forRoot({ database: pg.Pool, events: [Placed] }),
      ]);
      const client = await pool.connect();
      await client.query('begin');
      expect(await outbox.publish(client, Placed, { orderId: 'a' })).toMatchObject([{ position: 1n }]);
      await client.query('rollback');
      client.release();
    });

    it('offers an Outbox over a TypeORM DataSource', async () => {
      const dataSource = await new DataSource({ type: 'postgres', url: database.url }).initialize();
      const outbox = await boot([
        databaseModule(DataSource, dataSource),
        OutboxModule.forRoot({ database: DataSource, events: [Placed] }),
      ]);
      await dataSource.transaction(async (manager) => {
        expect(await outbox.publish(manager, Placed, { orderId: 'a' })).toHaveLength(1);
      });
      await dataSource.destroy();
    });

    it('stops the boot when the user lacks the grant, and says which one', async () => {
      const login = `login_${database.name}`;
      await pool.query(`create role ${login}`);
      const poor = new pg.Pool({ connectionString: database.url, options: `-c role=${login}` });

      await expect(
        boot([databaseModule(pg.Pool, poor), OutboxModule.forRoot({ database: pg.Pool, events: [] })]),
      ).rejects.toMatchObject({
        code: 'not_authorised',
        message: expect.stringMatching(/grant millrace_producer to/),
      });
      await poor.end();
      await pool.query(`drop role ${login}`);
    });

    it('stops the boot when the database is newer', async () => {
      await pool.query(`insert into millrace.migration (version, name, checksum) values (99, 'later', 'x')`);

      await expect(
        boot([databaseModule(pg.Pool, pool), OutboxModule.forRoot({ database: pg.Pool, events: [] })]),
      ).rejects.toMatchObject({ name: 'SchemaError', code: 'schema_too_new' });
    });
  });

  describe('on a database without the schema', () => {
    beforeEach(async () => use(false));

    it('stops the boot and says what to run', async () => {
      await expect(
        boot([databaseModule(pg.Pool, pool), OutboxModule.forRoot({ database: pg.Pool, events: [Placed] })]),
      ).rejects.toMatchObject({
        code: 'schema_missing',
        message: expect.stringMatching(/Run: millrace migrate --database-url/),
      });
    });

    it.each([
      ['names a token that no module provides', pg.Client],
      ['names a provider without a query\\(\\) method', DatabaseModule],
    ])('stops the boot when forRoot %s', async (reason, token) => {
      await expect(
        boot([databaseModule(pg.Pool, pool), OutboxModule.forRoot({ database: token, events: [Placed] })]),
      ).rejects.toMatchObject({
        code: 'configuration_invalid',
        message: expect.stringMatching(new RegExp(`${reason}\\. Give the token`)),
      });
    });

    it.each([
      [{ events: [Placed, Placed] }, /^Event order\.placed is registered twice/],
      [{ events: [], maxEventBytes: 0 }, /^maxEventBytes must be/],
      [{ events: [], maxEventBytes: 1.5 }, /^maxEventBytes must be/],
    ])('stops the boot for a wrong configuration (%#)', async (config, message) => {
      await expect(
        boot([databaseModule(pg.Pool, pool), OutboxModule.forRoot({ database: pg.Pool, ...config })]),
      ).rejects.toMatchObject({ code: 'configuration_invalid', message: expect.stringMatching(message) });
    });
  });
});
