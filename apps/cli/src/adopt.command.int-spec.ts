import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createOutboxSource } from '@millrace/capture';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { run } from './program.js';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const INSERT = `insert into shop.events (id, aggregatetype, aggregateid, type, payload, tenant)`;

let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await createTestDatabase({ isMigrated: false });
  client = await database.connect();
  await client.query(`create schema shop; create table shop.events (id uuid primary key,
    aggregatetype varchar(255) not null, aggregateid varchar(255) not null, type varchar(255) not null,
    payload jsonb not null, tenant text, n bigint generated always as identity unique)`);
});

afterEach(async () => {
  await client.end();
  await database.drop();
});

async function migrate(...args: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const terminal = { out: (text: string) => (out += text), err: (text: string) => (err += text) };
  const code = await run(['migrate', '--database-url', database.url, ...args], terminal);
  return { code, out, err };
}

async function insert(...keys: string[]): Promise<void> {
  for (const key of keys) {
    await client.query(`${INSERT} values (gen_random_uuid(), 'order', $1, 'order.placed', '{"a": 1}', 'acme')`, [key]);
  }
}

/** All events that a relay reads of a new route. */
async function captured(): Promise<unknown[]> {
  const source = createOutboxSource({ name: 'shop', databaseUrl: database.url });
  const claim = await source.claim({
    route: 'r',
    owner: 'relay',
    ttlMs: 30_000,
    from: { kind: 'earliest' },
    aggregateTypes: null,
  });
  if (claim.kind !== 'claimed') {
    throw new Error(`The route is ${claim.kind}.`);
  }
  const page = await claim.capture.nextPage();
  await claim.capture.settle(page);
  await claim.capture.close();
  return page.events.map(({ aggregateType, aggregateId, type, payload, headers }) => ({
    aggregateType,
    aggregateId,
    type,
    payload,
    headers,
  }));
}

const event = (aggregateId: string): unknown => ({
  aggregateType: 'order',
  aggregateId,
  type: 'order.placed',
  payload: '{"a": 1}',
  headers: { tenant: 'acme' },
});

describe('millrace migrate --adopt', () => {
  it('migrates and adopts, and a relay reads older rows, new rows, and new rows that are deleted', async () => {
    await insert('old-1', 'old-2');

    const adopted = await migrate(
      ...['--adopt', 'shop.events', '--existing', 'copy', '--order-by', 'n', '--header', 'tenant'],
      ...['--header', 'type:header:eventType', '--lock-wait', '2000'],
    );
    await client.query('begin');
    await insert('new-1');
    await client.query(`delete from shop.events where aggregateid = 'new-1'; commit`);
    await insert('new-2');

    expect(adopted).toMatchObject({ code: 0, err: '2 older rows copied.\n' });
    expect(adopted.out).toMatch(
      /\nshop\.events is adopted: .*\n2 older rows come before them\.\nA relay that has confirmed LSN [0-9A-F]+\/[0-9A-F]+ has read all older rows\.\n$/,
    );
    expect(await captured()).toEqual(['old-1', 'old-2', 'new-1', 'new-2'].map(event));
  });

  it('can be repeated, and released', async () => {
    const first = await migrate('--adopt', 'shop.events', '--header', 'tenant', '--lock-wait', '2000');
    const again = await migrate('--adopt', 'shop.events', '--header', 'tenant');
    await insert('a');
    const released = await migrate('--release', 'shop.events');
    await insert('b');

    expect([first, again, released].map(({ code, err }) => ({ code, err }))).toEqual(
      Array.from({ length: 3 }, () => ({ code: 0, err: '' })),
    );
    expect(again.out).toMatch(/shop\.events was adopted before; nothing was to do\./);
    expect(released.out).toBe('shop.events is released: its new rows are not copied any more.\n');
    expect(await captured()).toEqual([event('a')]);
    expect(await migrate('--release', 'shop.events')).toMatchObject({ code: 0, out: 'shop.events was not adopted.\n' });
  });

  it('only tells in a dry run', async () => {
    await insert('old');

    const { code, out, err } = await migrate(
      '--adopt',
      'shop.events',
      '--dry-run',
      '--event-payload',
      'tenant',
      '--payload',
      'string',
    );

    expect({ code, out }).toEqual({ code: 0, out: 'shop.events can be adopted. Nothing was changed.\n' });
    expect(err).toMatch(/^Note: tenant may be null in shop\.events/);
    expect(err).toMatch(/\nNote: shop\.events holds rows: .* --existing skip .* --existing copy --order-by <column> /);
    expect((await client.query(`select to_regnamespace('millrace') as found`)).rows).toEqual([{ found: null }]);
  });

  it('prints a script for a DBA, which does the same', async () => {
    await insert('old');
    const { out } = await migrate('--adopt', 'shop.events', '--existing', 'skip', '--header', 'tenant', '--print');

    await client.query(out.replace(/^\\set.*$/m, ''));
    await insert('new');

    expect(await captured()).toEqual([event('new')]);
    expect((await migrate('--adopt', 'shop.events', '--header', 'tenant')).out).toMatch(/nothing was to do/);
  });

  it('asks what is to become of rows that are there', async () => {
    await insert('old');

    const { code, err } = await migrate('--adopt', 'shop.events');

    expect(code).toBe(2);
    expect(err).toMatch(/^error: shop\.events holds rows\. Say what is to become of them: --existing skip/);
  });

  it('names a table that is not there', async () => {
    expect(await migrate('--adopt', 'public.outbox')).toMatchObject({
      code: 2,
      err: 'error: There is no table public.outbox in this database. Name it as schema.table, quoted where SQL needs it.\n',
    });
  });
});
