import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  OrderCancelled,
  OrderConfirmed,
  OrderRefundRequested,
  OrderRejected,
  PaymentCaptured,
  PaymentDeclined,
  StockRefused,
} from '@millrace/contracts';
import { portOf } from '@millrace/http';
import { type TestDelivery, TestInbox } from '@millrace/inbox/testing';
import { createServiceApp, type InvariantReport, migrateTables, readServiceConfig } from '@millrace/service';
import { idleSubscription, PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import { orderService } from '../order.definition.js';
import { OrderModule } from '../order.module.js';
import { type OrderView } from './order-api.js';

const TOTAL_CENTS = 900;
const wish = { customerId: 'ada', lines: [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }] };

describe('an order between stock and payment', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let app: NestExpressApplication;
  let url: string;
  let inbox: TestInbox;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrateTables(orderService, { url: database.url, poolMax: 2 });
    client = await database.connect();
    const environment = { DATABASE_URL: database.url, KAFKA_BROKERS: '127.0.0.1:9', LOG_LEVEL: 'silent' };
    const config = readServiceConfig(orderService, environment);
    app = await createServiceApp(
      orderService,
      { ...config, database: { ...config.database, limits: PATIENT_LIMITS }, subscribe: idleSubscription },
      (connections, read) => OrderModule.forRoot(connections, read),
    );
    await app.listen(0, '127.0.0.1');
    url = `http://127.0.0.1:${portOf(app)}`;
    inbox = await TestInbox.create({ dataSource: app.get(DataSource), handlers: app, consumer: orderService.name });
  });

  afterAll(async () => {
    await app.close();
    await client.end();
    await database.drop();
  });

  const post = async (path: string, body?: unknown, key: string | null = uuidv7()): Promise<Response> =>
    await fetch(`${url}${path}`, {
      method: 'POST',
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === null ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  const place = async (): Promise<string> => {
    const response = await post('/orders', wish);
    expect(response.status).toBe(202);
    return ((await response.json()) as { id: string }).id;
  };

  const cancel = async (id: string, key: string | null = uuidv7()): Promise<Response> =>
    await post(`/orders/${id}/cancel`, undefined, key);

  const captured = (orderId: string, amountCents = TOTAL_CENTS): TestDelivery<typeof PaymentCaptured> =>
    inbox.deliver(PaymentCaptured, { orderId, paymentId: uuidv7(), amountCents });

  const declined = (orderId: string, reason = 'insufficient-funds'): TestDelivery<typeof PaymentDeclined> =>
    inbox.deliver(PaymentDeclined, { orderId, reason });

  const refused = (orderId: string, reason = 'out-of-stock'): TestDelivery<typeof StockRefused> =>
    inbox.deliver(StockRefused, { orderId, reason });

  const get = async (id: string): Promise<OrderView> =>
    (await (await fetch(`${url}/orders/${id}`)).json()) as OrderView;

  /** Status and version as the API tells them, and the events of the order with the version of each. */
  const storyOf = async (id: string): Promise<string[]> => {
    const { status, version } = await get(id);
    const { rows } = await client.query<{ event: string }>(
      `select type || ' ' || aggregateversion as event from millrace.outbox where aggregateid = $1 order by position`,
      [id],
    );
    return [`${status} ${version}`, ...rows.map(({ event }) => event)];
  };

  const PENDING = ['pending 1', 'order.placed 1'];
  const CONFIRMED = ['confirmed 2', 'order.placed 1', 'order.confirmed 2'];
  const REJECTED = ['rejected 2', 'order.placed 1', 'order.rejected 2'];
  const CANCELLED = ['cancelled 2', 'order.placed 1', 'order.cancelled 2'];
  const REFUNDED = ['cancelled 3', 'order.placed 1', 'order.cancelled 2', 'order.refund-requested 3'];

  /** Orders in every state, by the way that they come there. */
  const make = {
    pending: place,
    confirmed: async () => {
      const id = await place();
      await captured(id);
      return id;
    },
    rejected: async () => {
      const id = await place();
      await refused(id);
      return id;
    },
    cancelled: async () => {
      const id = await place();
      expect((await cancel(id)).status).toBe(202);
      return id;
    },
  };

  describe('that hears from them', () => {
    it('is confirmed when its payment was captured', async () => {
      const id = await place();
      const { id: eventId } = await captured(id).withHeaders({ 'correlation-id': 'story-7' });
      expect(await storyOf(id)).toEqual(CONFIRMED);
      expect((await fetch(`${url}/orders/${id}`)).headers.get('etag')).toBe('"2"');
      const [confirmed] = (await inbox.published(OrderConfirmed)).filter(({ aggregateId }) => aggregateId === id);
      expect(confirmed).toMatchObject({
        payload: { orderId: id },
        headers: { 'correlation-id': 'story-7', 'causation-id': eventId },
      });
    });

    it.each([
      ['stock is refused', refused, 'out-of-stock'],
      ['payment is declined', declined, 'insufficient-funds'],
    ])('is rejected with the reason when %s', async (_what, deliver, reason) => {
      const id = await place();
      await deliver(id);
      expect(await storyOf(id)).toEqual(REJECTED);
      expect(await get(id)).toMatchObject({ status: 'rejected', reason });
      const [rejected] = (await inbox.published(OrderRejected)).filter(({ aggregateId }) => aggregateId === id);
      expect(rejected?.payload).toEqual({ orderId: id, reason });
    });

    it('asks for its money back when it was cancelled before', async () => {
      const id = await make.cancelled();
      await captured(id);
      expect(await storyOf(id)).toEqual(REFUNDED);
      const [refund] = (await inbox.published(OrderRefundRequested)).filter(({ aggregateId }) => aggregateId === id);
      expect(refund?.payload).toEqual({ orderId: id, amountCents: TOTAL_CENTS });
    });

    it.each([
      ['payment.captured', 'pending', captured, CONFIRMED],
      ['payment.declined', 'pending', declined, REJECTED],
      ['stock.refused', 'pending', refused, REJECTED],
      ['payment.captured', 'cancelled', captured, REFUNDED],
    ] as const)('takes %s of a %s order once, however often it comes', async (_what, state, deliver, story) => {
      const again = await make[state]();
      expect((await deliver(again).crashAfterHandler().times(3)).outcomes).toEqual([
        'crashed',
        'applied',
        'duplicate',
        'duplicate',
      ]);
      expect(await storyOf(again)).toEqual(story);
      const atOnce = await make[state]();
      const { outcomes } = await deliver(atOnce).times(4).concurrently();
      expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
      expect(await storyOf(atOnce)).toEqual(story);
    });

    it.each([
      ['rejected', REJECTED],
      ['cancelled', CANCELLED],
    ] as const)('stays %s when a refusal comes late', async (state, story) => {
      const id = await make[state]();
      expect([(await refused(id)).outcome, (await declined(id)).outcome]).toEqual(['applied', 'applied']);
      expect(await storyOf(id)).toEqual(story);
    });

    it('stays cancelled when a refusal comes after the refund was requested', async () => {
      const id = await make.cancelled();
      await captured(id);
      await declined(id);
      expect(await storyOf(id)).toEqual(REFUNDED);
    });
  });

  describe('that hears what cannot be', () => {
    it.each([
      ['captured-twice', 'confirmed', captured, CONFIRMED],
      ['payment-declined-after-confirmation', 'confirmed', declined, CONFIRMED],
      ['stock-refused-after-confirmation', 'confirmed', refused, CONFIRMED],
      ['captured-after-rejection', 'rejected', captured, REJECTED],
      ['captured-amount-differs', 'pending', (id: string) => captured(id, 899), PENDING],
    ] as const)('parks it as %s of a %s order', async (code, state, deliver, story) => {
      const id = await make[state]();
      expect(await deliver(id)).toMatchObject({ outcome: 'parked', setAside: { code } });
      expect(await storyOf(id)).toEqual(story);
    });

    it('parks a second payment of a cancelled order: one refund was requested', async () => {
      const id = await make.cancelled();
      await captured(id);
      expect(await captured(id)).toMatchObject({ outcome: 'parked', setAside: { code: 'captured-twice' } });
      expect(await storyOf(id)).toEqual(REFUNDED);
    });

    it('parks news of an order that it does not have', async () => {
      expect(await captured(uuidv7())).toMatchObject({ outcome: 'parked', setAside: { code: 'order-unknown' } });
    });
  });

  describe('POST /orders/{id}/cancel', () => {
    it('cancels a pending order, and says so to the others', async () => {
      const id = await place();
      const response = await cancel(id);
      expect([response.status, await response.json()]).toEqual([202, { id, status: 'cancelled' }]);
      expect(await storyOf(id)).toEqual(CANCELLED);
      const [event] = (await inbox.published(OrderCancelled)).filter(({ aggregateId }) => aggregateId === id);
      expect(event?.payload).toEqual({ orderId: id });
      const token = Buffer.from(response.headers.get('consistency-token') ?? '', 'base64url').toString();
      expect(JSON.parse(token)).toEqual([
        { source: 'order', topic: 'outbox.event.order', key: id, position: String(event?.position) },
      ]);
      expect(await get(id)).not.toHaveProperty('reason');
    });

    it('gives the first answer again for the same key', async () => {
      const id = await place();
      const key = uuidv7();
      const first = await cancel(id, key);
      const again = await cancel(id, key);
      expect([again.status, await again.text()]).toEqual([202, await first.text()]);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect(again.headers.get('consistency-token')).toBe(first.headers.get('consistency-token'));
      expect(await storyOf(id)).toEqual(CANCELLED);
    });

    it('refuses the key of another order', async () => {
      const key = uuidv7();
      await cancel(await place(), key);
      const id = await place();
      const response = await cancel(id, key);
      expect([response.status, await response.json()]).toMatchObject([
        422,
        { type: 'urn:millrace:problem:idempotency-key-reused' },
      ]);
      expect(await storyOf(id)).toEqual(PENDING);
    });

    it.each([
      ['confirmed', CONFIRMED],
      ['rejected', REJECTED],
      ['cancelled', CANCELLED],
    ] as const)('refuses to cancel a %s order', async (state, story) => {
      const id = await make[state]();
      const response = await cancel(id);
      expect([response.status, await response.json()]).toMatchObject([
        409,
        { type: 'urn:millrace:problem:conflict', detail: expect.stringContaining(state) },
      ]);
      expect(await storyOf(id)).toEqual(story);
    });

    it('makes one cancellation of ten at once', async () => {
      const id = await place();
      const responses = await Promise.all(Array.from({ length: 10 }, async () => await cancel(id)));
      expect(responses.map(({ status }) => status).toSorted()).toEqual([202, ...Array<number>(9).fill(409)]);
      expect(await storyOf(id)).toEqual(CANCELLED);
    });

    it('needs an order, a key, and no body', async () => {
      const id = await place();
      const statuses = [
        await cancel(uuidv7()),
        await cancel('7'),
        await cancel(id, null),
        await post(`/orders/${id}/cancel`, { reason: 'too late' }),
        await post(`/orders/${id}/cancel`, {}),
      ].map(({ status }) => status);
      expect(statuses).toEqual([404, 400, 400, 400, 202]);
    });
  });

  /** Resolves when so many statements of the service wait for a lock. */
  const waiters = async (wanted: number): Promise<void> => {
    const waiting = `select from pg_stat_activity where datname = current_database() and application_name = 'order'
      and wait_event_type = 'Lock'`;
    await until(
      async () => (await client.query(waiting)).rowCount,
      (count) => count === wanted,
      `${wanted} statements that wait for a lock`,
    );
  };

  describe('that is cancelled and paid at the same moment', () => {
    /** Both want the row's lock, `first` before `second`; then the lock is free. */
    const race = async <A, B>(id: string, first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> => {
      await client.query('begin');
      await client.query('select from orders where id = $1 for update', [id]);
      const one = first();
      await waiters(1);
      const other = second();
      await waiters(2);
      await client.query('commit');
      return await Promise.all([one, other]);
    };

    it('is cancelled and asks for its money back when the cancellation is first', async () => {
      const id = await place();
      const [answer, receipt] = await race(
        id,
        async () => await cancel(id),
        async () => await captured(id).run(),
      );
      expect([answer.status, receipt.outcome]).toEqual([202, 'applied']);
      expect(await storyOf(id)).toEqual(REFUNDED);
    });

    it('is confirmed and cannot be cancelled when the payment is first', async () => {
      const id = await place();
      const [receipt, answer] = await race(
        id,
        async () => await captured(id).run(),
        async () => await cancel(id),
      );
      expect([receipt.outcome, answer.status]).toEqual(['applied', 409]);
      expect(await storyOf(id)).toEqual(CONFIRMED);
    });

    it('is rejected and cannot be cancelled when a refusal is first', async () => {
      const id = await place();
      const [receipt, answer] = await race(
        id,
        async () => await declined(id).run(),
        async () => await cancel(id),
      );
      expect([receipt.outcome, answer.status]).toEqual(['applied', 409]);
      expect(await storyOf(id)).toEqual(REJECTED);
    });
  });

  describe('GET /invariants', () => {
    const report = async (): Promise<InvariantReport> => {
      const response = await fetch(`${url}/invariants`);
      expect(response.status).toBe(200);
      return (await response.json()) as InvariantReport;
    };

    /** Changes what nobody may: without the trigger that keeps events as they are. */
    const tamper = async (...statements: string[]): Promise<void> => {
      await client.query(['set session_replication_role = replica', ...statements, 'reset all'].join(';'));
    };

    const broken = async (): Promise<(string | boolean)[]> => {
      const { holds, invariants } = await report();
      return [holds, ...invariants.filter((invariant) => invariant.holds === false).map(({ name }) => name)];
    };

    it('holds after all of this, with the orders of every state in numbers', async () => {
      const { rows } = await client.query<{ status: string; count: number }>(
        'select status, count(*)::integer as count from orders group by status',
      );
      const { holds, figures, invariants } = await report();
      expect([holds, invariants.map((invariant) => invariant.holds)]).toEqual([true, [true, true, true]]);
      expect(figures).toMatchObject({
        orders: Object.fromEntries(
          rows.map(({ status, count }) => [status, { count, cents: String(count * TOTAL_CENTS) }]),
        ),
        refundsRequested: { count: expect.any(Number) },
      });
    });

    it.each([
      ['order-totals', 'a total is another', 'update orders set total_cents = total_cents + 1 where id = $id'],
      ['order-totals', 'lines are missing', 'delete from order_line where order_id = $id'],
      ['order-versions', 'a change was not counted', `update orders set status = 'cancelled' where id = $id`],
      ['order-events', 'a change told nobody', 'update orders set version = version + 1 where id = $id'],
      ['order-events', 'all its events are gone', 'delete from millrace.outbox where aggregateid = $id'],
      [
        'order-events',
        'an event was published twice',
        `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
         select gen_random_uuid(), aggregatetype, aggregateid, type, aggregateversion, payload
         from millrace.outbox where aggregateid = $id`,
      ],
      [
        'order-events',
        'an event is of another type',
        `update millrace.outbox set type = 'order.confirmed' where aggregateid = $id`,
      ],
      [
        'order-events',
        'an event is of an order that is not there',
        'update millrace.outbox set aggregateid = gen_random_uuid()::text where aggregateid = $id',
      ],
    ])('names %s when %s', async (name, _what, statement) => {
      const id = await place();
      // younger by an hour: then what is kept of the outbox reaches back far enough to hold its events
      await client.query(`update orders set created_at = created_at + interval '1 hour' where id = $1`, [id]);
      await tamper(statement.replaceAll('$id', `'${id}'`));
      expect(await broken()).toEqual(expect.arrayContaining([false, name]));
      await tamper(
        `delete from order_line where order_id = '${id}'`,
        `delete from orders where id = '${id}'`,
        `delete from millrace.outbox where payload ->> 'orderId' = '${id}'`,
      );
      expect(await broken()).toEqual([true]);
    });

    it('gives one report to all who ask at once', async () => {
      const arrived = new Promise<void>((resolve) => {
        let requests = 0;
        app.getHttpServer().on('request', () => {
          requests += 1;
          if (requests === 5) {
            resolve();
          }
        });
      });
      await client.query('begin; lock table orders in access exclusive mode');
      const reports = Array.from({ length: 5 }, report);
      await Promise.all([arrived, waiters(1)]);
      await client.query('commit');
      expect(new Set((await Promise.all(reports)).map(({ checkedAt }) => checkedAt)).size).toBe(1);
    });
  });
});
