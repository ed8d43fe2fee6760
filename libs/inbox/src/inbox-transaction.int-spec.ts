import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type DataSource } from 'typeorm';
import { Inbox } from './inbox.js';
import { InboxError } from './inbox.errors.js';
import { arrivalOf, EFFECT_TABLE, INBOX_TABLES, openDataSource, recordEffect } from './testing-doubles/inbox-scene.js';
import { type Transaction } from './transaction.js';

let database: TestDatabase;
let observer: pg.Client;
let dataSource: DataSource;
let inbox: Inbox;

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  await observer.query(EFFECT_TABLE);
  dataSource = await openDataSource(database.url);
  inbox = new Inbox({ consumer: 'stock', dataSource });
});

beforeEach(async () => {
  await observer.query(`truncate public.effect, ${INBOX_TABLES} restart identity`);
  // the stream is known from here on
  await inbox.apply([arrivalOf({ key: 'first' })], () => Promise.resolve());
});

afterAll(async () => {
  await dataSource.destroy();
  await observer.end();
  await database.drop();
});

type Insert = (tx: Transaction, id: string) => Promise<unknown>;
const INSERT = `insert into public.effect (id, key) values ($1, 'late')`;
const WAYS: readonly [string, Insert][] = [
  ['tx.query', async (tx, id) => await tx.query(INSERT, [id])],
  ['tx.manager', async (tx, id) => await tx.manager.query<unknown[]>(INSERT, [id])],
  [
    'a transaction of tx.manager',
    async (tx, id) => {
      await tx.manager.transaction(async (inner) => await inner.query<unknown[]>(INSERT, [id]));
    },
  ],
];
/** Where the handler's branch is when the transaction ends: so many promises, then so many turns of the event loop. */
const MOMENTS = Array.from({ length: 30 }, (_, hops) => ({ hops, turns: Math.max(0, hops - 24) }));

async function pass({ hops, turns }: { hops: number; turns: number }): Promise<void> {
  for (let hop = 0; hop < hops; hop++) {
    await Promise.resolve();
  }
  for (let turn = 0; turn < turns; turn++) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

describe('what a handler left behind', () => {
  it.each(WAYS)('and sends by %s while its transaction is rolled back has no effect', async (_, insert) => {
    for (const moment of MOMENTS) {
      const branches: Promise<unknown>[] = [];
      const failing = inbox.apply([arrivalOf({ position: 2 })], (arrival, tx) => {
        branches.push(pass(moment).then(async () => await insert(tx, arrival.id)));
        return Promise.reject(new Error('the other branch failed'));
      });

      await expect(failing).rejects.toThrow('the other branch failed');
      await Promise.allSettled(branches);
    }

    expect((await observer.query('select from public.effect')).rowCount).toBe(0);
  });

  it.each(WAYS)('and sends by %s while its transaction commits is part of it or fails', async (_, insert) => {
    for (const moment of MOMENTS) {
      const branches: Promise<unknown>[] = [];
      const done = inbox.apply([arrivalOf({ position: 2 })], (arrival, tx) => {
        branches.push(pass(moment).then(async () => await insert(tx, arrival.id)));
        return Promise.resolve();
      });

      await Promise.allSettled([done]);
      await Promise.allSettled(branches);
    }

    const { rows } = await observer.query(`select from public.effect e
      where not exists (select from millrace.inbox i where i.id = e.id and i.xmin = e.xmin)`);
    expect(rows).toEqual([]);
  });

  it('goes no further when it was given up in the middle of a statement', async () => {
    const event = arrivalOf({ position: 2 });
    const branches: Promise<unknown>[] = [];
    const slow = inbox.apply([event], async (arrival, tx) => {
      await recordEffect(arrival, tx);
      const work = async (): Promise<void> => {
        await tx.manager.query('select pg_sleep(0.2)');
        await tx.manager.query(INSERT, [arrival.id]);
      };
      branches.push(work());
      throw new InboxError('handler_timeout', 'It took too long.');
    });

    await expect(slow).rejects.toMatchObject({ code: 'handler_timeout' });
    expect(await Promise.allSettled(branches)).toMatchObject([{ status: 'rejected' }]);
    expect((await observer.query('select from public.effect')).rowCount).toBe(0);
    expect(await inbox.apply([event], recordEffect)).toEqual(['applied']);
  });
});
