import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createDataSource, migrateTables, MIGRATION_LIMITS } from '@millrace/service';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { type DataSource } from 'typeorm';

import { inventoryService } from './inventory.definition.js';

describe('the tables of the inventory service', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    const config = { url: database.url, poolMax: 2 };
    await migrateTables(inventoryService, config);
    dataSource = await createDataSource(inventoryService, config, MIGRATION_LIMITS).initialize();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const insertStock = async (change: Record<string, unknown>): Promise<unknown> =>
    await dataSource.query(
      'insert into stock (sku, received, reserved, sold, version) values ($1, $2, $3, $4, $5)',
      Object.values({ sku: 'tea', received: 10, reserved: 2, sold: 3, version: 1, ...change }),
    );

  const insertReservation = async (change: Record<string, unknown>): Promise<unknown> =>
    await dataSource.query(
      `insert into reservation (order_id, customer_id, status, reason, total_cents, version)
       values (gen_random_uuid(), $1, $2, $3, $4, $5)`,
      Object.values({ customer: 'c', status: 'reserved', reason: null, cents: 5, version: 1, ...change }),
    );

  it('have the columns that the entities expect', async () => {
    const rows = await Promise.all(
      dataSource.entityMetadatas.map(async ({ target }) => await dataSource.getRepository(target).find({ take: 1 })),
    );
    expect(rows).toEqual([[], [], [], []]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['stock_received_check', { received: '9007199254740992' }],
    ['stock_reserved_check', { reserved: -1 }],
    ['stock_sold_check', { sold: -1 }],
    ['stock_available_check', { reserved: 8 }],
    ['stock_version_check', { version: 0 }],
    ['stock_sku_check', { sku: '' }],
    ['stock_sku_check', { sku: 'x'.repeat(65) }],
  ])('refuse by %s stock %j', async (constraint, change) => {
    await expect(insertStock(change)).rejects.toMatchObject({ constraint });
  });

  it.each<[string, Record<string, unknown>]>([
    ['reservation_status_check', { status: 'lost' }],
    ['reservation_reason_check', { status: 'refused' }],
    ['reservation_reason_check', { status: 'sold', reason: 'out-of-stock' }],
    ['reservation_customer_id_check', { customer: null }],
    ['reservation_total_cents_check', { cents: null }],
    ['reservation_total_cents_check', { cents: -1 }],
    ['reservation_total_cents_check', { status: 'tombstone', customer: null }],
    ['reservation_version_check', { version: 0 }],
  ])('refuse by %s a reservation %j', async (constraint, change) => {
    await expect(insertReservation(change)).rejects.toMatchObject({ constraint });
  });

  it('refuse a movement of nothing, one of an article that is not known, and a second one of a version', async () => {
    const insert = async (...movement: unknown[]): Promise<unknown> =>
      await dataSource.query(
        `insert into stock_movement (sku, version, quantity, reason) values ($1, $2, $3, 'counted')`,
        movement,
      );
    await insertStock({ sku: 'cup' });
    await insert('cup', 1, 10);
    await expect(insert('cup', 2, 0)).rejects.toMatchObject({ constraint: 'stock_movement_quantity_check' });
    await expect(insert('unicorn', 1, 1)).rejects.toMatchObject({ constraint: 'stock_movement_sku_fk' });
    await expect(insert('cup', 1, 1)).rejects.toMatchObject({ constraint: 'stock_movement_pk' });
  });

  it('are gone after the migration is taken back, and come again', async () => {
    await dataSource.undoLastMigration({ transaction: 'each' });
    const left: unknown = await dataSource.query(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
    );
    expect(left).toEqual([{ name: 'migration' }]);
    expect(await migrateTables(inventoryService, { url: database.url, poolMax: 2 })).toEqual([
      'Inventory1763800000000',
    ]);
  });
});
