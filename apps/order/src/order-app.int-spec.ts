import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { portOf } from '@millrace/http';
import { createServiceApp, type InvariantReport, migrateTables, readServiceConfig } from '@millrace/service';
import { idleSubscription, PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';

import { orderService } from './order.definition.js';
import { OrderModule } from './order.module.js';
import { type OrderPage, type OrderView } from './orders/order-api.js';

const tea = { sku: 'tea', quantity: 2, unitPriceCents: 450 };
const wish = { customerId: 'customer-1', lines: [tea, { sku: 'cup', quantity: 1, unitPriceCents: 1200 }] };

interface Row {
  readonly [column: string]: unknown;
}

describe('the order service', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let app: NestExpressApplication;
  let url: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrateTables(orderService, { url: database.url, poolMax: 2 });
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
    const config = readServiceConfig(orderService, environment);
    return await createServiceApp(
      orderService,
      { ...config, database: { ...config.database, limits: PATIENT_LIMITS }, subscribe: idleSubscription },
      (connections, read) => OrderModule.forRoot(connections, read),
    );
  };

  const post = async (body: unknown, key: string | null = uuidv7()): Promise<Response> =>
    await fetch(`${url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === null ? {} : { 'idempotency-key': key }) },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  const bodyOf = async <T>(response: Response): Promise<T> => (await response.json()) as T;

  const place = async (body: unknown = wish): Promise<string> => {
    const response = await post(body);
    expect(response.status).toBe(202);
    return (await bodyOf<{ id: string }>(response)).id;
  };

  const count = async (table: string): Promise<number> => {
    const { rows } = await client.query<{ n: number }>(`select count(*)::integer as n from ${table}`);
    return rows[0]?.n ?? -1;
  };

  const counts = async (): Promise<number[]> => [
    await count('orders'),
    await count('order_line'),
    await count('millrace.outbox'),
    await count('idempotency_key'),
  ];

  /** Resolves with the process of a statement of the service that waits for a lock. */
  const statementWaits = async (): Promise<number | undefined> => {
    const waiting = `select pid from pg_stat_activity where datname = current_database() and application_name = 'order'
      and wait_event_type = 'Lock'`;
    return await until(
      async () => (await client.query<{ pid: number }>(waiting)).rows[0]?.pid,
      (pid) => pid !== undefined,
      'a statement of the service that waits for a lock',
    );
  };

  const readiness = async (): Promise<{ readonly status: number; readonly body: unknown }> => {
    const response = await fetch(`${url}/health/ready`);
    return { status: response.status, body: await response.json() };
  };

  const becomesReady = async (): Promise<void> => {
    const { body } = await until(readiness, ({ status }) => status === 200, 'the service to be ready');
    expect(body).toEqual({ status: 'ok' });
  };

  describe('POST /orders', () => {
    it('stores the order and its event together and says where to look', async () => {
      const response = await post(wish);
      expect(response.status).toBe(202);
      const { id, ...rest } = await bodyOf<Row>(response);
      expect(rest).toEqual({ status: 'pending', totalCents: 2100 });
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      expect(response.headers.get('location')).toBe(`/orders/${String(id)}`);
      const { rows } = await client.query<Row>(
        `select position::text, aggregatetype, aggregateid, type, aggregateversion::integer as version, schemaversion, payload
         from millrace.outbox where aggregateid = $1`,
        [id],
      );
      expect(rows).toEqual([
        {
          position: expect.any(String),
          aggregatetype: 'order',
          aggregateid: id,
          type: 'order.placed',
          version: 1,
          schemaversion: 1,
          payload: { orderId: id, customerId: 'customer-1', lines: wish.lines, totalCents: 2100 },
        },
      ]);
      const token = Buffer.from(response.headers.get('consistency-token') ?? '', 'base64url').toString();
      expect(JSON.parse(token)).toEqual([
        { source: 'order', topic: 'outbox.event.order', key: id, position: rows[0]?.['position'] },
      ]);
    });

    it.each<[string, unknown, string, RegExp]>([
      [
        'a negative quantity',
        { ...wish, lines: [{ ...tea, quantity: -1 }] },
        'lines.0.quantity',
        /whole number from 1/,
      ],
      ['no quantity', { ...wish, lines: [{ ...tea, quantity: 0 }] }, 'lines.0.quantity', /whole number from 1/],
      ['a part of a piece', { ...wish, lines: [{ ...tea, quantity: 1.5 }] }, 'lines.0.quantity', /whole number from 1/],
      [
        'a quantity as text',
        { ...wish, lines: [{ ...tea, quantity: '2' }] },
        'lines.0.quantity',
        /whole number from 1/,
      ],
      ['a huge quantity', { ...wish, lines: [{ ...tea, quantity: 1_000_001 }] }, 'lines.0.quantity', /to 1000000/],
      ['a part of a cent', { ...wish, lines: [{ ...tea, unitPriceCents: 0.1 }] }, 'lines.0.unitPriceCents', /cents/],
      ['a negative price', { ...wish, lines: [{ ...tea, unitPriceCents: -5 }] }, 'lines.0.unitPriceCents', /cents/],
      ['no lines', { ...wish, lines: [] }, 'lines', /1 to 100/],
      ['101 lines', { ...wish, lines: Array.from({ length: 101 }, () => tea) }, 'lines', /1 to 100/],
      ['lines that are no list', { ...wish, lines: tea }, 'lines', /array/],
      ['no customer', { lines: wish.lines }, 'customerId', /1 to 64 characters/],
      ['an empty customer', { ...wish, customerId: '' }, 'customerId', /1 to 64 characters/],
      ['a long customer', { ...wish, customerId: 'x'.repeat(65) }, 'customerId', /1 to 64 characters/],
      ['a NUL in a text', { ...wish, lines: [{ ...tea, sku: 'a\u0000' }] }, 'lines.0.sku', /control characters/],
      ['half a character', { ...wish, customerId: '\ud800' }, 'customerId', /1 to 64 characters/],
      ['an unknown field', { ...wish, discount: 5 }, '', /discount/],
      ['an unknown field of a line', { ...wish, lines: [{ ...tea, color: 'red' }] }, 'lines.0', /color/],
      ['a list', [wish], '', /object/],
      [
        'a total that JSON cannot carry exactly',
        {
          ...wish,
          lines: Array.from({ length: 10 }, () => ({ sku: 'a', quantity: 1_000_000, unitPriceCents: 1_000_000_000 })),
        },
        'lines',
        /at most 9007199254740991/,
      ],
    ])('refuses %s and names the field', async (_what, body, path, message) => {
      const before = await counts();
      const response = await post(body);
      expect(response.status).toBe(400);
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(await response.json()).toMatchObject({
        type: 'urn:millrace:problem:invalid-request',
        errors: [{ path, message: expect.stringMatching(message) }],
      });
      expect(await counts()).toEqual(before);
    });

    it('refuses malformed JSON and a body of 2 MB, and goes on', async () => {
      expect((await post('{"customerId": "customer-1", ')).status).toBe(400);
      const large = await post({ ...wish, customerId: 'x'.repeat(2_000_000) });
      expect([large.status, await large.json()]).toMatchObject([
        413,
        { type: 'urn:millrace:problem:payload-too-large' },
      ]);
      await place();
    });

    it('refuses a body that is nested as deep as the limit allows', async () => {
      const nested = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
      expect((await post(`{"customerId":"customer-1","lines":${nested}}`)).status).toBe(400);
    });

    it('ignores fields that would change prototypes', async () => {
      const response = await post(
        '{"customerId":"customer-1","__proto__":{"polluted":1},"lines":[{"sku":"a","quantity":1,"unitPriceCents":1}]}',
      );
      expect([202, 400]).toContain(response.status);
      expect(Reflect.get({}, 'polluted')).toBeUndefined();
    });

    it('takes back order, lines and key when the event is refused, and the same key may try again', async () => {
      const before = await counts();
      const key = uuidv7();
      await client.query(`alter table millrace.outbox add constraint refuse_all check (aggregateid = '') not valid`);
      const refused = await post(wish, key);
      await client.query('alter table millrace.outbox drop constraint refuse_all');
      expect(refused.status).toBe(500);
      expect(JSON.stringify(await refused.json())).not.toContain('refuse_all');
      expect(await counts()).toEqual(before);
      expect((await post(wish, key)).status).toBe(202);
    });
  });

  describe('Idempotency-Key', () => {
    it.each([
      ['missing', null],
      ['empty', ''],
      ['longer than 255', 'k'.repeat(256)],
      ['with a blank', 'a b'],
      ['with other than ASCII', 'sch\u00f6n'],
    ])('is refused when it is %s', async (_what, key) => {
      const before = await counts();
      const response = await post(wish, key);
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { type: 'urn:millrace:problem:idempotency-key-invalid', detail: expect.stringContaining('Idempotency-Key') },
      ]);
      expect(await counts()).toEqual(before);
    });

    it('gives the first answer again for the same body, whatever the order of its fields', async () => {
      const key = 'k'.repeat(255);
      const first = await post(wish, key);
      const after = await counts();
      const again = await post({ lines: wish.lines, customerId: wish.customerId }, key);
      expect(again.status).toBe(202);
      expect(await again.text()).toBe(await first.text());
      expect(first.headers.has('idempotency-replayed')).toBe(false);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      for (const name of ['location', 'consistency-token']) {
        expect(again.headers.get(name)).toBe(first.headers.get(name));
      }
      expect(await counts()).toEqual(after);
    });

    it('refuses another body under the same key', async () => {
      const key = uuidv7();
      expect((await post(wish, key)).status).toBe(202);
      const after = await counts();
      const other = await post({ ...wish, customerId: 'customer-2' }, key);
      expect([other.status, await other.json()]).toMatchObject([
        422,
        { type: 'urn:millrace:problem:idempotency-key-reused' },
      ]);
      expect(await counts()).toEqual(after);
    });

    it('makes one order of ten requests at once', async () => {
      const [orders = 0] = await counts();
      const key = uuidv7();
      // opens the connections first, or the requests would come one by one as connections are made
      await Promise.all(Array.from({ length: 10 }, async () => await fetch(`${url}/orders`)));
      const responses = await Promise.all(Array.from({ length: 10 }, async () => await post(wish, key)));
      const statuses = new Set(responses.map(({ status }) => status));
      expect([...statuses].every((status) => [202, 409].includes(status)) && statuses.has(202)).toBe(true);
      expect((await counts())[0]).toBe(orders + 1);
      const ids = await Promise.all(
        responses.filter(({ status }) => status === 202).map(async (response) => (await bodyOf<Row>(response))['id']),
      );
      expect(new Set(ids).size).toBe(1);
    });

    it('tells that the first request is still running', async () => {
      const key = uuidv7();
      await client.query('begin; lock table orders in exclusive mode');
      const first = post(wish, key);
      await statementWaits();
      const second = await post(wish, key);
      await client.query('rollback');
      expect([second.status, second.headers.get('retry-after'), await second.json()]).toMatchObject([
        409,
        '1',
        { type: 'urn:millrace:problem:idempotency-key-in-progress' },
      ]);
      expect((await first).status).toBe(202);
      expect((await post(wish, key)).headers.get('idempotency-replayed')).toBe('true');
    });

    it('is free again when the first request died', async () => {
      const before = await counts();
      const key = uuidv7();
      await client.query('begin; lock table orders in exclusive mode');
      const first = post(wish, key);
      await client.query('select pg_terminate_backend($1)', [await statementWaits()]);
      const died = await first;
      await client.query('rollback');
      expect([died.status, died.headers.get('retry-after')]).toEqual([503, '2']);
      expect(await counts()).toEqual(before);
      const second = await post(wish, key);
      expect([second.status, second.headers.has('idempotency-replayed')]).toEqual([202, false]);
    });

    it('is forgotten after 24 hours, and old keys are removed', async () => {
      const key = uuidv7();
      const first = await bodyOf<Row>(await post(wish, key));
      await client.query(`update idempotency_key set created_at = clock_timestamp() - interval '25 hours'`);
      const second = await post({ ...wish, customerId: 'customer-3' }, key);
      expect(second.status).toBe(202);
      expect((await bodyOf<Row>(second))['id']).not.toBe(first['id']);
      for (let request = 0; request < 64; request += 1) {
        await place();
      }
      const { rows } = await client.query(
        `select from idempotency_key where created_at < clock_timestamp() - interval '24 hours'`,
      );
      expect(rows).toHaveLength(0);
    });
  });

  describe('GET /orders/{id}', () => {
    it('tells the order with its lines in their order', async () => {
      const id = await place();
      const response = await fetch(`${url}/orders/${id}`);
      expect(response.headers.get('etag')).toBe('"1"');
      expect(await response.json()).toEqual({
        id,
        customerId: 'customer-1',
        status: 'pending',
        lines: wish.lines,
        totalCents: 2100,
        version: 1,
      });
    });

    it('keeps texts and the largest amounts exactly', async () => {
      const lines = [{ sku: '茶-☕ "q" \\ é', quantity: 9_000_000 / 9, unitPriceCents: 1_000_000_000 }];
      const id = await place({ customerId: "o'brien; drop table orders", lines });
      const order = await bodyOf<OrderView>(await fetch(`${url}/orders/${id}`));
      expect([order.customerId, order.lines, order.totalCents]).toEqual(["o'brien; drop table orders", lines, 1e15]);
    });

    it('answers 404 for an unknown order and 400 for what is no id', async () => {
      expect((await fetch(`${url}/orders/${uuidv7()}`)).status).toBe(404);
      expect((await fetch(`${url}/orders/7`)).status).toBe(400);
    });
  });

  describe('GET /orders', () => {
    const list = async (query: string): Promise<OrderPage> => {
      const response = await fetch(`${url}/orders?${query}`);
      expect(response.status).toBe(200);
      return await bodyOf<OrderPage>(response);
    };

    it('pages newest first without repeating or skipping while orders are placed', async () => {
      const customerId = 'pages';
      const ids: string[] = [];
      for (let order = 0; order < 7; order += 1) {
        ids.unshift(await place({ ...wish, customerId }));
      }
      const seen: string[] = [];
      let query = `customerId=${customerId}&status=pending&limit=3`;
      for (let page = 0; page < 3; page += 1) {
        const { items, nextCursor } = await list(query);
        seen.push(...items.map(({ id }) => id));
        expect(nextCursor === null).toBe(page === 2);
        await place({ ...wish, customerId });
        query = `customerId=${customerId}&status=pending&limit=3&cursor=${nextCursor ?? ''}`;
      }
      expect(seen).toEqual(ids);
      const { items } = await list(`customerId=${customerId}&limit=100`);
      expect(items).toHaveLength(10);
      expect(items[0]?.lines).toEqual(wish.lines);
    });

    it('filters by status and customer', async () => {
      expect(await list('status=confirmed')).toEqual({ items: [], nextCursor: null });
      expect(await list('customerId=nobody')).toEqual({ items: [], nextCursor: null });
      expect((await list('')).items).toHaveLength(20);
    });

    it.each(['limit=0', 'limit=101', 'limit=2.5', 'limit=-1', 'status=lost', 'cursor=abc', 'cursor=', 'customer=1'])(
      'refuses ?%s',
      async (query) => {
        const response = await fetch(`${url}/orders?${query}`);
        expect([response.status, await response.json()]).toMatchObject([400, { errors: [{}] }]);
      },
    );

    it('refuses a cursor that was made up', async () => {
      const response = await fetch(`${url}/orders?cursor=${'0'.repeat(22)}`);
      expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ path: 'cursor' }] }]);
    });
  });

  it('answers 503 while the database refuses connections, is not ready then, and recovers by itself', async () => {
    await becomesReady();
    const admin = await (await createAdmin()).connect();
    try {
      await admin.client.query(`alter database ${database.name} allow_connections false`);
      await admin.client.query(
        `select pg_terminate_backend(pid, 60000) from pg_stat_activity where datname = $1 and application_name = 'order'`,
        [database.name],
      );
      const response = await post(wish);
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2']);
      expect(await response.json()).toMatchObject({ type: 'urn:millrace:problem:unavailable' });
      // a check that takes too long tells that instead
      const unready = await until(
        readiness,
        ({ body }) => !JSON.stringify(body).includes('check-timed-out'),
        'a check of the readiness that came to its end',
      );
      expect(unready).toEqual({
        status: 503,
        body: { status: 'not-ready', reasons: expect.arrayContaining(['database-unreachable']) },
      });
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
      await admin.client.query(`alter database ${database.name} allow_connections true`);
      await place();
      await becomesReady();
    } finally {
      await admin.end();
    }
  });

  it('needs no more of the database than its own tables and the rights of a producer and consumer', async () => {
    const role = `${database.name}_app`;
    await client.query(`
      create role ${role} login;
      grant millrace_producer, millrace_consumer to ${role};
      grant select, insert, update, delete on orders, order_line, idempotency_key to ${role};
      grant select on migration to ${role}`);
    const asRole = new URL(database.url);
    asRole.username = role;
    const limited = await createApp(asRole.toString());
    try {
      await limited.listen(0, '127.0.0.1');
      const response = await fetch(`http://127.0.0.1:${portOf(limited)}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': uuidv7() },
        body: JSON.stringify(wish),
      });
      expect(response.status).toBe(202);
      const invariants = await bodyOf<InvariantReport>(await fetch(`http://127.0.0.1:${portOf(limited)}/invariants`));
      expect(invariants.invariants.map(({ name, holds }) => [name, holds])).toEqual([
        ['order-totals', true],
        ['order-versions', true],
        ['order-events', null],
      ]);
    } finally {
      await limited.close();
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it('counts placed orders and requests by route', async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/millrace_order_changes_total\{outcome="placed"\} [1-9]\d*\n/);
    expect(metrics).toMatch(/_count\{method="GET",route="\/orders\/:id",status="404"\} 1/);
  });

  it('answers an unknown route with a problem', async () => {
    const response = await fetch(`${url}/order`);
    expect([response.status, await response.json()]).toMatchObject([404, { type: 'urn:millrace:problem:not-found' }]);
  });

  it('lists every route with its schemas in its OpenAPI document', async () => {
    const document = await bodyOf<{ paths: Record<string, Record<string, unknown>> }>(
      await fetch(`${url}/openapi.json`),
    );
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(routes.toSorted()).toEqual([
      'get /health/live',
      'get /health/ready',
      'get /invariants',
      'get /orders',
      'get /orders/{id}',
      'post /orders',
      'post /orders/{id}/cancel',
    ]);
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Millrace order service' } });
    const text = JSON.stringify(document);
    expect(JSON.stringify(document.paths['/orders']?.['post'])).toContain('"name":"Idempotency-Key","in":"header"');
    // forms of OpenAPI 3.0 that 3.1 does not know
    expect(text).not.toMatch(/"nullable"|"exclusiveM(in|ax)imum":(true|false)/);
    const references = new Set([...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    expect([...references]).toEqual(['Problem']);
    expect(document).toMatchObject({ components: { schemas: { Problem: { required: expect.any(Array) } } } });
  });

  async function createAdmin(): Promise<{ connect: () => Promise<{ client: pg.Client; end: () => Promise<void> }> }> {
    const other = await createTestDatabase({ isMigrated: false });
    return {
      connect: async () => {
        const adminClient = await other.connect();
        return {
          client: adminClient,
          end: async () => {
            await adminClient.end();
            await other.drop();
          },
        };
      },
    };
  }
});
