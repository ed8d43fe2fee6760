import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { OrderCancelled, OrderConfirmed, OrderPlaced, OrderRejected, StockReserved } from '@millrace/contracts';
import { type PayloadOf } from '@millrace/events';
import { TestInbox, type TestReceipt } from '@millrace/inbox/testing';
import { Outbox } from '@millrace/outbox';
import { createDataSource, migrateTables } from '@millrace/service';
import { PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { Registry } from 'prom-client';
import { type DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import { inventoryInvariants } from '../invariants/inventory-invariants.sql.js';
import { inventoryService } from '../inventory.definition.js';
import { OrderEventsHandler } from './order-events.handler.js';
import { ReservationBook } from './reservation-book.js';
import { RESERVATIONS, ReservationMetrics } from './reservation-metrics.js';

type Order = PayloadOf<typeof OrderPlaced>;

interface Stock {
  readonly received: number;
  readonly reserved: number;
  readonly sold: number;
}

interface Reservation {
  readonly status: string;
  readonly reason: string | null;
  readonly customer: string | null;
  readonly cents: number | null;
  readonly version: number;
  readonly lines: string | null;
}

const LANES = 6;

/** The lanes, the rules that are watched meanwhile, and one to spare. */
const POOL_MAX = LANES + 2;

describe('the inventory, told of orders', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let registry: Registry;
  let inbox: TestInbox;
  let testNumber = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
    const config = { url: database.url, poolMax: POOL_MAX };
    await migrateTables(inventoryService, config);
    await planAsWithManyArticles();
    dataSource = await createDataSource(inventoryService, config, PATIENT_LIMITS).initialize();
    registry = new Registry();
    const book = new ReservationBook(
      new Outbox({ events: inventoryService.publishes }),
      new ReservationMetrics(registry),
    );
    inbox = await TestInbox.create({ dataSource, handlers: [new OrderEventsHandler(book)], source: 'order' });
  });

  beforeEach(async () => {
    testNumber += 1;
    registry.resetMetrics();
    await inbox.forgetPublished();
  });

  afterEach(async () => {
    expect(await brokenRules()).toEqual([]);
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  /** By the index, article by article as the order names them: a few rows are read in the order of the table. */
  const planAsWithManyArticles = async (): Promise<void> => {
    const client = await database.connect();
    for (const plan of ['seqscan', 'hashjoin', 'mergejoin', 'material']) {
      await client.query(`alter database ${database.name} set enable_${plan} = off`);
    }
    await client.end();
  };

  /** Each test has its own articles; the database is that of all. */
  const skuOf = (article: string): string => `${article} ${testNumber}`;

  const brokenRules = async (): Promise<string[]> => {
    const broken: string[] = [];
    for (const { name, sql } of inventoryInvariants.checks) {
      const rows: { holds: boolean }[] = await dataSource.query(sql);
      broken.push(...rows.filter(({ holds }) => !holds).map((numbers) => `${name}: ${JSON.stringify(numbers)}`));
    }
    return broken;
  };

  const receive = async (article: string, pieces: number): Promise<void> => {
    await dataSource.query(
      `with stock as (insert into stock (sku, received, reserved, sold, version) values ($1, $2, 0, 0, 1))
       insert into stock_movement (sku, version, quantity, reason) select $1, 1, $2, 'counted' where $2 > 0`,
      [skuOf(article), pieces],
    );
  };

  const stockOf = async (article: string): Promise<Stock | undefined> => {
    const rows: Stock[] = await dataSource.query(
      'select received::integer, reserved::integer, sold::integer from stock where sku = $1',
      [skuOf(article)],
    );
    return rows[0];
  };

  const reservationOf = async (orderId: string): Promise<Reservation | undefined> => {
    const rows: Reservation[] = await dataSource.query(
      `select status, reason, customer_id as customer, total_cents::integer as cents, version,
         (select string_agg(split_part(sku, ' ', 1) || ' ' || quantity, ', ' order by sku) from reservation_line
          where reservation_line.order_id = reservation.order_id) as lines
       from reservation where order_id = $1`,
      [orderId],
    );
    return rows[0];
  };

  /** Type and version of everything told of an order, in order. */
  const toldOf = async (orderId: string): Promise<string[]> => {
    const rows: { told: string }[] = await dataSource.query(
      `select type || ' ' || aggregateversion || coalesce(' ' || (payload ->> 'reason'), '') as told
       from millrace.outbox where aggregateid = $1 order by position`,
      [orderId],
    );
    return rows.map(({ told }) => told);
  };

  const orderOf = (...lines: [article: string, quantity: number][]): Order => ({
    orderId: uuidv7(),
    customerId: 'customer-1',
    lines: lines.map(([article, quantity]) => ({ sku: skuOf(article), quantity, unitPriceCents: 450 })),
    totalCents: lines.reduce((cents, [, quantity]) => cents + quantity * 450, 0),
  });

  const confirm = async ({ orderId }: Order): Promise<TestReceipt> => await inbox.deliver(OrderConfirmed, { orderId });
  const cancel = async ({ orderId }: Order): Promise<TestReceipt> => await inbox.deliver(OrderCancelled, { orderId });
  const reject = async ({ orderId }: Order): Promise<TestReceipt> =>
    await inbox.deliver(OrderRejected, { orderId, reason: 'insufficient-funds' });

  describe('order.placed', () => {
    it('reserves all lines, those of one article together, and tells customer and total', async () => {
      await receive('tea', 10);
      await receive('cup', 3);
      const order = orderOf(['tea', 2], ['cup', 3], ['tea', 1]);
      expect((await inbox.deliver(OrderPlaced, order)).outcome).toBe('applied');
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 3, sold: 0 });
      expect(await stockOf('cup')).toEqual({ received: 3, reserved: 3, sold: 0 });
      expect(await reservationOf(order.orderId)).toEqual({
        status: 'reserved',
        reason: null,
        customer: 'customer-1',
        cents: 2700,
        version: 1,
        lines: 'cup 3, tea 3',
      });
      expect(await toldOf(order.orderId)).toEqual(['stock.reserved 1']);
      const [told] = await inbox.published(StockReserved);
      expect(told?.payload).toEqual({ orderId: order.orderId, customerId: 'customer-1', totalCents: 2700 });
    });

    it('carries on correlation and trace, and names its cause', async () => {
      await receive('tea', 10);
      const trace = { 'correlation-id': 'story-1', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` };
      const { id } = await inbox.deliver(OrderPlaced, orderOf(['tea', 1])).withHeaders(trace);
      const [told] = await inbox.published(StockReserved);
      expect(told?.headers).toMatchObject({ ...trace, 'causation-id': id });
    });

    it.each<[string, [string, number][], string]>([
      [
        'there is too little of one',
        [
          ['tea', 1],
          ['cup', 4],
        ],
        'out-of-stock',
      ],
      [
        'its lines together want too much',
        [
          ['cup', 2],
          ['cup', 2],
        ],
        'out-of-stock',
      ],
      [
        'one is not known',
        [
          ['tea', 1],
          ['unicorn', 1],
        ],
        'unknown-sku',
      ],
      [
        'one is not known and of another is too little',
        [
          ['cup', 4],
          ['unicorn', 1],
        ],
        'unknown-sku',
      ],
      ['all of one is reserved', [['rare', 1]], 'out-of-stock'],
    ])('reserves nothing when %s', async (_what, lines, reason) => {
      await receive('tea', 10);
      await receive('cup', 3);
      await receive('rare', 1);
      await inbox.deliver(OrderPlaced, orderOf(['rare', 1]));
      const order = orderOf(...lines);
      expect((await inbox.deliver(OrderPlaced, order).twice()).outcomes).toEqual(['applied', 'duplicate']);
      expect([await stockOf('tea'), await stockOf('cup')]).toEqual([
        { received: 10, reserved: 0, sold: 0 },
        { received: 3, reserved: 0, sold: 0 },
      ]);
      expect(await reservationOf(order.orderId)).toMatchObject({ status: 'refused', reason, version: 1 });
      expect(await toldOf(order.orderId)).toEqual([`stock.refused 1 ${reason}`]);
    });

    it('takes the last piece once', async () => {
      await receive('rare', 1);
      const orders = Array.from({ length: 6 }, () => orderOf(['rare', 1]));
      await Promise.all(orders.map(async (order) => await inbox.deliver(OrderPlaced, order)));
      const statuses = await Promise.all(orders.map(async ({ orderId }) => (await reservationOf(orderId))?.status));
      expect(statuses.toSorted()).toEqual([...Array.from({ length: 5 }, () => 'refused'), 'reserved']);
    });

    it('sees what came in while it waited for the stock', async () => {
      await receive('late', 0);
      const client = await database.connect();
      await client.query('begin');
      await client.query('update stock set received = 1, version = 2 where sku = $1', [skuOf('late')]);
      await client.query(`insert into stock_movement values ($1, 2, 1, 'delivery')`, [skuOf('late')]);
      const waiting = inbox.deliver(OrderPlaced, orderOf(['late', 1])).run();
      await waitsForLock();
      await client.query('commit');
      await client.end();
      expect((await waiting).outcome).toBe('applied');
      expect(await stockOf('late')).toEqual({ received: 1, reserved: 1, sold: 0 });
    });

    it('reserves once when the process dies before or after its commit', async () => {
      await receive('tea', 10);
      const order = orderOf(['tea', 4]);
      const { outcomes } = await inbox.deliver(OrderPlaced, order).crashAfterHandler().crashAfterCommit();
      expect(outcomes).toEqual(['crashed', 'applied', 'duplicate']);
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 4, sold: 0 });
      expect(await toldOf(order.orderId)).toEqual(['stock.reserved 1']);
    });

    it('reserves once when two members apply it at the same moment', async () => {
      await receive('tea', 10);
      const order = orderOf(['tea', 4]);
      const { outcomes } = await inbox.deliver(OrderPlaced, order).twice().concurrently();
      expect(outcomes.toSorted()).toEqual(['applied', 'duplicate']);
      expect(await stockOf('tea')).toMatchObject({ reserved: 4 });
    });

    it('is let be when it is published again, whatever has become of the reservation', async () => {
      await receive('tea', 10);
      const [open, sold, released, refused] = [
        orderOf(['tea', 1]),
        orderOf(['tea', 2]),
        orderOf(['tea', 3]),
        orderOf(['tea', 99]),
      ];
      for (const order of [open, sold, released, refused]) {
        await inbox.deliver(OrderPlaced, order);
      }
      await confirm(sold);
      await cancel(released);
      await inbox.forgetPublished();
      for (const order of [open, sold, released, refused]) {
        expect((await inbox.deliver(OrderPlaced, order).asReplay()).outcome).toBe('applied');
      }
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 1, sold: 2 });
      expect(await inbox.published(StockReserved)).toEqual([]);
    });

    it('is parked when the same order comes as another one', async () => {
      await receive('tea', 10);
      const order = orderOf(['tea', 1]);
      await inbox.deliver(OrderPlaced, order);
      const other = await inbox.deliver(OrderPlaced, { ...order, customerId: 'customer-2' });
      expect([other.outcome, other.setAside?.code]).toEqual(['parked', 'order-placed-twice']);
      expect(await reservationOf(order.orderId)).toMatchObject({ customer: 'customer-1' });
    });
  });

  describe('order.confirmed', () => {
    it('turns the reservation into a sale, once', async () => {
      await receive('tea', 10);
      await receive('cup', 3);
      const order = orderOf(['tea', 2], ['cup', 1]);
      await inbox.deliver(OrderPlaced, order);
      const { orderId } = order;
      const { outcomes } = await inbox.deliver(OrderConfirmed, { orderId }).crashAfterHandler().crashAfterCommit();
      expect(outcomes).toEqual(['crashed', 'applied', 'duplicate']);
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 0, sold: 2 });
      expect(await stockOf('cup')).toEqual({ received: 3, reserved: 0, sold: 1 });
      expect(await reservationOf(orderId)).toMatchObject({ status: 'sold', version: 2 });
      expect(await toldOf(orderId)).toEqual(['stock.reserved 1', 'stock.sold 2']);
    });

    it('changes nothing when it is published again', async () => {
      await receive('tea', 10);
      const order = orderOf(['tea', 2]);
      await inbox.deliver(OrderPlaced, order);
      await confirm(order);
      expect((await confirm(order)).outcome).toBe('applied');
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 0, sold: 2 });
      expect(await toldOf(order.orderId)).toHaveLength(2);
    });

    it('is parked when nothing is reserved', async () => {
      await receive('tea', 1);
      const [unknown, refused, released, tombstone] = [
        orderOf(['tea', 1]),
        orderOf(['tea', 2]),
        orderOf(['tea', 1]),
        orderOf(['tea', 1]),
      ];
      await inbox.deliver(OrderPlaced, refused);
      await inbox.deliver(OrderPlaced, released);
      await cancel(released);
      await cancel(tombstone);
      for (const order of [unknown, refused, released, tombstone]) {
        const { outcome, setAside } = await confirm(order);
        expect([outcome, setAside?.code]).toEqual(['parked', 'stock-not-reserved']);
      }
      expect(await stockOf('tea')).toEqual({ received: 1, reserved: 0, sold: 0 });
    });
  });

  describe.each([
    ['order.cancelled', cancel],
    ['order.rejected', reject],
  ])('%s', (_type, end) => {
    it('releases what is reserved, once', async () => {
      await receive('tea', 10);
      const order = orderOf(['tea', 7]);
      await inbox.deliver(OrderPlaced, order);
      await end(order);
      expect((await end(order)).outcome).toBe('applied');
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 0, sold: 0 });
      expect(await reservationOf(order.orderId)).toMatchObject({ status: 'released', version: 2, cents: 3150 });
      expect(await toldOf(order.orderId)).toEqual(['stock.reserved 1', 'stock.released 2']);
    });

    it('gives back nothing of an order that was refused', async () => {
      await receive('tea', 1);
      const order = orderOf(['tea', 2]);
      await inbox.deliver(OrderPlaced, order);
      expect((await end(order)).outcome).toBe('applied');
      expect(await reservationOf(order.orderId)).toMatchObject({ status: 'refused', version: 1 });
      expect(await toldOf(order.orderId)).toEqual(['stock.refused 1 out-of-stock']);
    });

    it('makes the order refuse itself when it comes first', async () => {
      await receive('tea', 10);
      const order = orderOf(['tea', 2], ['tea', 1]);
      await end(order);
      await end(order);
      expect(await reservationOf(order.orderId)).toEqual({
        status: 'tombstone',
        reason: null,
        customer: null,
        cents: null,
        version: 1,
        lines: null,
      });
      expect(await toldOf(order.orderId)).toEqual([]);
      const { outcomes } = await inbox.deliver(OrderPlaced, order).crashAfterHandler().twice();
      expect(outcomes).toEqual(['crashed', 'applied', 'duplicate']);
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 0, sold: 0 });
      expect(await reservationOf(order.orderId)).toEqual({
        status: 'refused',
        reason: 'order-cancelled',
        customer: 'customer-1',
        cents: 1350,
        version: 2,
        lines: 'tea 3',
      });
      expect(await toldOf(order.orderId)).toEqual(['stock.refused 2 order-cancelled']);
      expect((await end(order)).outcome).toBe('applied');
      expect(await toldOf(order.orderId)).toHaveLength(1);
    });

    it('ends without stock when it comes at the same moment as order.placed', async () => {
      await receive('tea', 100);
      const orders = Array.from({ length: 20 }, () => orderOf(['tea', 2]));
      await inLanes(
        orders.flatMap((order) => [
          async (): Promise<unknown> => await inbox.deliver(OrderPlaced, order),
          async (): Promise<unknown> => await end(order),
        ]),
      );
      expect(await stockOf('tea')).toEqual({ received: 100, reserved: 0, sold: 0 });
      for (const { orderId } of orders) {
        expect(['released', 'refused']).toContain((await reservationOf(orderId))?.status);
      }
    });

    it('is parked when the stock is sold', async () => {
      await receive('tea', 10);
      const order = orderOf(['tea', 2]);
      await inbox.deliver(OrderPlaced, order);
      await confirm(order);
      const { outcome, setAside } = await end(order);
      expect([outcome, setAside?.code]).toEqual(['parked', 'stock-already-sold']);
      expect(await stockOf('tea')).toEqual({ received: 10, reserved: 0, sold: 2 });
    });
  });

  it('counts what became of orders', async () => {
    await receive('tea', 1);
    const order = orderOf(['tea', 1]);
    await inbox.deliver(OrderPlaced, order);
    await inbox.deliver(OrderPlaced, orderOf(['tea', 1]));
    await confirm(order);
    await cancel(orderOf(['tea', 1]));
    const { values = [] } = (await registry.getSingleMetric(RESERVATIONS.name)?.get()) ?? {};
    expect(values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels['outcome'], value])).toEqual([
      ['reserved', 1],
      ['out-of-stock', 1],
      ['sold', 1],
      ['tombstone', 1],
    ]);
  });

  it('keeps every rule, without a deadlock, while many orders want the same few articles in any order', async () => {
    const skus = ['a', 'b', 'c', 'd'];
    for (const sku of skus) {
      await receive(sku, 60);
    }
    const orders = Array.from({ length: 160 }, (_, index) =>
      orderOf(...rotate(skus, index).map((sku, place): [string, number] => [sku, 1 + ((index + place) % 3)])),
    );
    let isOver = false;
    const watch = async (): Promise<void> => {
      while (!isOver) {
        expect(await brokenRules()).toEqual([]);
      }
    };
    const life = async (order: Order, index: number): Promise<void> => {
      await inbox.deliver(OrderPlaced, order);
      if ((await reservationOf(order.orderId))?.status === 'reserved') {
        await (index % 4 === 0 ? confirm(order) : [cancel, reject][index % 2]?.(order));
      }
    };
    const lives = inLanes(
      orders.map((order, index) => async () => {
        await life(order, index);
      }),
    ).finally(() => {
      isOver = true;
    });
    await Promise.all([lives, watch()]);
    const sums: Stock[] = await dataSource.query(
      `select sum(received)::integer as received, sum(reserved)::integer as reserved, sum(sold)::integer as sold
       from stock where sku = any ($1)`,
      [skus.map(skuOf)],
    );
    expect(sums[0]).toMatchObject({ received: 240, reserved: 0 });
    expect(sums[0]?.sold).toBeGreaterThan(0);
    expect(await deadlocks()).toBe(0);
  });

  async function waitsForLock(): Promise<void> {
    const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await until(
      async () => (await dataSource.query<unknown[]>(waiting)).length,
      (count) => count > 0,
      'a statement that waits for a lock',
    );
  }

  /** The server counts what a session has seen when the session has ended. */
  async function deadlocks(): Promise<number | undefined> {
    await dataSource.destroy();
    await dataSource.initialize();
    const counted = `select deadlocks::integer, numbackends as sessions from pg_stat_database
      where datname = current_database()`;
    const seen = await until(
      async () => (await dataSource.query<{ deadlocks: number; sessions: number }[]>(counted))[0],
      (row) => row?.sessions === 1,
      'the other sessions to end',
    );
    return seen?.deadlocks;
  }
});

/** Does all, a few at the same time, as a consumer does with the keys of its partitions. */
async function inLanes(work: readonly (() => Promise<unknown>)[]): Promise<void> {
  const rest = work.values();
  const lane = async (): Promise<void> => {
    for (const step of rest) {
      await step();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  const turned = [...items.slice(start), ...items.slice(0, start)];
  return by % 2 === 0 ? turned : turned.toReversed();
}
