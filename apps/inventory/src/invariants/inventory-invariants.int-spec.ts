import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createDataSource, migrateTables } from '@millrace/service';
import { PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { type DataSource, type QueryRunner } from 'typeorm';

import { inventoryService } from '../inventory.definition.js';
import { inventoryInvariants } from './inventory-invariants.sql.js';

const SEED = `
insert into stock (sku, received, reserved, sold, version) values ('tea', 10, 3, 2, 5), ('cup', 4, 0, 1, 3);
insert into stock_movement (sku, version, quantity, reason)
  values ('tea', 1, 12, 'counted'), ('tea', 2, -2, 'lost'), ('cup', 1, 4, 'counted');
insert into reservation (order_id, customer_id, status, reason, total_cents, version) values
  ('00000000-0000-7000-8000-000000000001', 'c', 'reserved', null, 300, 1),
  ('00000000-0000-7000-8000-000000000002', 'c', 'sold', null, 500, 2),
  ('00000000-0000-7000-8000-000000000003', 'c', 'released', null, 700, 2),
  ('00000000-0000-7000-8000-000000000004', 'c', 'refused', 'out-of-stock', 900, 1),
  ('00000000-0000-7000-8000-000000000005', 'c', 'refused', 'order-cancelled', 1100, 2),
  ('00000000-0000-7000-8000-000000000006', null, 'tombstone', null, null, 1);
insert into reservation_line (order_id, sku, quantity) values
  ('00000000-0000-7000-8000-000000000001', 'tea', 3),
  ('00000000-0000-7000-8000-000000000002', 'tea', 2), ('00000000-0000-7000-8000-000000000002', 'cup', 1),
  ('00000000-0000-7000-8000-000000000003', 'tea', 9), ('00000000-0000-7000-8000-000000000004', 'unicorn', 1),
  ('00000000-0000-7000-8000-000000000005', 'cup', 1);
insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
select gen_random_uuid(), 'stock', '00000000-0000-7000-8000-00000000000' || order_number, 'stock.' || type, version, '{}'
from (values (1, 'reserved', 1), (2, 'reserved', 1), (2, 'sold', 2), (3, 'reserved', 1), (3, 'released', 2),
             (4, 'refused', 1), (5, 'refused', 2)) as told (order_number, type, version);
`;

interface Check {
  readonly holds: boolean;
  readonly worstSkus?: string;
}

describe('the rules of the inventory', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let runner: QueryRunner;

  beforeAll(async () => {
    database = await createTestDatabase();
    const config = { url: database.url, poolMax: 2 };
    await migrateTables(inventoryService, config);
    dataSource = await createDataSource(inventoryService, config, PATIENT_LIMITS).initialize();
    await dataSource.query(SEED);
    // what the constraints forbid is what a rule has to find all the same
    await dataSource.query(`alter table stock drop constraint stock_available_check,
                            drop constraint stock_sold_check, drop constraint stock_reserved_check`);
  });

  beforeEach(async () => {
    runner = dataSource.createQueryRunner();
    await runner.startTransaction();
  });

  afterEach(async () => {
    await runner.rollbackTransaction();
    await runner.release();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const brokenRules = async (): Promise<[string, string | undefined][]> => {
    const broken: [string, string | undefined][] = [];
    for (const { name, sql } of inventoryInvariants.checks) {
      const [check] = (await runner.query(sql)) as Check[];
      if (check?.holds !== true) {
        broken.push([name, check?.worstSkus]);
      }
    }
    return broken;
  };

  const figures = async (): Promise<unknown> => {
    const [row] = (await runner.query(inventoryInvariants.figures.sql)) as { figures: unknown }[];
    return inventoryInvariants.figures.schema.parse(row?.figures);
  };

  it('hold, with the figures of all reservations and pieces', async () => {
    expect(await brokenRules()).toEqual([]);
    expect(await figures()).toEqual({
      reservations: {
        reserved: { count: 1, cents: '300' },
        sold: { count: 1, cents: '500' },
        released: { count: 1, cents: '700' },
        refused: { count: 2, cents: '2000' },
        tombstone: { count: 1, cents: '0' },
      },
      units: { received: '14', onHand: '11', reserved: '3', sold: '3' },
    });
  });

  it('hold when there is nothing yet', async () => {
    await runner.query('delete from reservation_line; delete from reservation; delete from stock_movement');
    await runner.query(`delete from stock; set local millrace.retention = 'on'; delete from millrace.outbox`);
    expect(await brokenRules()).toEqual([]);
    expect(await figures()).toMatchObject({
      units: { received: '0' },
      reservations: { sold: { count: 0, cents: '0' } },
    });
  });

  it.each<[string, string, [string, string | undefined][]]>([
    [
      'a sale that was never reserved',
      `update stock set sold = sold + 1 where sku = 'cup'`,
      [['sold-is-its-sales', '["cup"]']],
    ],
    [
      'stock that nobody received',
      `update stock set received = received + 1`,
      [['received-is-its-movements', '["cup", "tea"]']],
    ],
    [
      'more reserved than there is, the worst first',
      `update stock set reserved = case sku when 'tea' then 10 else 50 end`,
      [
        ['stock-never-negative', '["cup", "tea"]'],
        ['reserved-is-its-reservations', '["cup", "tea"]'],
      ],
    ],
    [
      'a reservation that ended without its stock',
      `update reservation set status = 'released' where status = 'reserved'`,
      [
        ['reserved-is-its-reservations', '["tea"]'],
        ['reservation-events', undefined],
      ],
    ],
    [
      'an article that is reserved and not there',
      `insert into reservation_line (order_id, sku, quantity)
       values ('00000000-0000-7000-8000-000000000001', 'unicorn', 1)`,
      [['reserved-is-its-reservations', '["unicorn"]']],
    ],
    [
      'an event that was told twice',
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
       values (gen_random_uuid(), 'stock', '00000000-0000-7000-8000-000000000001', 'stock.reserved', 1, '{}')`,
      [['reservation-events', undefined]],
    ],
    [
      'an event of an order that is not known',
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
       values (gen_random_uuid(), 'stock', '00000000-0000-7000-8000-00000000000f', 'stock.reserved', 1, '{}')`,
      [['reservation-events', undefined]],
    ],
  ])('tell %s', async (_what, harm, broken) => {
    await runner.query(harm);
    expect(await brokenRules()).toEqual(broken);
  });
});
