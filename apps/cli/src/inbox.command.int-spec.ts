import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, freePort, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { run } from './program.js';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const HEAD = '00000000-0000-7000-8000-000000000001';
const BEHIND = '00000000-0000-7000-8000-000000000002';
const HELD = '00000000-0000-7000-8000-000000000003';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = await database.connect();
});

beforeEach(async () => {
  await client.query(`
    truncate millrace.inbox, millrace.inbox_held, millrace.inbox_held_key, millrace.inbox_partition, millrace.audit;
    insert into millrace.inbox (consumer, id, kept_until)
    select 'stock', id, 'infinity' from unnest(array['${HEAD}', '${BEHIND}', '${HELD}']::uuid[]) as e (id);
    insert into millrace.inbox_held_key (consumer, topic, key, status, attempts, next_try, code, reason, since) values
      ('stock', 'orders', 'a', 'parked', 20, null, 'no_stock', E'Count\\x1b the stock.', '2026-11-21T10:00:00Z'),
      ('stock', 'orders', 'b', 'held', 3, '2099-01-01T00:00:00Z', 'handler_error', 'Error', '2026-11-21T11:00:00Z');
    insert into millrace.inbox_held (consumer, id, topic, key, partition, record_offset, source, route, position, type,
      timestamp_ms, record_value, header_names, header_values) values
      ('stock', '${HEAD}', 'orders', 'a', 3, 9, 'shop', 'default', 109, 'order.placed', 0, 'geheim', '{}', '{}'),
      ('stock', '${BEHIND}', 'orders', 'a', 3, 10, 'shop', 'default', 110, 'order.placed', 0, 'geheim', '{}', '{}'),
      ('stock', '${HELD}', 'orders', 'b', 4, 7, 'shop', 'default', 120, 'order.placed', 0, 'geheim', '{}', '{}');
    insert into millrace.inbox_partition (consumer, topic, partition, next_offset, hole_from, hole_to, frozen_at)
    values ('stock', 'orders', 5, 100, 40, 49, now())`);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

async function inbox(...args: string[]): Promise<Outcome> {
  return await millrace('inbox', ...args, '--consumer', 'stock', '--database-url', database.url);
}

async function millrace(...args: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const code = await run(args, { out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

async function statuses(): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(
    'select key, status, attempts from millrace.inbox_held_key order by key',
  );
  return rows;
}

async function audited(): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(
    'select action, target, reason from millrace.audit order by id',
  );
  return rows;
}

describe('millrace inbox parked', () => {
  it('shows each chain with what an operator needs, and no contents', async () => {
    expect(await inbox('parked')).toEqual({
      code: 0,
      out:
        `parked ${HEAD} orders/3@9 order.placed key "a"\n` +
        '         since 2026-11-21T10:00:00.000Z, 20 tries, 1 behind it: no_stock: Count\\u001b the stock.\n' +
        `  waits  ${BEHIND} orders/3@10 order.placed key "a"\n`,
      err: '',
    });
  });

  it('shows held ones too, chosen and as JSON', async () => {
    const { out } = await inbox('parked', '--held', '--since', '2026-11-21T10:30:00Z', '--attempts', '2', '--json');

    expect(JSON.parse(out)).toMatchObject({
      id: HELD,
      offset: '7',
      position: '120',
      nextTry: '2099-01-01T00:00:00.000Z',
    });
    expect(out).not.toMatch(/geheim/);
  });

  it('says which consumers there are when it is asked for one that there is not', async () => {
    const { code, out, err } = await millrace('inbox', 'parked', '--consumer', 'stok', '-d', database.url);

    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^error: No consumer stok is known in this database: it knows stock\./);
  });

  it('says that there is nothing', async () => {
    expect(await inbox('parked', '--key', 'x')).toEqual({
      code: 0,
      out: '',
      err: 'Nothing that fits is set aside for consumer stock.\n',
    });
  });
});

describe('millrace inbox retry', () => {
  it('makes chains due', async () => {
    expect(await inbox('retry', '--code', 'no_stock', '--reason', 'counted')).toMatchObject({
      code: 0,
      out: '1 chain due now; the consumer tries them within seconds.\n',
    });

    expect(await statuses()).toMatchObject([{ key: 'a', status: 'held', attempts: 0 }, { key: 'b' }]);
    expect(await audited()).toEqual([{ action: 'inbox.retry', target: 'stock', reason: 'counted' }]);
  });

  it('takes all only when told, and only tells in a dry run', async () => {
    expect(await inbox('retry', '--all', '--dry-run')).toMatchObject({
      code: 0,
      out: 'Would have 2 chains tried again. Nothing was changed.\n',
    });
    expect(await statuses()).toMatchObject([{ status: 'parked' }, { attempts: 3 }]);
  });
});

describe('millrace inbox discard', () => {
  it('gives up the head of a chain and has the next one tried', async () => {
    expect(await inbox('discard', '--key', 'a', '--reason', 'was cancelled')).toMatchObject({
      code: 0,
      out: `${HEAD} orders/3@9 order.placed key "a"\nDiscarded 1 event.\n`,
    });

    expect(await statuses()).toMatchObject([{ key: 'a', status: 'held' }, { key: 'b' }]);
    expect(await audited()).toEqual([{ action: 'inbox.discard', target: 'stock', reason: 'was cancelled' }]);
  });

  it('only tells in a dry run', async () => {
    const { out } = await inbox('discard', '--id', BEHIND, '--reason', 'r', '--dry-run');

    expect(out).toMatch(/^\S+ orders\/3@10 .*\nWould discard 1 event. Nothing was changed.\n$/);
    expect((await client.query('select from millrace.inbox_held')).rowCount).toBe(3);
  });

  it('says that nothing fits', async () => {
    expect(await inbox('discard', '--key', 'x', '--reason', 'r')).toEqual({
      code: 1,
      out: '',
      err: 'error: Nothing that fits is set aside for consumer stock.\n',
    });
  });
});

describe('millrace inbox thaw', () => {
  it('accepts a hole once', async () => {
    const thaw = async (): Promise<Outcome> =>
      await inbox('thaw', '--topic', 'orders', '--partition', '5', '--reason', 'replayed');

    expect(await thaw()).toMatchObject({
      code: 0,
      out: 'Accepted that offsets 40 to 49 of orders/5 never came. Its floors move again.\n',
    });
    expect(await thaw()).toMatchObject({
      code: 1,
      err: 'error: Partition 5 of topic orders is not frozen for stock.\n',
    });
  });
});

describe('a database that cannot be reached', () => {
  it('is told with exit code 3', async () => {
    const url = `postgres://u:geheim@127.0.0.1:${await freePort()}/x`;

    const { code, err } = await millrace('inbox', 'parked', '--consumer', 'stock', '--database-url', url);

    expect(code).toBe(3);
    expect(err).toBe('error: The database cannot be reached. Check host, port and network in the database URL.\n');
  });
});
