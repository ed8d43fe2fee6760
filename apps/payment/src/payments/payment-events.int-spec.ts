import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  OrderCancelled,
  OrderRefundRequested,
  PaymentCaptured,
  PaymentDeclined,
  PaymentRefunded,
  StockReserved,
} from '@millrace/contracts';
import { TestInbox, type TestReceipt } from '@millrace/inbox/testing';
import { Outbox } from '@millrace/outbox';
import { migrateTables, openDatabase } from '@millrace/service';
import { PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { Registry } from 'prom-client';
import { type DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import { openAccount } from '../accounts/account-ledger.js';
import { paymentInvariants } from '../invariants.js';
import { paymentService } from '../payment.definition.js';
import { PaymentEvents } from './payment-events.js';
import { PaymentMetrics } from './payment-metrics.js';

describe('what payment does about events', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let registry: Registry;
  let inbox: TestInbox;
  let customerId: string;
  let orderId: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrateTables(paymentService, { url: database.url, poolMax: 2 });
    dataSource = await openDatabase(paymentService, { url: database.url, poolMax: 20, limits: PATIENT_LIMITS });
    registry = new Registry();
    const outbox = new Outbox({ events: paymentService.publishes });
    const handlers = [new PaymentEvents(outbox, new PaymentMetrics(registry))];
    inbox = await TestInbox.create({ dataSource, handlers, consumer: 'payment', source: 'order' });
  });

  beforeEach(async () => {
    customerId = uuidv7();
    orderId = uuidv7();
    await dataSource.transaction(async (manager) => await openAccount(manager, customerId, 1000));
    await inbox.forgetPublished();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const reserved = (totalCents = 300) => inbox.deliver(StockReserved, { orderId, customerId, totalCents });
  const cancelled = () => inbox.deliver(OrderCancelled, { orderId });
  const refundRequested = (amountCents = 300) => inbox.deliver(OrderRefundRequested, { orderId, amountCents });

  const payments = async (): Promise<unknown[]> =>
    await dataSource.query(
      `select status, reason, amount_cents::integer as cents, version from payment where order_id = $1`,
      [orderId],
    );

  const balance = async (): Promise<unknown> => {
    const [row] = await dataSource.query<{ cents: number }[]>(
      'select balance_cents::integer as cents from account where customer_id = $1',
      [customerId],
    );
    return row?.cents;
  };

  /** Type, aggregate version and payload of what was published about the order, in order. */
  const published = async (): Promise<unknown[]> =>
    await dataSource.query(
      `select type, aggregateversion::integer as version, payload - 'paymentId' - 'orderId' as payload
       from millrace.outbox where aggregatetype = 'payment' and aggregateid = $1 order by position`,
      [orderId],
    );

  const rulesHold = async (): Promise<boolean> => {
    const held: boolean[] = [];
    for (const { sql } of paymentInvariants.checks) {
      const [row] = await dataSource.query<{ holds: boolean }[]>(sql);
      held.push(row?.holds === true);
    }
    return held.every(Boolean);
  };

  const CAPTURED = { type: 'payment.captured', version: 1, payload: { amountCents: 300 } };
  const REFUNDED = { type: 'payment.refunded', version: 2, payload: { amountCents: 300 } };
  const declinedFor = (reason: string) => ({ type: 'payment.declined', version: 1, payload: { reason } });

  describe('stock.reserved', () => {
    it('charges the customer and publishes payment.captured with the payment', async () => {
      await reserved().withHeaders({ 'correlation-id': 'story-1' });
      expect(await balance()).toBe(700);
      expect(await payments()).toEqual([{ status: 'captured', reason: null, cents: 300, version: 1 }]);
      expect(await published()).toEqual([CAPTURED]);
      const [event] = await inbox.published(PaymentCaptured);
      const [payment] = await dataSource.query<{ id: string }[]>('select id from payment where order_id = $1', [
        orderId,
      ]);
      expect(event).toMatchObject({
        aggregateId: orderId,
        payload: { orderId, paymentId: payment?.id, amountCents: 300 },
        headers: { 'correlation-id': 'story-1', 'causation-id': expect.any(String) },
      });
    });

    it('takes the last cent', async () => {
      await reserved(1000);
      expect([await balance(), await published()]).toMatchObject([0, [{ type: 'payment.captured' }]]);
    });

    it('declines a cent too much, and leaves the money', async () => {
      await reserved(1001);
      expect(await balance()).toBe(1000);
      expect(await payments()).toEqual([{ status: 'declined', reason: 'insufficient-funds', cents: 1001, version: 1 }]);
      expect(await published()).toEqual([declinedFor('insufficient-funds')]);
    });

    it('declines a customer without an account, also where nothing is to be paid', async () => {
      customerId = uuidv7();
      await reserved(0);
      expect(await payments()).toMatchObject([{ status: 'declined', reason: 'unknown-customer' }]);
      expect(await published()).toEqual([declinedFor('unknown-customer')]);
    });

    it('captures nothing for an order that costs nothing', async () => {
      await reserved(0);
      expect(await balance()).toBe(1000);
      expect(await published()).toEqual([{ ...CAPTURED, payload: { amountCents: 0 } }]);
      await refundRequested(0);
      expect((await published()).at(-1)).toEqual({ ...REFUNDED, payload: { amountCents: 0 } });
    });

    it('charges once when it comes twice, crashes before its commit and after it', async () => {
      const { outcomes } = await reserved().twice().crashAfterHandler().crashAfterCommit();
      expect(outcomes).toEqual(['crashed', 'applied', 'duplicate', 'duplicate']);
      expect([await balance(), await published()]).toEqual([700, [CAPTURED]]);
    });

    it('charges once when members that do not know of each other apply it at once', async () => {
      const { outcomes } = await reserved().times(6).concurrently();
      expect(outcomes.toSorted()).toEqual(['applied', ...Array.from({ length: 5 }, () => 'duplicate')]);
      expect([await balance(), await published()]).toEqual([700, [CAPTURED]]);
    });

    it('charges once when it is replayed long after its claim is forgotten', async () => {
      const { id } = await reserved();
      await dataSource.query('delete from millrace.inbox where id = $1', [id]);
      const { outcome } = await reserved().withId(id).asReplay();
      expect([outcome, await balance(), await published()]).toEqual(['applied', 700, [CAPTURED]]);
    });

    it('parks a second charge of the order for another amount', async () => {
      await reserved();
      expect(await reserved(301)).toMatchObject({ outcome: 'parked', setAside: { code: 'charged-otherwise' } });
      expect([await balance(), await published()]).toEqual([700, [CAPTURED]]);
    });
  });

  describe('order.cancelled', () => {
    it('makes the charge that comes after it decline itself', async () => {
      await cancelled();
      expect([await payments(), await published()]).toEqual([[], []]);
      await reserved();
      expect(await balance()).toBe(1000);
      expect(await payments()).toEqual([{ status: 'declined', reason: 'order-cancelled', cents: 300, version: 1 }]);
      expect(await published()).toEqual([declinedFor('order-cancelled')]);
    });

    it('tells order-cancelled also where the customer could not have paid', async () => {
      customerId = uuidv7();
      await cancelled();
      await reserved();
      expect(await published()).toEqual([declinedFor('order-cancelled')]);
    });

    it('changes nothing once the money is captured, until the refund is requested', async () => {
      await reserved();
      await cancelled();
      expect([await balance(), await published()]).toEqual([700, [CAPTURED]]);
      await refundRequested();
      expect([await balance(), await published()]).toEqual([1000, [CAPTURED, REFUNDED]]);
    });

    it('changes nothing once the charge is declined', async () => {
      await reserved(5000);
      await cancelled();
      expect(await published()).toEqual([declinedFor('insufficient-funds')]);
    });

    it('leaves one tombstone however often it comes', async () => {
      const { id, outcomes } = await cancelled().twice().crashAfterHandler();
      expect(outcomes).toEqual(['crashed', 'applied', 'duplicate']);
      await dataSource.query('delete from millrace.inbox where id = $1', [id]);
      expect((await cancelled().withId(id).asReplay()).outcome).toBe('applied');
    });

    it('meets the charge in one of the two orders when both come at once', async () => {
      const ends: unknown[] = [];
      for (let round = 0; round < 10; round += 1) {
        orderId = uuidv7();
        const receipts: TestReceipt[] = await Promise.all([reserved(1).run(), cancelled().run()]);
        expect(receipts.map(({ outcome }) => outcome)).toEqual(['applied', 'applied']);
        ends.push(...(await payments()));
      }
      const captured = ends.filter((end) => JSON.stringify(end).includes('captured')).length;
      expect([ends.length, await balance()]).toEqual([10, 1000 - captured]);
    });
  });

  describe('order.refund-requested', () => {
    it('gives the money back and publishes payment.refunded with the payment', async () => {
      await reserved();
      await refundRequested();
      expect(await balance()).toBe(1000);
      expect(await payments()).toEqual([{ status: 'refunded', reason: null, cents: 300, version: 2 }]);
      const [captured] = await inbox.published(PaymentCaptured);
      const [refunded] = await inbox.published(PaymentRefunded);
      expect(refunded?.payload).toEqual({ orderId, paymentId: captured?.payload.paymentId, amountCents: 300 });
    });

    it('gives it back once when it comes twice, crashes, comes at once, and is replayed', async () => {
      await reserved();
      const { id, outcomes } = await refundRequested().twice().crashAfterHandler();
      expect(outcomes).toEqual(['crashed', 'applied', 'duplicate']);
      await refundRequested().times(4).concurrently();
      await dataSource.query('delete from millrace.inbox where id = $1', [id]);
      await refundRequested().withId(id).asReplay();
      expect([await balance(), await published()]).toEqual([1000, [CAPTURED, REFUNDED]]);
    });

    it('parks a refund of an order that was never charged', async () => {
      expect(await refundRequested()).toMatchObject({
        outcome: 'parked',
        setAside: { code: 'refund-without-payment', reason: expect.stringContaining('never charged') },
      });
      expect(await published()).toEqual([]);
    });

    it('parks a refund of a declined charge', async () => {
      await reserved(5000);
      expect((await refundRequested(5000)).setAside).toMatchObject({ code: 'refund-of-declined' });
      expect(await balance()).toBe(1000);
    });

    it('parks a refund of another amount', async () => {
      await reserved();
      expect((await refundRequested(299)).setAside).toMatchObject({ code: 'refund-of-other-amount' });
      expect([await balance(), await published()]).toEqual([700, [CAPTURED]]);
    });
  });

  it('keeps the rules and publishes one outcome per order while many orders meet on one account', async () => {
    const orders = Array.from({ length: 60 }, () => uuidv7());
    const deliver = async (id: string, index: number): Promise<void> => {
      const steps = [
        async () => await inbox.deliver(StockReserved, { orderId: id, customerId, totalCents: 25 }).twice(),
        async () => await inbox.deliver(OrderCancelled, { orderId: id }),
      ];
      await Promise.all((index % 2 === 0 ? steps : steps.slice(0, 1)).map(async (step) => await step()));
      expect(await rulesHold()).toBe(true);
      if ((await inbox.published(PaymentCaptured)).some((event) => event.aggregateId === id) && index % 2 === 0) {
        await inbox.deliver(OrderRefundRequested, { orderId: id, amountCents: 25 }).twice();
      }
    };
    await Promise.all(
      Array.from({ length: 6 }, async (_, worker) => {
        for (const [index, id] of orders.entries()) {
          if (index % 6 === worker) {
            await deliver(id, index);
          }
        }
      }),
    );
    const captured = await inbox.published(PaymentCaptured);
    const declined = await inbox.published(PaymentDeclined);
    const refunded = await inbox.published(PaymentRefunded);
    expect([...captured, ...declined].map(({ aggregateId }) => aggregateId).toSorted()).toEqual(orders.toSorted());
    expect(await balance()).toBe(1000 - 25 * (captured.length - refunded.length));
    expect(await rulesHold()).toBe(true);
  });

  it('counts outcomes', async () => {
    expect(await registry.metrics()).toMatch(/millrace_payment_changes_total\{outcome="refunded"\} [1-9]/);
  });
});
