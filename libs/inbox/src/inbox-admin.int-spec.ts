import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, freePort, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type DataSource } from 'typeorm';
import { type AdminTarget } from './admin-connection.js';
import { Inbox } from './inbox.js';
import { discardSetAside, listSetAside, retrySetAside, type SetAsideFilter, thawPartition } from './inbox-admin.js';
import { type Arrival, type HoldVerdict, type JudgeRetry } from './inbox-port.js';
import {
  arrivalOf,
  createGate,
  EFFECT_TABLE,
  INBOX_TABLES,
  openDataSource,
  progressOf,
  recordEffect,
  waitersFor,
} from './testing-doubles/inbox-scene.js';

const PARKED: HoldVerdict = { kind: 'parked', code: 'no_stock', reason: 'Count the stock.' };
const HELD: HoldVerdict = { kind: 'held', retryInMs: 60_000, code: 'handler_error', reason: 'Error' };
const ANN = { consumer: 'stock', actor: 'ann', reason: 'the stock was counted' };

let database: TestDatabase;
let observer: pg.Client;
let dataSource: DataSource;
let inbox: Inbox;
let target: AdminTarget;

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  await observer.query(EFFECT_TABLE);
  dataSource = await openDataSource(database.url);
  inbox = new Inbox({ consumer: 'stock', dataSource });
  target = { databaseUrl: database.url };
});

beforeEach(async () => {
  await observer.query(`truncate public.effect, millrace.audit, ${INBOX_TABLES} restart identity`);
});

afterAll(async () => {
  await dataSource.destroy();
  await observer.end();
  await database.drop();
});

const judgeNever: JudgeRetry = () => {
  throw new Error('no head should have failed');
};

/** A parked chain of three, and two single events: one parked for another reason, one held. */
async function setTheScene(): Promise<{ chain: Arrival[]; broken: Arrival; held: Arrival }> {
  const chain = [2, 3, 4].map((position) => arrivalOf({ key: 'a', position }));
  const broken = arrivalOf({ key: 'b', topic: 'payments', position: 5, partition: 3, type: 'payment.captured' });
  const held = arrivalOf({ key: 'c', position: 6 });
  for (const arrival of chain) {
    await inbox.hold(arrival, PARKED);
  }
  await inbox.hold(broken, { ...PARKED, code: 'malformed' });
  await inbox.hold(held, HELD);
  return { chain, broken, held };
}

async function auditRows(): Promise<unknown[]> {
  const columns = 'actor, action, target, reason, details';
  return (await observer.query<Record<string, unknown>>(`select ${columns} from millrace.audit order by id`)).rows;
}

async function effects(): Promise<string[]> {
  const { rows } = await observer.query<{ id: string }>('select id from public.effect order by n');
  return rows.map(({ id }) => id);
}

describe('listSetAside', () => {
  it('shows events chain by chain with everything but their contents', async () => {
    const { chain, broken, held } = await setTheScene();

    const events = await listSetAside(target, { consumer: 'stock' });

    expect(events.map(({ id }) => id)).toEqual([...chain, broken, held].map(({ id }) => id));
    expect(events[3]).toEqual({
      id: broken.id,
      topic: 'payments',
      partition: 3,
      offset: 5n,
      key: 'b',
      type: 'payment.captured',
      source: 'shop',
      position: 5n,
      status: 'parked',
      isHead: true,
      chainLength: 1,
      attempts: 0,
      code: 'malformed',
      reason: 'Count the stock.',
      since: expect.any(Date),
      nextTry: null,
    });
    expect(events.map(({ isHead, chainLength }) => [isHead, chainLength]).slice(0, 3)).toEqual([
      [true, 3],
      [false, 3],
      [false, 3],
    ]);
    expect(JSON.stringify(events.map((event) => ({ ...event, offset: 0, position: 0 })))).not.toMatch(/geheim/);
  });

  it.each<[SetAsideFilter, string[]]>([
    [{}, ['a', 'a', 'a', 'b', 'c']],
    [{ key: 'a' }, ['a', 'a', 'a']],
    [{ topic: 'payments' }, ['b']],
    [{ code: 'handler_error' }, ['c']],
    [{ status: 'parked' }, ['a', 'a', 'a', 'b']],
    [{ since: new Date(Date.now() + 3_600_000) }, []],
    [{ since: new Date(Date.now() - 3_600_000), key: 'b' }, ['b']],
    [{ attemptsMin: 1 }, []],
  ])('takes only what fits %j', async (filter, keys) => {
    await setTheScene();

    expect((await listSetAside(target, { consumer: 'stock', filter })).map(({ key }) => key)).toEqual(keys);
    expect(await listSetAside(target, { consumer: 'mail', filter })).toEqual([]);
  });

  it('takes one event by its id, and no more than asked for', async () => {
    const { chain } = await setTheScene();
    const [, second = arrivalOf()] = chain;

    expect(await listSetAside(target, { consumer: 'stock', filter: { id: second.id } })).toMatchObject([
      { id: second.id, isHead: false },
    ]);
    expect(await listSetAside(target, { consumer: 'stock', limit: 2 })).toHaveLength(2);
  });
});

describe('retrySetAside', () => {
  it('has parked chains tried again at once, in order, with its audit row', async () => {
    const { chain } = await setTheScene();

    expect(await retrySetAside(target, { ...ANN, filter: { key: 'a' } })).toBe(1);

    expect(await auditRows()).toEqual([
      {
        actor: 'ann',
        action: 'inbox.retry',
        target: 'stock',
        reason: ANN.reason,
        details: { filter: { key: 'a' }, chains: 1 },
      },
    ]);
    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 3 });
    expect(await effects()).toEqual(chain.map(({ id }) => id));
  });

  it('counts tries from one again', async () => {
    await setTheScene();
    await observer.query('update millrace.inbox_held_key set attempts = 20');
    await retrySetAside(target, { ...ANN, filter: { key: 'a' } });
    const attempts: number[] = [];

    await inbox.releaseDue(
      () => Promise.reject(new Error('again')),
      (_, attempt) => {
        attempts.push(attempt);
        return PARKED;
      },
    );

    expect(attempts).toEqual([1]);
  });

  it('only counts in a dry run', async () => {
    await setTheScene();

    expect(await retrySetAside(target, { ...ANN, filter: {}, isDryRun: true })).toBe(3);

    expect(await auditRows()).toEqual([]);
    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 0 });
  });

  it('says that nothing fits', async () => {
    await expect(retrySetAside(target, { ...ANN, filter: { key: 'x' } })).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('discardSetAside', () => {
  it('gives up the head of a chain: the others go on in order, and it does not come again', async () => {
    const { chain } = await setTheScene();
    const [head = arrivalOf(), ...others] = chain;

    const discarded = await discardSetAside(target, { ...ANN, filter: { key: 'a' } });

    expect(discarded).toEqual([
      { id: head.id, topic: 'orders', key: 'a', type: 'order.placed', partition: 0, offset: 2n },
    ]);
    expect(await auditRows()).toMatchObject([
      {
        actor: 'ann',
        action: 'inbox.discard',
        target: 'stock',
        reason: ANN.reason,
        details: { id: head.id, offset: '2' },
      },
    ]);
    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 2 });
    expect(await effects()).toEqual(others.map(({ id }) => id));
    expect(await inbox.apply([head], recordEffect)).toEqual(['duplicate']);
    expect(await inbox.apply([arrivalOf({ key: 'a', position: 9 })], recordEffect)).toEqual(['applied']);
  });

  it('gives up an event inside of a chain by its id, and leaves the rest as it was', async () => {
    const { chain } = await setTheScene();
    const [head = arrivalOf(), second = arrivalOf(), third = arrivalOf()] = chain;

    await discardSetAside(target, { ...ANN, filter: { id: second.id } });

    const left = await listSetAside(target, { consumer: 'stock', filter: { key: 'a' } });
    expect(left).toMatchObject([
      { id: head.id, status: 'parked' },
      { id: third.id, status: 'parked' },
    ]);
  });

  it('ends a chain with its last event', async () => {
    await setTheScene();

    expect(await discardSetAside(target, { ...ANN, filter: { code: 'malformed' } })).toHaveLength(1);

    expect(await inbox.countSetAside()).toMatchObject({ heldKeys: 2 });
    expect(await inbox.apply([arrivalOf({ topic: 'payments', key: 'b', position: 9 })], recordEffect)).toEqual([
      'applied',
    ]);
  });

  it('only tells in a dry run', async () => {
    await setTheScene();

    expect(await discardSetAside(target, { ...ANN, filter: { code: 'no_stock' }, isDryRun: true })).toHaveLength(1);

    expect([await auditRows(), await inbox.countSetAside()]).toEqual([[], { held: 1, parked: 4, heldKeys: 3 }]);
  });

  it.each([
    ['without a reason', { ...ANN, reason: ' ', filter: { key: 'a' } }, 'configuration_invalid'],
    ['without a word which events', { ...ANN, filter: { topic: 'orders' } }, 'configuration_invalid'],
    ['for what is no id', { ...ANN, filter: { id: "1'; drop" } }, 'configuration_invalid'],
    ['where nothing fits', { ...ANN, filter: { key: 'x' } }, 'not_found'],
  ])('refuses %s', async (_, request, code) => {
    await expect(discardSetAside(target, request)).rejects.toMatchObject({ name: 'InboxError', code });
  });

  it('waits for a handler that is at work on the chain, and takes the head that is there then', async () => {
    const events = [2, 3].map((position) => arrivalOf({ key: 'a', position }));
    for (const event of events) {
      await inbox.hold(event, { ...HELD, retryInMs: 0 });
    }
    const [started, gate] = [createGate(), createGate()];
    const failing = inbox.releaseDue(
      async (arrival, tx) => {
        if (arrival.id === events[1]?.id) {
          throw new Error('not this one');
        }
        started.open();
        await gate.opened;
        await recordEffect(arrival, tx);
      },
      () => PARKED,
    );
    await started.opened;

    const discarding = discardSetAside(target, { ...ANN, filter: { key: 'a' } });
    await waitersFor(observer);
    gate.open();

    const [discarded] = await Promise.all([discarding, failing]);
    expect(discarded.map(({ id }) => id)).toEqual([events[1]?.id]);
    expect(await effects()).toEqual([events[0]?.id]);
  });
});

describe('thawPartition', () => {
  it('lets the floors move again, though a member still tells of the hole', async () => {
    const hole = [3, 19] as const;
    await inbox.saveProgress([progressOf({ nextOffset: 21, floor: 20, hole })]);

    expect(await thawPartition(target, { ...ANN, topic: 'orders', partition: 0 })).toEqual({ from: 3n, to: 19n });

    expect(await auditRows()).toMatchObject([
      { action: 'inbox.thaw', details: { topic: 'orders', partition: 0, to: '19' } },
    ]);
    await inbox.saveProgress([progressOf({ nextOffset: 31, floor: 30, hole })]);
    expect(await inbox.openPartition('orders', 0)).toEqual(progressOf({ nextOffset: 31, floor: 30 }));
    await inbox.saveProgress([progressOf({ nextOffset: 51, floor: 50, hole: [40, 49] })]);
    expect(await inbox.openPartition('orders', 0)).toEqual(progressOf({ nextOffset: 51, floor: 30, hole: [40, 49] }));
  });

  it('says that the partition is not frozen', async () => {
    await expect(thawPartition(target, { ...ANN, topic: 'orders', partition: 0 })).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});

describe('an operator is told in a sentence', () => {
  it.each([
    ['mysql://u:geheim@localhost/x', 'configuration_invalid'],
    ['postgres://u:ge%heim@[::zz]/x', 'configuration_invalid'],
    ['postgres://u:geheim@no-such-host.invalid/x', 'unavailable'],
  ])('what is wrong with %j, without its password', async (databaseUrl, code) => {
    const error: unknown = await listSetAside({ databaseUrl }, { consumer: 'stock' }).catch(
      (reason: unknown) => reason,
    );

    expect(error).toMatchObject({ name: 'InboxError', code });
    expect(error instanceof Error ? error.message : '').not.toMatch(/ge%?heim/);
  });

  it('that no server listens', async () => {
    const databaseUrl = `postgres://u@127.0.0.1:${await freePort()}/x`;

    await expect(listSetAside({ databaseUrl }, { consumer: 'stock' })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('that the schema is missing', async () => {
    const empty = await createTestDatabase({ isMigrated: false });

    await expect(listSetAside({ databaseUrl: empty.url }, { consumer: 'stock' })).rejects.toMatchObject({
      name: 'SchemaError',
      code: 'schema_missing',
    });
    await empty.drop();
  });
});
