import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createDataSource, migrateTables, MIGRATION_LIMITS } from '@millrace/service';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { type DataSource } from 'typeorm';

import { orderService } from './order.definition.js';

describe('the tables of the order service', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    const config = { url: database.url, poolMax: 2 };
    await migrateTables(orderService, config);
    dataSource = await createDataSource(orderService, config, MIGRATION_LIMITS).initialize();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const order = (change: Record<string, unknown>): unknown[] =>
    Object.values({ customer: 'c', status: 'pending', reason: null, cents: 5, version: 1, refund: false, ...change });

  const insert = async (change: Record<string, unknown>): Promise<unknown> =>
    await dataSource.query(
      `insert into orders (id, customer_id, status, reason, total_cents, version, is_refund_requested)
       values (gen_random_uuid(), $1, $2, $3, $4, $5, $6)`,
      order(change),
    );

  it('have the columns that the entities expect', async () => {
    const rows = await Promise.all(
      dataSource.entityMetadatas.map(async ({ target }) => await dataSource.getRepository(target).find({ take: 1 })),
    );
    expect(rows).toEqual([[], []]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['orders_status_check', { status: 'lost' }],
    ['orders_total_cents_check', { cents: -1 }],
    ['orders_version_check', { version: 0 }],
    ['orders_reason_check', { status: 'rejected' }],
    ['orders_reason_check', { status: 'confirmed', reason: 'out-of-stock' }],
    ['orders_is_refund_requested_check', { status: 'confirmed', refund: true }],
  ])('refuse by %s an order %j', async (constraint, change) => {
    await expect(insert(change)).rejects.toMatchObject({ constraint });
  });

  it('are gone after the migration is taken back, and come again', async () => {
    await dataSource.undoLastMigration({ transaction: 'each' });
    const left: unknown = await dataSource.query(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
    );
    expect(left).toEqual([{ name: 'migration' }]);
    expect(await migrateTables(orderService, { url: database.url, poolMax: 2 })).toEqual(['Orders1763700000000']);
  });
});
