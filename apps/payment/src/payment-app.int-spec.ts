import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { OrderCancelled, OrderRefundRequested, StockReserved } from '@millrace/contracts';
import { portOf } from '@millrace/http';
import { type SubscriptionRequest } from '@millrace/inbox';
import { TestInbox } from '@millrace/inbox/testing';
import { createServiceApp, migrateTables, readServiceConfig } from '@millrace/service';
import { idleSubscription, PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import { type AccountPage, type EntryPage } from './accounts/account-api.js';
import { paymentService } from './payment.definition.js';
import { PaymentModule } from './payment.module.js';

const CENTS_MAX = Number.MAX_SAFE_INTEGER;

interface Row {
  readonly [column: string]: unknown;
}

describe('the payment service', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let app: NestExpressApplication;
  let url: string;
  let subscribed: unknown;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrateTables(paymentService, { url: database.url, poolMax: 2 });
    client = await database.connect();
    app = await createApp(database.url);
    await app.listen(0, '127.0.0.1');
    url = `http://127.0.0.1:${portOf(app)}`;
  });

  afterAll(async () => {
    await app.close();
    await client.end();
    await database.drop();
  });

  const createApp = async (databaseUrl: string): Promise<NestExpressApplication> => {
    const environment = { DATABASE_URL: databaseUrl, KAFKA_BROKERS: '127.0.0.1:9', LOG_LEVEL: 'silent' };
    const subscribe = ({ consumer, topics }: SubscriptionRequest): ReturnType<typeof idleSubscription> => {
      subscribed = { consumer, topics: topics.toSorted() };
      return idleSubscription();
    };
    const config = readServiceConfig(paymentService, environment);
    return await createServiceApp(
      paymentService,
      { ...config, database: { ...config.database, limits: PATIENT_LIMITS }, subscribe },
      (dataSource, read) => PaymentModule.forRoot(dataSource, read),
    );
  };

  const get = async (path: string): Promise<Response> => await fetch(`${url}${path}`);

  const send = async (method: string, path: string, body: unknown, headers = {}): Promise<Response> =>
    await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  const put = async (customerId: string, body: unknown): Promise<Response> =>
    await send('PUT', `/accounts/${encodeURIComponent(customerId)}`, body);

  const deposit = async (customerId: string, body: unknown, key: string | null = uuidv7()): Promise<Response> =>
    await send('POST', `/accounts/${customerId}/deposits`, body, key === null ? {} : { 'idempotency-key': key });

  const bodyOf = async <T>(response: Response): Promise<T> => (await response.json()) as T;

  const open = async (balanceCents: number): Promise<string> => {
    const customerId = uuidv7();
    expect((await put(customerId, { balanceCents })).status).toBe(200);
    return customerId;
  };

  const entriesOf = async (customerId: string): Promise<Row[]> => {
    const { rows } = await client.query<Row>(
      `select entry_number::integer as entry, kind, amount_cents as amount, balance_cents as balance
       from account_entry where customer_id = $1 order by entry_number`,
      [customerId],
    );
    return rows;
  };

  describe('PUT /accounts/{customerId}', () => {
    it('opens the account; its balance is its first deposit', async () => {
      const response = await put('customer-1', { balanceCents: 5000 });
      expect([response.status, response.headers.get('etag')]).toEqual([200, '"1"']);
      expect(await response.json()).toEqual({ customerId: 'customer-1', balanceCents: 5000 });
      expect(await entriesOf('customer-1')).toEqual([{ entry: 1, kind: 'deposit', amount: '5000', balance: '5000' }]);
    });

    it('answers again for the same money, with what the account holds by then, and changes nothing', async () => {
      const customerId = await open(5000);
      await deposit(customerId, { amountCents: 7 });
      const again = await put(customerId, { balanceCents: 5000 });
      expect([again.status, again.headers.get('etag')]).toEqual([200, '"2"']);
      expect(await again.json()).toEqual({ customerId, balanceCents: 5007 });
      expect(await entriesOf(customerId)).toHaveLength(2);
    });

    it('refuses other money, also what the account happens to hold by now', async () => {
      const customerId = await open(5000);
      await deposit(customerId, { amountCents: 7 });
      for (const balanceCents of [5007, 0]) {
        const response = await put(customerId, { balanceCents });
        expect([response.status, await response.json()]).toMatchObject([
          409,
          { type: 'urn:millrace:problem:conflict', detail: expect.stringContaining('deposits') },
        ]);
      }
      expect(await entriesOf(customerId)).toHaveLength(2);
    });

    it('opens one account when it is asked many times at once', async () => {
      const customerId = uuidv7();
      const responses = await Promise.all(
        Array.from({ length: 10 }, async (_, index) => await put(customerId, { balanceCents: index % 2 })),
      );
      expect(responses.map(({ status }) => status).toSorted()).toEqual([
        200, 200, 200, 200, 200, 409, 409, 409, 409, 409,
      ]);
      expect(await entriesOf(customerId)).toHaveLength(1);
    });

    it.each(["o'brien; drop table account", '茶-☕ "q" \\ é/ü', 'x'.repeat(64)])(
      'takes any text as a customer: %s',
      async (customerId) => {
        expect((await put(customerId, { balanceCents: 0 })).status).toBe(200);
        const account = await get(`/accounts/${encodeURIComponent(customerId)}`);
        expect(await account.json()).toEqual({ customerId, balanceCents: 0 });
      },
    );

    it.each<[string, unknown, RegExp]>([
      ['a negative balance', { balanceCents: -1 }, /whole number of cents from 0/],
      ['a part of a cent', { balanceCents: 0.5 }, /whole number of cents from 0/],
      ['money as text', { balanceCents: '5' }, /whole number of cents from 0/],
      ['more than JSON carries exactly', { balanceCents: CENTS_MAX + 1 }, /to 9007199254740991/],
      ['no money', {}, /whole number of cents from 0/],
      ['an unknown field', { balanceCents: 1, currency: 'EUR' }, /currency/],
      ['a list', [1], /object/],
    ])('refuses %s', async (_what, body, message) => {
      const response = await put('refused', body);
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { type: 'urn:millrace:problem:invalid-request', errors: [{ message: expect.stringMatching(message) }] },
      ]);
      expect((await get('/accounts/refused')).status).toBe(404);
    });

    it.each(['x'.repeat(65), ' a', 'a\u0000b', '\u202e'])('refuses the customer %j', async (customerId) => {
      const response = await put(customerId, { balanceCents: 1 });
      expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ path: 'customerId' }] }]);
    });
  });

  describe('POST /accounts/{customerId}/deposits', () => {
    it('adds the money and tells the balance', async () => {
      const customerId = await open(100);
      const response = await deposit(customerId, { amountCents: 23 });
      expect([response.status, await response.json()]).toEqual([200, { customerId, balanceCents: 123 }]);
      expect((await entriesOf(customerId)).at(-1)).toEqual({ entry: 2, kind: 'deposit', amount: '23', balance: '123' });
    });

    it('adds it once for a key, and gives the first answer again', async () => {
      const customerId = await open(100);
      const key = uuidv7();
      const first = await deposit(customerId, { amountCents: 23 }, key);
      await deposit(customerId, { amountCents: 1000 });
      const again = await deposit(customerId, { amountCents: 23 }, key);
      expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, 'true']);
      expect(await again.text()).toBe(await first.text());
      expect(await entriesOf(customerId)).toHaveLength(3);
    });

    it('adds it once when the same request comes many times at once', async () => {
      const customerId = await open(100);
      const key = uuidv7();
      const responses = await Promise.all(
        Array.from({ length: 10 }, async () => await deposit(customerId, { amountCents: 5 }, key)),
      );
      expect(responses.every(({ status }) => [200, 409].includes(status))).toBe(true);
      expect(await entriesOf(customerId)).toHaveLength(2);
    });

    it('refuses another amount or another customer under the same key', async () => {
      const [customerId, other] = [await open(100), await open(100)];
      const key = uuidv7();
      await deposit(customerId, { amountCents: 5 }, key);
      for (const response of [
        await deposit(customerId, { amountCents: 6 }, key),
        await deposit(other, { amountCents: 5 }, key),
      ]) {
        expect([response.status, await response.json()]).toMatchObject([
          422,
          { type: 'urn:millrace:problem:idempotency-key-reused' },
        ]);
      }
      expect([(await entriesOf(customerId)).length, (await entriesOf(other)).length]).toEqual([2, 1]);
    });

    it('is refused without a key', async () => {
      const customerId = await open(100);
      const response = await deposit(customerId, { amountCents: 5 }, null);
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { type: 'urn:millrace:problem:idempotency-key-invalid' },
      ]);
    });

    it('takes the account up to 2^53 - 1 cents in all and not further', async () => {
      const customerId = await open(CENTS_MAX - 10);
      const beyond = await deposit(customerId, { amountCents: 11 });
      expect([beyond.status, await beyond.json()]).toMatchObject([
        409,
        { type: 'urn:millrace:problem:conflict', detail: expect.stringContaining('9007199254740991') },
      ]);
      const full = await deposit(customerId, { amountCents: 10 });
      expect(await full.json()).toEqual({ customerId, balanceCents: CENTS_MAX });
      expect((await deposit(customerId, { amountCents: CENTS_MAX })).status).toBe(409);
      expect(await (await get(`/accounts/${customerId}`)).json()).toEqual({ customerId, balanceCents: CENTS_MAX });
    });

    it('needs an account', async () => {
      const response = await deposit('nobody', { amountCents: 5 });
      expect([response.status, await response.json()]).toMatchObject([404, { type: 'urn:millrace:problem:not-found' }]);
    });

    it.each<[string, unknown]>([
      ['nothing', { amountCents: 0 }],
      ['less than nothing', { amountCents: -5 }],
      ['a part of a cent', { amountCents: 1.5 }],
      ['more than JSON carries exactly', { amountCents: 2 ** 53 }],
      ['an unknown field', { amountCents: 1, note: 'x' }],
      ['malformed JSON', '{"amountCents": 1'],
    ])('refuses %s', async (_what, body) => {
      const customerId = await open(100);
      expect((await deposit(customerId, body)).status).toBe(400);
      expect(await entriesOf(customerId)).toHaveLength(1);
    });
  });

  describe('GET /accounts', () => {
    it('tells one account with its version as ETag', async () => {
      const customerId = await open(100);
      await deposit(customerId, { amountCents: 1 });
      const response = await get(`/accounts/${customerId}`);
      expect([response.status, response.headers.get('etag')]).toEqual([200, '"2"']);
      expect(await response.json()).toEqual({ customerId, balanceCents: 101 });
      expect((await get(`/accounts/${uuidv7()}`)).status).toBe(404);
    });

    it('pages all accounts without repeating or skipping while others are opened', async () => {
      const expected = await client.query<{ id: string }>('select customer_id as id from account order by 1');
      const seen: string[] = [];
      let cursor = '';
      for (let page = 0; page < 100; page += 1) {
        const { items, nextCursor } = await bodyOf<AccountPage>(await get(`/accounts?limit=7${cursor}`));
        seen.push(...items.map(({ customerId }) => customerId));
        await put(`\u0021early-${page}`, { balanceCents: 0 });
        if (nextCursor === null) {
          break;
        }
        cursor = `&cursor=${nextCursor}`;
      }
      expect(seen).toEqual(expected.rows.map(({ id }) => id));
    });

    it.each(['limit=0', 'limit=101', 'limit=x', 'cursor=', 'cursor=_', 'cursor=gA', 'cursor=AAAA', 'customer=1'])(
      'refuses ?%s',
      async (query) => {
        const response = await get(`/accounts?${query}`);
        expect([response.status, await response.json()]).toMatchObject([400, { errors: [{}] }]);
      },
    );
  });

  describe('GET /accounts/{customerId}/entries', () => {
    it('pages the entries newest first, while more are added', async () => {
      const customerId = await open(1);
      for (let amountCents = 2; amountCents <= 8; amountCents += 1) {
        await deposit(customerId, { amountCents });
      }
      const first = await bodyOf<EntryPage>(await get(`/accounts/${customerId}/entries?limit=5`));
      await deposit(customerId, { amountCents: 9 });
      const cursor = first.nextCursor ?? '';
      const second = await bodyOf<EntryPage>(await get(`/accounts/${customerId}/entries?limit=5&cursor=${cursor}`));
      expect([...first.items, ...second.items].map(({ amountCents }) => amountCents)).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
      expect(second.nextCursor).toBeNull();
      expect(first.items[0]).toEqual({
        entryNumber: 8,
        kind: 'deposit',
        amountCents: 8,
        balanceCents: 36,
        occurredAt: expect.stringMatching(/^\d{4}-.*Z$/),
      });
    });

    it('refuses a cursor that was made up, and an account that is not there', async () => {
      const customerId = await open(1);
      const madeUp = Buffer.from('0').toString('base64url');
      expect((await get(`/accounts/${customerId}/entries?cursor=${madeUp}`)).status).toBe(400);
      expect((await get('/accounts/nobody/entries')).status).toBe(404);
    });
  });

  describe('GET /payments', () => {
    it('tells none for an order that was not asked money for, and refuses what is no order', async () => {
      const response = await get(`/payments?orderId=${uuidv7()}`);
      expect([response.status, await response.json()]).toEqual([200, []]);
      for (const query of ['', '?orderId=7', `?orderId=${uuidv7()}&limit=1`]) {
        expect((await get(`/payments${query}`)).status).toBe(400);
      }
    });
  });

  it('refuses balances below zero and beyond the deposits in the database itself', async () => {
    const customerId = await open(10);
    for (const balance of ['-1', 'balance_cents + 1']) {
      await expect(
        client.query(`update account set balance_cents = ${balance} where customer_id = $1`, [customerId]),
      ).rejects.toThrow(/account_balance_cents_check/);
    }
  });

  it('handles events in its container, and needs no more of the database than README.md says', async () => {
    const role = `${database.name}_app`;
    await client.query(`
      create role ${role} login;
      grant millrace_producer, millrace_consumer to ${role};
      grant select on migration to ${role};
      grant select, insert, update on account, payment to ${role};
      grant select, insert on account_entry, cancelled_order to ${role};
      grant select, insert, update, delete on idempotency_key to ${role}`);
    const asRole = new URL(database.url);
    asRole.username = role;
    const limited = await createApp(asRole.toString());
    try {
      await limited.listen(0, '127.0.0.1');
      const limitedUrl = `http://127.0.0.1:${portOf(limited)}`;
      const customerId = await open(10);
      const paid = await fetch(`${limitedUrl}/accounts/${customerId}/deposits`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': uuidv7() },
        body: '{"amountCents": 90}',
      });
      expect(paid.status).toBe(200);
      const inbox = await TestInbox.create({ dataSource: limited.get(DataSource), handlers: limited });
      const orderId = uuidv7();
      const outcomes = [
        await inbox.deliver(StockReserved, { orderId, customerId, totalCents: 70 }),
        await inbox.deliver(OrderCancelled, { orderId }),
        await inbox.deliver(OrderRefundRequested, { orderId, amountCents: 70 }),
      ].map(({ outcome }) => outcome);
      expect(outcomes).toEqual(['applied', 'applied', 'applied']);
      const payments = await (await get(`/payments?orderId=${orderId}`)).json();
      expect(payments).toEqual([{ id: expect.any(String), orderId, status: 'refunded', amountCents: 70 }]);
      const report = await bodyOf<{ holds: boolean }>(await fetch(`${limitedUrl}/invariants`));
      expect(report.holds).toBe(true);
    } finally {
      await limited.close();
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it('tells in GET /invariants that deposits are balances + captured - refunded', async () => {
    const response = await get('/invariants');
    const report = await bodyOf<{ holds: boolean; figures: Row; invariants: { name: string }[] }>(response);
    const { rows } = await client.query<Row>('select sum(balance_cents)::text as cents from account');
    expect([response.status, report.holds, report.figures['depositsCents']]).toEqual([200, true, rows[0]?.['cents']]);
    expect(report.invariants.map(({ name }) => name)).toEqual([
      'money-is-conserved',
      'balances-are-proved',
      'balances-never-negative',
      'payments-are-booked',
      'payments-are-told',
    ]);
  });

  it('lists every route with its schemas in its OpenAPI document', async () => {
    const document = await bodyOf<{ paths: Record<string, Record<string, unknown>> }>(await get('/openapi.json'));
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(routes.toSorted()).toEqual([
      'get /accounts',
      'get /accounts/{customerId}',
      'get /accounts/{customerId}/entries',
      'get /health/live',
      'get /health/ready',
      'get /invariants',
      'get /payments',
      'post /accounts/{customerId}/deposits',
      'put /accounts/{customerId}',
    ]);
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Millrace payment service' } });
    expect(JSON.stringify(document.paths['/accounts/{customerId}/deposits'])).toContain('"name":"Idempotency-Key"');
    expect(JSON.stringify(document)).not.toMatch(/"nullable"|"exclusiveM(in|ax)imum":(true|false)/);
  });

  it('is ready and subscribes to the topics of the events that it handles', async () => {
    const ready = await until(
      async () => await get('/health/ready'),
      ({ status }) => status === 200,
      'the service to be ready',
    );
    expect(await ready.json()).toEqual({ status: 'ok' });
    expect(subscribed).toEqual({ consumer: 'payment', topics: ['outbox.event.order', 'outbox.event.stock'] });
  });

  it('has its outcomes among the metrics from the start', async () => {
    const metrics = await (await get('/metrics')).text();
    expect(metrics).toMatch(/millrace_payment_changes_total\{outcome="captured"\} \d/);
    expect(metrics).toMatch(/_count\{method="PUT",route="\/accounts\/:customerId",status="200"\} \d+/);
  });
});
