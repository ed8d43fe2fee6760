import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent, toPosition } from '@millrace/events';
import { Outbox } from '@millrace/outbox';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type DataSource } from 'typeorm';
import { z } from 'zod';
import { CLAIM_BATCH, CLAIM_ONE } from './claim.sql.js';
import { Inbox } from './inbox.js';
import { type Arrival, type Handle } from './inbox-port.js';
import {
  arrivalOf,
  createGate,
  EFFECT_TABLE,
  INBOX_TABLES,
  openDataSource,
  progressOf,
  recordEffect,
  seen,
  waitersFor,
} from './testing-doubles/inbox-scene.js';
import { type Transaction } from './transaction.js';

let database: TestDatabase;
let observer: pg.Client;
let dataSource: DataSource;
let inbox: Inbox;
/** The inbox of another process: a member that was thought dead. */
let twinSource: DataSource;
let twin: Inbox;

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  await observer.query(EFFECT_TABLE);
  dataSource = await openDataSource(database.url);
  twinSource = await openDataSource(database.url);
  inbox = new Inbox({ consumer: 'stock', dataSource });
  twin = new Inbox({ consumer: 'stock', dataSource: twinSource });
});

beforeEach(async () => {
  await observer.query(`truncate public.effect, ${INBOX_TABLES} restart identity`);
});

afterAll(async () => {
  await dataSource.destroy();
  await twinSource.destroy();
  await observer.end();
  await database.drop();
});

async function effects(): Promise<string[]> {
  const { rows } = await observer.query<{ key: string }>('select key from public.effect order by n');
  return rows.map(({ key }) => key);
}

async function claims(): Promise<number> {
  return (await observer.query('select from millrace.inbox')).rowCount ?? 0;
}

/** Makes the streams known, so that a test's first claim is the only one. */
async function prepareStreams(): Promise<void> {
  await inbox.apply([arrivalOf(), arrivalOf({ partition: 1 })], () => Promise.resolve());
  await observer.query('truncate millrace.inbox');
}

describe('an event', () => {
  it('is applied with its claim in one transaction, and is a duplicate from then on', async () => {
    const event = arrivalOf();

    expect(await inbox.apply([event], recordEffect)).toEqual(['applied']);
    expect(await inbox.apply([event], recordEffect)).toEqual(['duplicate']);
    expect(await twin.apply([event], recordEffect)).toEqual(['duplicate']);
    expect(await effects()).toEqual(['k']);
  });

  it('leaves neither claim nor effect when its handler rejects', async () => {
    const event = arrivalOf();
    const failing: Handle = async (arrival, tx) => {
      await recordEffect(arrival, tx);
      throw new Error('out of stock');
    };

    await expect(inbox.apply([event], failing)).rejects.toThrow('out of stock');

    expect([await effects(), await claims()]).toEqual([[], 0]);
    expect(await inbox.apply([event], recordEffect)).toEqual(['applied']);
  });

  it('is applied once when the process dies between claim and commit', async () => {
    const event = arrivalOf();
    const dying: Handle = async (arrival, tx) => {
      await recordEffect(arrival, tx);
      const [row] = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      await observer.query('select pg_terminate_backend($1, 5000)', [row?.pid]);
    };

    await expect(inbox.apply([event], dying)).rejects.toMatchObject({ code: 'unavailable' });

    expect(await twin.apply([event], recordEffect)).toEqual(['applied']);
    expect(await inbox.apply([event], recordEffect)).toEqual(['duplicate']);
    expect(await effects()).toEqual(['k']);
  });

  it('is a duplicate for a twin that waited until the other had committed', async () => {
    await prepareStreams();
    const event = arrivalOf();
    const gate = createGate();
    const first = inbox.apply([event], async (arrival, tx) => {
      await recordEffect(arrival, tx);
      await gate.opened;
    });
    await effectIsOnItsWay();

    const second = twin.apply([event], recordEffect);
    await waitersFor(observer);
    gate.open();

    expect(await Promise.all([first, second])).toEqual([['applied'], ['duplicate']]);
    expect(await effects()).toEqual(['k']);
  });

  it('is applied by a twin that waited until the other had rolled back', async () => {
    await prepareStreams();
    const event = arrivalOf();
    const [claimed, gate] = [createGate(), createGate()];
    const first = inbox.apply([event], async () => {
      claimed.open();
      await gate.opened;
      throw new Error('given up');
    });
    await claimed.opened;

    const second = twin.apply([event], recordEffect);
    await waitersFor(observer);
    gate.open();

    await expect(first).rejects.toThrow('given up');
    expect(await second).toEqual(['applied']);
    expect(await effects()).toEqual(['k']);
  });

  it('is a duplicate on the other side of midnight: no part of its claim is a time', async () => {
    const event = arrivalOf({ timestampMs: Date.parse('2026-11-21T23:59:59.900Z') });
    const { rows } = await observer.query(`
      select array_agg(a.attname order by a.attname)::text[] as columns, c.relkind
      from pg_constraint k join pg_class c on c.oid = k.conrelid
      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any (k.conkey)
      where k.conname = 'inbox_pk' group by c.relkind`);

    expect(rows).toEqual([{ columns: ['consumer', 'id'], relkind: 'r' }]);
    expect(await inbox.apply([event], recordEffect)).toEqual(['applied']);
    const twinOfIt = arrivalOf({ id: event.id, timestampMs: Date.parse('2026-11-22T00:00:00.100Z') });
    expect(await twin.apply([twinOfIt], recordEffect)).toEqual(['duplicate']);
  });

  it('is applied by each consumer of the database', async () => {
    const event = arrivalOf();
    const other = new Inbox({ consumer: 'mail', dataSource });

    expect(await inbox.apply([event], recordEffect)).toEqual(['applied']);
    expect(await other.apply([event], recordEffect)).toEqual(['applied']);
  });

  it.each([
    ['has no relay', arrivalOf({ hasStream: false })],
    ['bypasses the floor', arrivalOf({ isBypassingFloor: true })],
  ])('that %s is claimed by its id alone, for 30 days', async (_, event) => {
    await inbox.apply([arrivalOf({ position: 9 })], recordEffect);
    await inbox.saveProgress([progressOf({ nextOffset: 10, floor: 9 })]);

    expect(await inbox.apply([event], recordEffect)).toEqual(['applied']);
    expect(await inbox.apply([event], recordEffect)).toEqual(['duplicate']);
    const { rows } = await observer.query(
      `select round(extract(epoch from kept_until - now()) / 86400)::integer as days from millrace.inbox where id = $1`,
      [event.id],
    );
    expect(rows).toEqual([{ days: 30 }]);
  });

  it('whose key no text column could hold is claimed and set aside like any other', async () => {
    for (const key of ['\0', 'x'.repeat(100_000), '']) {
      const event = arrivalOf({ key });
      const later = arrivalOf({ key, position: 2 });

      expect(await inbox.hold(event, { kind: 'parked', code: 'c\0', reason: 'r\0' })).toBe('chained');
      expect(await inbox.apply([later], recordEffect)).toEqual(['chained']);
    }
    expect(await effects()).toEqual([]);
  });
});

describe('a batch', () => {
  it('runs its handlers in the given order and tells each outcome', async () => {
    const known = arrivalOf({ position: 2, key: 'b' });
    await inbox.apply([known], recordEffect);
    const batch = [arrivalOf({ position: 3, key: 'c' }), known, arrivalOf({ position: 1, key: 'a' })];

    expect(await inbox.apply(batch, recordEffect)).toEqual(['applied', 'duplicate', 'applied']);
    expect(await effects()).toEqual(['b', 'c', 'a']);
  });

  it('applies an id that it holds twice once', async () => {
    const event = arrivalOf();

    expect(await inbox.apply([event, event], recordEffect)).toEqual(['applied', 'duplicate']);
    expect(await effects()).toEqual(['k']);
  });

  it('is all or nothing', async () => {
    const failing: Handle = async (arrival, tx) => {
      await recordEffect(arrival, tx);
      if (arrival.key === 'bad') {
        throw new Error('bad');
      }
    };

    await expect(inbox.apply([arrivalOf(), arrivalOf({ key: 'bad' })], failing)).rejects.toThrow('bad');
    expect([await effects(), await claims()]).toEqual([[], 0]);
  });

  it('loses nothing when one of its streams is seen for the first time', async () => {
    await inbox.apply([arrivalOf()], recordEffect);
    const batch = [arrivalOf({ position: 2, key: 'known' }), arrivalOf({ partition: 7, key: 'new' })];

    expect(await inbox.apply(batch, recordEffect)).toEqual(['applied', 'applied']);
    expect(await effects()).toEqual(['k', 'known', 'new']);
  });

  it('claims its ids in their own order, whatever the order in which they came', async () => {
    const first = arrivalOf({ id: '00000000-0000-7000-8000-000000000001', position: 1 });
    const second = arrivalOf({ id: '00000000-0000-7000-8000-000000000002', position: 2 });
    await prepareStreams();
    const [claimed, gate] = [createGate(), createGate()];
    const holder = inbox.apply([first], async () => {
      claimed.open();
      await gate.opened;
    });
    await claimed.opened;

    const batch = twin.apply([second, first], recordEffect);
    await waitersFor(observer);

    // it waits for the first id, and has not touched the second one yet
    expect(await inbox.apply([second], recordEffect)).toEqual(['applied']);
    gate.open();
    expect([await holder, await batch]).toEqual([['applied'], ['duplicate', 'duplicate']]);
  });

  it('never deadlocks with the same batch in another order', async () => {
    await prepareStreams();
    for (let round = 0; round < 50; round++) {
      const batch = Array.from({ length: 8 }, (_, n) => arrivalOf({ position: round * 8 + n + 1, key: `k${n}` }));
      const both = await Promise.all([
        inbox.apply(batch, recordEffect),
        twin.apply([...batch].reverse(), recordEffect),
      ]);

      expect(both.flat().filter((outcome) => outcome === 'applied')).toHaveLength(8);
    }
    expect(await effects()).toHaveLength(400);
  });
});

describe('a claim', () => {
  it.each([
    ['of one event', CLAIM_ONE, `'stock', gen_random_uuid(), 1, 'orders', 0, 'shop', 'default', 'k'`],
    [
      'of a batch',
      CLAIM_BATCH,
      `'stock', array[gen_random_uuid()], '{1}', '{orders}', '{0}', '{shop}', '{default}', '{k}'`,
    ],
  ])('%s reads its own floors and held keys and no others', async (_, text, values) => {
    await observer.query(`set plan_cache_mode = force_generic_plan; prepare claim as ${text}`);
    const { rows } = await observer.query<{ 'QUERY PLAN': string }>(`explain execute claim (${values})`);
    await observer.query('deallocate claim; reset plan_cache_mode');

    const conditions = rows.map((row) => row['QUERY PLAN']).filter((line) => line.includes('Index Cond'));
    expect(conditions).toContainEqual(expect.stringMatching(/consumer = .*topic = .*key = /));
    expect(conditions).toContainEqual(expect.stringMatching(/consumer = .*topic = .*partition = /));
  });
});

describe('the transaction of a handler', () => {
  const Reserved = defineEvent({
    type: 'stock.reserved',
    schemaVersion: 1,
    aggregate: 'stock',
    key: (event) => event.orderId,
    schema: z.object({ orderId: z.string() }),
  });

  it('carries TypeORM and outgoing events, and rolls them back with the rest', async () => {
    const outbox = new Outbox({ events: [Reserved] });
    const reserve =
      (isFailing: boolean): Handle =>
      async (arrival, tx) => {
        await tx.manager.query('insert into public.effect (id, key) values ($1, $2)', [arrival.id, 'manager']);
        await outbox.publish(tx, Reserved, { orderId: 'o-1' });
        if (isFailing) {
          throw new Error('wanted');
        }
      };

    await expect(inbox.apply([arrivalOf()], reserve(true))).rejects.toThrow('wanted');
    expect((await observer.query('select from millrace.outbox')).rowCount).toBe(0);
    await inbox.apply([arrivalOf()], reserve(false));
    expect((await observer.query('select from millrace.outbox')).rowCount).toBe(1);
    expect(await effects()).toEqual(['manager']);
  });

  it("keeps a nested transaction of TypeORM's inside of it", async () => {
    const nested: Handle = async (arrival, tx) => {
      await tx.manager.transaction(async (inner) => {
        await inner.query('insert into public.effect (id, key) values ($1, $2)', [arrival.id, 'inner']);
      });
      throw new Error('after the inner one');
    };

    await expect(inbox.apply([arrivalOf()], nested)).rejects.toThrow('after the inner one');
    expect([await effects(), await claims()]).toEqual([[], 0]);
  });

  it('reads what others committed meanwhile, whatever the default level of the database is', async () => {
    await observer.query(`alter database ${database.name} set default_transaction_isolation = 'serializable'`);
    const strict = await openDataSource(database.url);
    const levels: unknown[] = [];

    await new Inbox({ consumer: 'stock', dataSource: strict }).apply([arrivalOf()], async (_, tx) => {
      levels.push(...(await tx.query('show transaction_isolation')));
    });

    expect(levels).toEqual([{ transaction_isolation: 'read committed' }]);
    await strict.destroy();
    await observer.query(`alter database ${database.name} reset default_transaction_isolation`);
  });

  it.each<[string, string, (tx: Transaction) => Promise<void>]>([
    [
      'goes on after a statement that failed',
      'transaction_failed',
      async (tx) => {
        await tx.query('select 1 / 0').catch(() => undefined);
      },
    ],
    [
      'does not await a statement that fails',
      'transaction_failed',
      async (tx) => {
        tx.query('select 1 / 0').catch(() => undefined);
        await Promise.resolve();
      },
    ],
    [
      'commits by itself',
      'transaction_finished',
      async (tx) => {
        await tx.query('commit');
      },
    ],
  ])('is not taken for applied when the handler %s', async (_, code, misbehave) => {
    const event = arrivalOf();

    await expect(
      inbox.apply([event], async (arrival, tx) => {
        await recordEffect(arrival, tx);
        await misbehave(tx);
      }),
    ).rejects.toMatchObject({ name: 'InboxError', code });
  });

  it('cannot be used once it has ended', async () => {
    let leaked: Transaction | undefined;
    await inbox.apply([arrivalOf()], (_, tx) => {
      leaked = tx;
      return Promise.resolve();
    });

    await expect(leaked?.query('select 1')).rejects.toMatchObject({ code: 'transaction_finished' });
    await expect(leaked?.manager.query('select 1')).rejects.toThrow(/released/);
  });
});

describe('a handler that goes on after it was given up', () => {
  const late = async (
    arrival: Arrival,
    run: (sql: string, parameters: unknown[]) => Promise<unknown>,
  ): Promise<void> => {
    // it comes while COMMIT or ROLLBACK is on its way
    for (let turn = 0; turn < 20; turn++) {
      await Promise.resolve();
    }
    await run('insert into public.effect (id, key) values ($1, $2)', [arrival.id, 'ghost']);
  };

  type Run = (sql: string, parameters: unknown[]) => Promise<unknown>;

  it.each<[string, (tx: Transaction) => Run]>([
    ['tx.query', (tx) => async (sql, parameters) => await tx.query(sql, parameters)],
    ['a manager that it has', (tx) => runOf(tx.manager)],
    ['tx.manager', (tx) => async (sql, parameters) => await runOf(tx.manager)(sql, parameters)],
  ])('writes nothing through %s, neither behind COMMIT nor behind ROLLBACK', async (_, through) => {
    const refused: unknown[] = [];
    const ghost =
      (isFailing: boolean): Handle =>
      async (arrival, tx) => {
        await tx.query('select 1');
        late(arrival, through(tx)).catch((error: unknown) => refused.push(error));
        if (isFailing) {
          throw new Error('given up');
        }
      };

    await expect(inbox.apply([arrivalOf()], ghost(true))).rejects.toThrow('given up');
    expect(await inbox.apply([arrivalOf()], ghost(false))).toEqual(['applied']);

    await inbox.probe();
    expect(refused).toHaveLength(2);
    expect(await effects()).toEqual([]);
  });
});

describe('connections', () => {
  let narrow: DataSource;

  beforeEach(async () => {
    narrow = await openDataSource(database.url, { max: 1, idleTimeoutMillis: 0 });
  });

  afterEach(async () => {
    await narrow.destroy();
  });

  it('come back to the pool after success, failure and a lost transaction', async () => {
    const tight = new Inbox({ consumer: 'stock', dataSource: narrow });
    for (let round = 0; round < 3; round++) {
      await tight.apply([arrivalOf()], recordEffect);
      await expect(tight.apply([arrivalOf()], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
      await expect(
        tight.apply([arrivalOf()], async (_, tx) => {
          await tx.query('select pg_terminate_backend(pg_backend_pid())');
        }),
      ).rejects.toMatchObject({ code: 'unavailable' });
    }
    await tight.probe();
  });

  it('are replaced when a table has changed below a statement that they know', async () => {
    const tight = new Inbox({ consumer: 'stock', dataSource: narrow });
    const look: Handle = async (_, tx) => {
      await tx.query('select * from public.effect where key = $1', ['k']);
    };
    await tight.apply([arrivalOf()], look);
    await observer.query('alter table public.effect add column note text');

    await expect(tight.apply([arrivalOf()], look)).rejects.toMatchObject({ code: '0A000' });
    expect(await tight.apply([arrivalOf()], look)).toEqual(['applied']);
    await observer.query('alter table public.effect drop column note');
  });

  it('are out of the transaction when they come back, though it was the claim that the database refused', async () => {
    const tight = new Inbox({ consumer: 'stock', dataSource: narrow });
    await prepareStreams();
    const refused = { ...arrivalOf(), position: toPosition(2n ** 64n) };

    // the error comes before the server has told the state of the transaction, at times in a message of its own
    for (let round = 0; round < 50; round++) {
      await expect(tight.apply([refused], recordEffect)).rejects.toMatchObject({ code: '22003' });
      await tight.probe();
    }
  });

  it('that cannot be had reject with a code of their own', async () => {
    const impatient = await openDataSource(database.url, {
      max: 1,
      idleTimeoutMillis: 0,
      connectionTimeoutMillis: 3_000,
    });
    const tight = new Inbox({ consumer: 'stock', dataSource: impatient });
    const [claimed, gate] = [createGate(), createGate()];
    await prepareStreams();
    const holder = tight.apply([arrivalOf()], async () => {
      claimed.open();
      await gate.opened;
    });
    await claimed.opened;

    await expect(tight.probe()).rejects.toMatchObject({ name: 'InboxError', code: 'unavailable' });
    gate.open();
    await holder;
    await impatient.destroy();
  });

  it('that may only read do not pass the probe', async () => {
    await narrow.query('set default_transaction_read_only = on');

    const readOnly = new Inbox({ consumer: 'stock', dataSource: narrow });
    await expect(readOnly.probe()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

function runOf(manager: Transaction['manager']): (sql: string, parameters: unknown[]) => Promise<unknown> {
  return async (sql, parameters): Promise<unknown> => {
    const rows: unknown = await manager.query(sql, parameters);
    return rows;
  };
}

/** Resolves once a handler writes its row, which it does behind the claim, and before it is committed. */
async function effectIsOnItsWay(): Promise<void> {
  const holding = `select from pg_locks where relation = 'public.effect'::regclass and mode = 'RowExclusiveLock' and granted`;
  const look = async (): Promise<number> => (await observer.query(holding)).rowCount ?? 0;
  await seen(look, (found) => found > 0, 'anybody who wrote an effect');
}
