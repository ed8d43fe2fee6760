import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, LocalKafka, type TestDatabase, until } from '@millrace/testing';
import { ApiClient, type ApiRequest } from '../harness/api-client.js';
import { withClient } from '../harness/servers.js';
import { APPS, migrateShop, type Service, SERVICES, Shop, type ShopOptions } from '../harness/shop.js';
import { type FateName, fateOf } from '../faults/smoke/order-fate.js';
import { checkStories, eventsByOrder } from '../faults/smoke/shop-check.js';
import { type OrderBody } from '../faults/smoke/shop-plan.js';
import { readShopState } from '../faults/smoke/shop-state.js';
import { keptAnswer, ShopTruth } from '../faults/smoke/shop-truth.js';

const ROOT = join(import.meta.dirname, '..', '..');
const FROM_SOURCE = ['--conditions=millrace-source', '--import', join(ROOT, 'test', 'e2e', 'run-source.mjs')];
const START_MS = 120_000;
const TEST_MS = 300_000;

/** Whoever waits for a row, such as the charge for its account. */
const WAITS_FOR_LOCK = `select from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'`;

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-'));
const client = new ApiClient();
const truth = new ShopTruth();
let kafka: LocalKafka;
let databases: Record<Service, TestDatabase>;
let shop: Shop;

beforeAll(async () => {
  kafka = new LocalKafka({ dataDir: join(folder, 'kafka'), isQuickStart: true, temporaryDir: folder });
  databases = {
    order: await createTestDatabase(),
    inventory: await createTestDatabase(),
    payment: await createTestDatabase(),
  };
  const options = async (): Promise<ShopOptions> => {
    await kafka.start();
    return optionsOf(kafka.brokers);
  };
  const [ready] = await Promise.all([options(), migrateShop(optionsOf([]))]);
  shop = await Shop.start(ready);
  await put(`${shop.url('inventory')}/stock/book`, { onHand: 1_000 });
  await put(`${shop.url('payment')}/accounts/ada`, { balanceCents: 1_000_000 });
  await put(`${shop.url('payment')}/accounts/bob`, { balanceCents: 100 });
}, 2 * START_MS);

afterAll(async () => {
  for (const app of APPS) {
    shop.app(app).send('SIGCONT'); // a test that failed may have left it stopped
  }
  await shop.stop('SIGTERM');
  await kafka.stop();
  for (const service of SERVICES) {
    await databases[service].drop();
  }
  rmSync(folder, { recursive: true, force: true });
}, START_MS);

function optionsOf(brokers: readonly string[]): ShopOptions {
  return {
    folder,
    databaseUrls: databaseUrls(),
    brokers,
    client: 'platformatic',
    relayConfig: join(ROOT, 'millrace.yaml'),
    program: (app, entry) => ({
      main: join(ROOT, 'apps', app, 'src', `${entry}.ts`),
      nodeArguments: FROM_SOURCE,
    }),
  };
}

function databaseUrls(): Record<Service, string> {
  return { order: databases.order.url, inventory: databases.inventory.url, payment: databases.payment.url };
}

async function put(url: string, body: unknown): Promise<void> {
  const { status, text } = await client.answer({ method: 'PUT', url, body });
  expect({ status, text }).toEqual({ status: 200, text: expect.any(String) });
}

async function placed(quantity: number, customerId = 'ada', sku = 'book'): Promise<string> {
  const body: OrderBody = { customerId, lines: [{ sku, quantity, unitPriceCents: 1_250 }] };
  const key = crypto.randomUUID();
  const answer = await client.answer({ method: 'POST', url: `${shop.url('order')}/orders`, body, key });
  const id: unknown = Reflect.get(Object(answer.body), 'id');
  if (answer.status !== 202 || typeof id !== 'string') {
    throw new Error(`An order was answered ${answer.status}: ${answer.text}`);
  }
  truth.orders.set(id, { id, key, body, answer: keptAnswer(answer), acceptedAt: new Date(), cancels: [] });
  return id;
}

async function cancelled(id: string): Promise<number> {
  const request: ApiRequest = {
    method: 'POST',
    url: `${shop.url('order')}/orders/${id}/cancel`,
    key: crypto.randomUUID(),
  };
  const { status } = await client.answer(request);
  truth.orders.get(id)?.cancels.push({ answeredAt: new Date(), status });
  return status;
}

/** Waits until every order has come to an end that can be, and returns which. */
async function fates(ids: readonly string[]): Promise<(FateName | undefined)[]> {
  return await until(
    async () => {
      const events = eventsByOrder(await readShopState(databaseUrls()));
      return ids.map((id) => fateOf(events.get(id) ?? []));
    },
    (found) => !found.includes(undefined),
    'every order to come to its end',
  );
}

/** Waits until a statement in the database of payment gives so many rows. */
async function untilPaymentHas(rows: number, statement: string): Promise<void> {
  await withClient(databases.payment.url, async (observer) =>
    until(
      async () => (await observer.query(statement)).rowCount,
      (count) => count === rows,
      `payment to have ${rows} of: ${statement}`,
    ),
  );
}

async function figuresOf(service: Service, path: string): Promise<unknown> {
  return (await client.answer({ method: 'GET', url: `${shop.url(service)}${path}` })).body;
}

describe('order, inventory, payment and the relay as processes', () => {
  it(
    'confirm an order, reject one for its stock and one for its money',
    async () => {
      const ids = [await placed(2), await placed(1_001), await placed(1, 'ada', 'none-such'), await placed(1, 'bob')];
      expect(await fates(ids)).toEqual(['confirmed', 'rejected: no stock', 'rejected: no stock', 'rejected: no money']);
    },
    TEST_MS,
  );

  it(
    'cancel an order before its charge, and give the money back of one that was charged already',
    async () => {
      // without stock that is reserved nothing is charged
      shop.app('inventory').send('SIGSTOP');
      const early = [await placed(3), await placed(1_001)];
      expect([await cancelled(early[0] ?? ''), await cancelled(early[1] ?? '')]).toEqual([202, 202]);
      await untilPaymentHas(2, 'select from cancelled_order');
      shop.app('inventory').send('SIGCONT');
      expect(await fates(early)).toEqual(['cancelled before the charge', 'cancelled: had no stock']);
      const late = await withClient(databases.payment.url, async (teller) => {
        await teller.query(`begin; select from account where customer_id = 'ada' for update`);
        const id = await placed(4);
        await untilPaymentHas(1, WAITS_FOR_LOCK);
        // payment is not to hear of it before it has charged, should its statement give up waiting and be made again
        shop.app('relay').send('SIGSTOP');
        expect(await cancelled(id)).toBe(202);
        await teller.query('commit');
        await untilPaymentHas(1, `select from payment where order_id = '${id}' and status = 'captured'`);
        shop.app('relay').send('SIGCONT');
        return id;
      });
      expect(await fates([late])).toEqual(['cancelled after the charge']);
      expect(await cancelled(late)).toBe(409);
    },
    TEST_MS,
  );

  it(
    'bring every order to its end, once, although each of them is killed in the middle of its work',
    async () => {
      const ids = await Promise.all(Array.from({ length: 20 }, async () => placed(1)));
      const back = Promise.all(APPS.map(async (app) => shop.app(app).kill()));
      const more = await Promise.all(Array.from({ length: 20 }, async () => placed(1)));
      await back;
      expect(new Set(await fates([...ids, ...more]))).toEqual(new Set(['confirmed']));
      expect(checkStories(truth, await readShopState(databaseUrls()))).toEqual([]);
      const sold = 2 + ids.length + more.length;
      expect(await figuresOf('inventory', '/stock/book')).toMatchObject({
        received: 1_000,
        reserved: 0,
        sold,
        available: 1_000 - sold,
      });
      expect(await figuresOf('payment', '/accounts/ada')).toMatchObject({ balanceCents: 1_000_000 - sold * 1_250 });
      for (const service of SERVICES) {
        expect(await figuresOf(service, '/invariants')).toMatchObject({ service, holds: true });
      }
    },
    TEST_MS,
  );
});
