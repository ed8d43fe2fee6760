import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type InventoryFigures, OrderCancelled, OrderConfirmed, OrderPlaced, OrderRejected } from '@millrace/contracts';
import { type PayloadOf } from '@millrace/events';
import { portOf, StartError } from '@millrace/http';
import { type SubscriptionRequest } from '@millrace/inbox';
import { TestInbox } from '@millrace/inbox/testing';
import {
  type ConnectionLimits,
  createServiceApp,
  type InvariantReport,
  migrateTables,
  readServiceConfig,
  REQUEST_LIMITS,
  type ServiceConfig,
} from '@millrace/service';
import { idleSubscription, PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import { inventoryService } from './inventory.definition.js';
import { InventoryModule } from './inventory.module.js';
import { type ReservationView } from './reservations/reservation-api.js';
import { type MovementPage, type StockPage, type StockView } from './stock/stock-api.js';

type Order = PayloadOf<typeof OrderPlaced>;

interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const environmentOf = (databaseUrl: string): Record<string, string> => ({
  DATABASE_URL: databaseUrl,
  KAFKA_BROKERS: '127.0.0.1:9',
  LOG_LEVEL: 'silent',
});

describe('the inventory service', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let app: NestExpressApplication;
  let url: string;
  let subscribed: SubscriptionRequest | undefined;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrateTables(inventoryService, { url: database.url, poolMax: 2 });
    client = await database.connect();
    ({ app, url } = await start(database.url));
  });

  afterAll(async () => {
    await app.close();
    await client.end();
    await database.drop();
  });

  const start = async (
    databaseUrl: string,
    limits: ConnectionLimits = PATIENT_LIMITS,
  ): Promise<{ app: NestExpressApplication; url: string }> => {
    const read = readServiceConfig(inventoryService, environmentOf(databaseUrl));
    const config: ServiceConfig = {
      ...read,
      database: { ...read.database, limits },
      subscribe: (request) => {
        subscribed = request;
        return idleSubscription();
      },
    };
    const started = await createServiceApp(inventoryService, config, (connections, settings) =>
      InventoryModule.forRoot(connections, settings),
    );
    await started.listen(0, '127.0.0.1');
    return { app: started, url: `http://127.0.0.1:${portOf(started)}` };
  };

  const ask = async <Body = unknown>(
    path: string,
    { method = 'GET', headers = {}, body }: Ask = {},
  ): Promise<Answer<Body>> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: JSON.parse(text === '' ? 'null' : text) as Body,
    };
  };

  const pathOf = (sku: string): string => `/stock/${encodeURIComponent(sku)}`;

  const put = async (sku: string, onHand: unknown, etag?: string): Promise<Answer<StockView>> =>
    await ask(pathOf(sku), {
      method: 'PUT',
      body: { onHand },
      headers: etag === undefined ? {} : { 'if-match': etag },
    });

  const adjust = async (sku: string, body: unknown, key: string = uuidv7()): Promise<Answer<StockView>> =>
    await ask(`${pathOf(sku)}/adjustments`, { method: 'POST', body, headers: { 'idempotency-key': key } });

  const etagOf = ({ headers }: Answer): string => headers.get('etag') ?? 'none';

  const movementsOf = async (sku: string): Promise<[number, string][]> =>
    (await ask<MovementPage>(`${pathOf(sku)}/movements?limit=100`)).body.items.map(({ quantity, reason }) => [
      quantity,
      reason,
    ]);

  /** As an order that is on its way would have it. */
  const reserve = async (sku: string, quantity: number): Promise<string> => {
    const orderId = uuidv7();
    await client.query(
      `insert into reservation (order_id, customer_id, status, total_cents, version) values ($1, 'customer-1', 'reserved', 900, 1)`,
      [orderId],
    );
    await client.query('insert into reservation_line (order_id, sku, quantity) values ($1, $2, $3)', [
      orderId,
      sku,
      quantity,
    ]);
    await client.query('update stock set reserved = reserved + $2, version = version + 1 where sku = $1', [
      sku,
      quantity,
    ]);
    return orderId;
  };

  describe('PUT /stock/{sku}', () => {
    it('makes an article known with what was counted', async () => {
      const answer = await put('new', 12);
      expect([answer.status, answer.body]).toEqual([
        200,
        { sku: 'new', received: 12, onHand: 12, reserved: 0, available: 12, sold: 0 },
      ]);
      expect(etagOf(answer)).toBe('"1"');
      expect(await movementsOf('new')).toEqual([[12, 'counted']]);
    });

    it('makes an article known of which there is nothing, without a movement', async () => {
      expect((await put('none yet', 0)).body).toMatchObject({ received: 0, available: 0 });
      expect(await movementsOf('none yet')).toEqual([]);
    });

    it('notes the difference as a movement', async () => {
      const first = await put('counted', 10);
      const more = await put('counted', 25, etagOf(first));
      const less = await put('counted', 5, etagOf(more));
      expect(less.body).toMatchObject({ received: 5, onHand: 5 });
      expect(await movementsOf('counted')).toEqual([
        [-20, 'counted'],
        [15, 'counted'],
        [10, 'counted'],
      ]);
    });

    it('counts what is on hand, so what is sold stays received', async () => {
      await put('sold some', 10);
      await client.query(`update stock set sold = 4, version = version + 1 where sku = 'sold some'`);
      const answer = await put('sold some', 5, '"2"');
      expect(answer.body).toEqual({ sku: 'sold some', received: 9, onHand: 5, reserved: 0, available: 5, sold: 4 });
      expect(await movementsOf('sold some')).toEqual([
        [-1, 'counted'],
        [10, 'counted'],
      ]);
    });

    it('changes nothing when the count says the same', async () => {
      const first = await put('same', 3);
      const again = await put('same', 3, etagOf(first));
      expect([again.status, etagOf(again), again.body]).toEqual([200, etagOf(first), first.body]);
      expect(await movementsOf('same')).toHaveLength(1);
    });

    it('wants an If-Match once the article exists, and the one of its present version', async () => {
      const first = await put('guarded', 10);
      const bare = await put('guarded', 20);
      expect([bare.status, bare.body]).toMatchObject([428, { type: 'urn:millrace:problem:precondition-required' }]);
      await reserve('guarded', 1);
      const late = await put('guarded', 20, etagOf(first));
      expect([late.status, late.body]).toMatchObject([412, { type: 'urn:millrace:problem:precondition-failed' }]);
      expect(etagOf(late)).toBe('"2"');
      expect((await ask<StockView>(pathOf('guarded'))).body).toMatchObject({ onHand: 10, reserved: 1 });
      expect((await put('guarded', 20, etagOf(late))).status).toBe(200);
    });

    it('refuses an If-Match for an article that does not exist, and one that is none', async () => {
      expect((await put('absent', 1, '"1"')).status).toBe(412);
      expect((await put('absent', 1, '*')).status).toBe(412);
      expect((await put('absent', 1, '1')).status).toBe(400);
      expect((await ask(pathOf('absent'))).status).toBe(404);
    });

    it('refuses less than what is reserved, and takes just that', async () => {
      await put('promised', 10);
      await reserve('promised', 4);
      const refused = await put('promised', 3, '"2"');
      expect([refused.status, refused.body]).toMatchObject([
        409,
        { type: 'urn:millrace:problem:conflict', detail: expect.stringContaining('4 of them reserved') },
      ]);
      expect((await put('promised', 4, '"2"')).body).toMatchObject({ onHand: 4, reserved: 4, available: 0 });
    });

    it('makes one article of ten requests at once', async () => {
      await Promise.all(Array.from({ length: 10 }, async () => await ask('/stock')));
      const answers = await Promise.all(Array.from({ length: 10 }, async () => await put('at once', 7)));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array.from({ length: 9 }, () => 428)]);
      expect(await movementsOf('at once')).toEqual([[7, 'counted']]);
    });

    it('lets one of two counts of the same version win', async () => {
      const etag = etagOf(await put('raced', 5));
      const answers = await Promise.all([put('raced', 6, etag), put('raced', 7, etag)]);
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 412]);
      expect(await movementsOf('raced')).toHaveLength(2);
    });

    it.each<[string, unknown, string, RegExp]>([
      ['a negative count', { onHand: -1 }, 'onHand', /whole number from 0/],
      ['a part of a piece', { onHand: 1.5 }, 'onHand', /whole number from 0/],
      ['a count as text', { onHand: '7' }, 'onHand', /whole number from 0/],
      ['a huge count', { onHand: 1_000_000_000_001 }, 'onHand', /to 1000000000000/],
      ['no count', {}, 'onHand', /whole number from 0/],
      ['an unknown field', { onHand: 1, reserved: 5 }, '', /reserved/],
      ['a list', [5], '', /object/],
    ])('refuses %s and names the field', async (_what, body, path, message) => {
      const answer = await ask('/stock/refused', { method: 'PUT', body });
      expect([answer.status, answer.body]).toMatchObject([
        400,
        { type: 'urn:millrace:problem:invalid-request', errors: [{ path, message: expect.stringMatching(message) }] },
      ]);
      expect((await ask('/stock/refused')).status).toBe(404);
    });
  });

  describe('a SKU in a path', () => {
    it.each(['a/b', '茶-☕', 'half a dozen', '50% off?#1', "o'brien; drop table stock", '..a', '😀'.repeat(64)])(
      'may be %j',
      async (sku) => {
        expect((await put(sku, 2)).body).toMatchObject({ sku, onHand: 2 });
        expect((await adjust(sku, { quantity: 1, reason: 'found one' })).body).toMatchObject({ sku, onHand: 3 });
        expect((await ask<StockView>(pathOf(sku))).body).toMatchObject({ sku, onHand: 3 });
        expect(await movementsOf(sku)).toHaveLength(2);
      },
    );

    it.each(['%20a', 'a%00', 'a%0A', '%ED%A0%80', '%E0%A4%A', 'x'.repeat(65)])('may not be %s', async (encoded) => {
      const answer = await ask(`/stock/${encoded}`, { method: 'PUT', body: { onHand: 1 } });
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        400,
        expect.stringMatching(/^application\/problem\+json/),
      ]);
    });

    it('is told apart by case and by form of Unicode', async () => {
      for (const [index, sku] of ['Caf\u00e9', 'caf\u00e9', 'cafe\u0301'].entries()) {
        await put(sku, index + 1);
      }
      expect((await ask<StockView>(pathOf('caf\u00e9'))).body.onHand).toBe(2);
    });
  });

  describe('POST /stock/{sku}/adjustments', () => {
    it('notes what came and what went', async () => {
      await put('moving', 10);
      const came = await adjust('moving', { quantity: 5, reason: 'delivery 4711' });
      expect([came.status, came.body, etagOf(came)]).toEqual([
        200,
        { sku: 'moving', received: 15, onHand: 15, reserved: 0, available: 15, sold: 0 },
        '"2"',
      ]);
      expect((await adjust('moving', { quantity: -15, reason: 'water damage' })).body).toMatchObject({ onHand: 0 });
      expect(await movementsOf('moving')).toEqual([
        [-15, 'water damage'],
        [5, 'delivery 4711'],
        [10, 'counted'],
      ]);
    });

    it('refuses to go below what is reserved', async () => {
      await put('adjusted', 10);
      await reserve('adjusted', 4);
      expect((await adjust('adjusted', { quantity: -7, reason: 'lost' })).status).toBe(409);
      expect((await adjust('adjusted', { quantity: -6, reason: 'lost' })).body).toMatchObject({ available: 0 });
    });

    it('answers 404 for an article that is not known', async () => {
      const answer = await adjust('nowhere', { quantity: 1, reason: 'found' });
      expect([answer.status, answer.body]).toMatchObject([404, { detail: expect.stringContaining('PUT') }]);
    });

    it('moves once per Idempotency-Key, and gives the first answer again', async () => {
      await put('once', 10);
      const key = uuidv7();
      const first = await adjust('once', { quantity: 5, reason: 'delivery' }, key);
      await adjust('once', { quantity: 1, reason: 'another' });
      const again = await adjust('once', { reason: 'delivery', quantity: 5 }, key);
      expect([again.body, etagOf(again), again.headers.get('idempotency-replayed')]).toEqual([
        first.body,
        etagOf(first),
        'true',
      ]);
      const other = await adjust('once', { quantity: 6, reason: 'delivery' }, key);
      expect([other.status, other.body]).toMatchObject([422, { type: 'urn:millrace:problem:idempotency-key-reused' }]);
      expect((await adjust('once more', { quantity: 5, reason: 'delivery' }, key)).status).toBe(422);
      expect(await movementsOf('once')).toHaveLength(3);
    });

    it('loses none of many at once', async () => {
      await put('busy', 0);
      await Promise.all(
        Array.from({ length: 40 }, async () => await adjust('busy', { quantity: 3, reason: 'delivery' })),
      );
      expect((await ask<StockView>(pathOf('busy'))).body).toMatchObject({ onHand: 120 });
      expect(await movementsOf('busy')).toHaveLength(40);
    });

    it('needs an Idempotency-Key', async () => {
      const answer = await ask('/stock/new/adjustments', { method: 'POST', body: { quantity: 1, reason: 'found' } });
      expect([answer.status, answer.body]).toMatchObject([
        400,
        { type: 'urn:millrace:problem:idempotency-key-invalid' },
      ]);
    });

    it('refuses what would add up to more than JSON carries exactly', async () => {
      await put('endless', 1);
      await client.query(`update stock set received = 9007199254740991, sold = 9007199254740990 where sku = 'endless'`);
      expect((await adjust('endless', { quantity: 1, reason: 'too much' })).status).toBe(409);
      await client.query(`update stock set received = 1, sold = 0 where sku = 'endless'`);
    });

    it.each<[string, unknown, string]>([
      ['nothing', { quantity: 0, reason: 'none' }, 'quantity'],
      ['a part of a piece', { quantity: 0.5, reason: 'half' }, 'quantity'],
      ['a huge quantity', { quantity: -1_000_000_000_001, reason: 'gone' }, 'quantity'],
      ['no reason', { quantity: 1 }, 'reason'],
      ['an empty reason', { quantity: 1, reason: '' }, 'reason'],
      ['a long reason', { quantity: 1, reason: 'x'.repeat(201) }, 'reason'],
      ['a reason of two lines', { quantity: 1, reason: 'a\nb' }, 'reason'],
      ['an unknown field', { quantity: 1, reason: 'found', sku: 'new' }, ''],
    ])('refuses %s', async (_what, body, path) => {
      const answer = await adjust('new', body);
      expect([answer.status, answer.body]).toMatchObject([400, { errors: [{ path }] }]);
    });
  });

  describe('reading', () => {
    it('answers 404 for what is not known', async () => {
      for (const path of ['/stock/never', '/stock/never/movements', `/reservations/${uuidv7()}`]) {
        expect((await ask(path)).status).toBe(404);
      }
    });

    it('pages the stock in the order of the bytes of the SKUs, without repeating or skipping', async () => {
      const names = ['B', 'a', 'b', '\u00e9', '\u{1f600}'].map((name) => `~page ${name}`);
      for (const sku of names.toReversed()) {
        await put(sku, 1);
      }
      const seen: string[] = [];
      let cursor = Buffer.from('~page').toString('base64url');
      for (let pages = 0; cursor !== '' && pages < 9; pages += 1) {
        const { body } = await ask<StockPage>(`/stock?limit=2&cursor=${cursor}`);
        expect(body.items.length).toBeLessThanOrEqual(2);
        seen.push(...body.items.map(({ sku }) => sku));
        cursor = body.nextCursor ?? '';
      }
      expect(seen.filter((sku) => sku.startsWith('~page'))).toEqual(names);
    });

    it('pages movements newest first while more come', async () => {
      await put('history', 1);
      for (let quantity = 2; quantity <= 6; quantity += 1) {
        await adjust('history', { quantity, reason: 'delivery' });
      }
      const first = (await ask<MovementPage>('/stock/history/movements?limit=4')).body;
      await adjust('history', { quantity: 7, reason: 'delivery' });
      const second = (await ask<MovementPage>(`/stock/history/movements?limit=4&cursor=${first.nextCursor ?? ''}`))
        .body;
      expect([...first.items, ...second.items].map(({ quantity }) => quantity)).toEqual([6, 5, 4, 3, 2, 1]);
      expect(second.nextCursor).toBeNull();
      expect(first.items[0]).toEqual({
        version: 6,
        quantity: 6,
        reason: 'delivery',
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      });
    });

    it.each(['limit=0', 'limit=101', 'limit=x', 'cursor=', 'cursor=%20', 'cursor=Cg', 'sku=tea'])(
      'refuses ?%s',
      async (query) => {
        const answer = await ask(`/stock?${query}`);
        expect([answer.status, answer.body]).toMatchObject([400, { errors: [{}] }]);
      },
    );

    it('tells a reservation, and refuses what is no id', async () => {
      await put('held', 5);
      const orderId = await reserve('held', 2);
      const expected: ReservationView = {
        orderId,
        customerId: 'customer-1',
        status: 'reserved',
        totalCents: 900,
        lines: [{ sku: 'held', quantity: 2 }],
        version: 1,
      };
      expect((await ask(`/reservations/${orderId}`)).body).toEqual(expected);
      expect((await ask('/reservations/7')).status).toBe(400);
    });

    it('tells a tombstone without what is not known of its order', async () => {
      const orderId = uuidv7();
      await client.query(`insert into reservation (order_id, status, version) values ($1, 'tombstone', 1)`, [orderId]);
      expect((await ask(`/reservations/${orderId}`)).body).toEqual({
        orderId,
        status: 'tombstone',
        lines: [],
        version: 1,
      });
    });
  });

  it('answers 503 while its row is locked for too long, and goes on', async () => {
    await put('locked', 1);
    const hasty = await start(database.url, REQUEST_LIMITS);
    await client.query(`begin; select from stock where sku = 'locked' for update`);
    const answer = await fetch(`${hasty.url}/stock/locked`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': '"1"' },
      body: '{"onHand": 2}',
    });
    await client.query('rollback');
    await hasty.app.close();
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
    expect((await put('locked', 2, '"1"')).status).toBe(200);
  });

  it('takes movement and stock back together when a request dies', async () => {
    await put('dying', 5);
    await client.query(`begin; lock table stock_movement in exclusive mode`);
    const dying = adjust('dying', { quantity: 1, reason: 'found' });
    await client.query('select pg_terminate_backend($1)', [await waitingStatement()]);
    expect((await dying).status).toBe(503);
    await client.query('rollback');
    expect((await ask<StockView>(pathOf('dying'))).body).toMatchObject({ received: 5 });
    expect(await movementsOf('dying')).toHaveLength(1);
  });

  it('tells figures and rules of its whole state', async () => {
    await put('told', 3);
    const { status, body } = await ask<InvariantReport<InventoryFigures>>('/invariants');
    expect([status, body.service]).toEqual([200, 'inventory']);
    expect(Number(body.figures.units.received)).toBeGreaterThanOrEqual(3);
    expect(body.invariants.map(({ name }) => name)).toEqual([
      'stock-never-negative',
      'received-is-its-movements',
      'reserved-is-its-reservations',
      'sold-is-its-sales',
      'reservation-events',
    ]);
    // what this file puts into the tables by hand is what it finds
    expect(body.invariants.filter(({ holds }) => holds === false).map(({ name }) => name)).toEqual([
      'sold-is-its-sales',
    ]);
  });

  it('handles events in its container, and needs no more of the database than README.md says', async () => {
    const role = `${database.name}_app`;
    await client.query(`
      create role ${role} login;
      grant millrace_producer, millrace_consumer to ${role};
      grant select on migration to ${role};
      grant select, insert, update on stock, reservation to ${role};
      grant select, insert on stock_movement, reservation_line to ${role};
      grant select, insert, update, delete on idempotency_key to ${role}`);
    const asRole = new URL(database.url);
    asRole.username = role;
    const limited = await start(asRole.toString());
    try {
      const send = async (path: string, method: string, body: unknown): Promise<number> => {
        const headers = { 'content-type': 'application/json', 'idempotency-key': uuidv7() };
        return (await fetch(`${limited.url}${path}`, { method, headers, body: JSON.stringify(body) })).status;
      };
      expect(await send('/stock/few', 'PUT', { onHand: 2 })).toBe(200);
      expect(await send('/stock/few/adjustments', 'POST', { quantity: 1, reason: 'found one' })).toBe(200);
      const inbox = await TestInbox.create({ dataSource: limited.app.get(DataSource), handlers: limited.app });
      const [sold, rejected, refused, cancelled] = [3, 1, 9, 1].map((quantity) => ({
        orderId: uuidv7(),
        customerId: 'customer-1',
        lines: [{ sku: 'few', quantity, unitPriceCents: 5 }],
        totalCents: quantity * 5,
      })) as [Order, Order, Order, Order];
      const receipts = [
        await inbox.deliver(OrderPlaced, rejected),
        await inbox.deliver(OrderRejected, { orderId: rejected.orderId, reason: 'insufficient-funds' }),
        await inbox.deliver(OrderPlaced, sold),
        await inbox.deliver(OrderConfirmed, { orderId: sold.orderId }),
        await inbox.deliver(OrderPlaced, refused),
        await inbox.deliver(OrderCancelled, { orderId: cancelled.orderId }),
        await inbox.deliver(OrderPlaced, cancelled),
      ];
      expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['applied']));
      expect((await ask(pathOf('few'))).body).toMatchObject({ received: 3, onHand: 0, reserved: 0, sold: 3 });
    } finally {
      await limited.app.close();
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it('lists every route with its schemas in its OpenAPI document', async () => {
    const { body } = await ask<{ paths: Record<string, Record<string, unknown>> }>('/openapi.json');
    const routes = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(routes.toSorted()).toEqual([
      'get /health/live',
      'get /health/ready',
      'get /invariants',
      'get /reservations/{orderId}',
      'get /stock',
      'get /stock/{sku}',
      'get /stock/{sku}/movements',
      'post /stock/{sku}/adjustments',
      'put /stock/{sku}',
    ]);
    expect(body).toMatchObject({ openapi: '3.1.0', info: { title: 'Millrace inventory service' } });
    expect(JSON.stringify(body.paths['/stock/{sku}']?.['put'])).toContain('"name":"If-Match","in":"header"');
    expect(JSON.stringify(body)).not.toMatch(/"nullable"|"exclusiveM(in|ax)imum":(true|false)/);
  });

  it('is ready and follows the orders', async () => {
    const ready = await until(
      async () => await ask('/health/ready'),
      ({ status }) => status === 200,
      'the service to be ready',
    );
    expect(ready.body).toEqual({ status: 'ok' });
    expect(subscribed).toMatchObject({ consumer: 'inventory', topics: ['outbox.event.order'] });
  });

  it('measures requests by route, and has a series for each outcome of a reservation', async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/_count\{method="PUT",route="\/stock\/:sku",status="428"\} \d+/);
    expect(metrics).toMatch(/millrace_inventory_reservations_total\{outcome="out-of-stock"\} \d/);
    expect(metrics).not.toContain('half a dozen');
  });

  it('says its part of the configuration in a sentence', () => {
    const readWithout = (): unknown => readServiceConfig(inventoryService, { KAFKA_BROKERS: '127.0.0.1:9' });
    expect(readWithout).toThrow(StartError);
    expect(readWithout).toThrow(/DATABASE_URL is not set/);
    expect(readServiceConfig(inventoryService, environmentOf(database.url))).toMatchObject({
      http: { PORT: 3002, HOST: '127.0.0.1' },
      source: 'inventory',
    });
  });

  it('does not start on tables that are not migrated', async () => {
    const bare = await createTestDatabase();
    await expect(start(bare.url)).rejects.toThrow(
      'The tables of the inventory service are not migrated. Run: node dist/apps/inventory/migrate.js',
    );
    await bare.drop();
  });

  async function waitingStatement(): Promise<number | undefined> {
    const waiting = `select pid from pg_stat_activity where datname = current_database()
      and application_name = 'inventory' and wait_event_type = 'Lock'`;
    return await until(
      async () => (await client.query<{ pid: number }>(waiting)).rows[0]?.pid,
      (pid) => pid !== undefined,
      'a statement of the service that waits for a lock',
    );
  }
});
