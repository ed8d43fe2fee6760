import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type DataSource } from 'typeorm';
import { Inbox } from './inbox.js';
import { InboxError } from './inbox.errors.js';
import { type Outcome, type PartitionProgress } from './inbox-port.js';
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

const FLOOR_NUMBERS = 'millrace.inbox_floor_floor_id_seq';

let database: TestDatabase;
let observer: pg.Client;
let dataSource: DataSource;
let zombieSource: DataSource;

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  await observer.query(EFFECT_TABLE);
  dataSource = await openDataSource(database.url);
  zombieSource = await openDataSource(database.url);
});

beforeEach(emptyTables);

afterAll(async () => {
  await dataSource.destroy();
  await zombieSource.destroy();
  await observer.end();
  await database.drop();
});

/** A member of the consumer that has just started. */
function member(source: DataSource = dataSource): Inbox {
  return new Inbox({ consumer: 'stock', dataSource: source });
}

/** Saves progress as often as it takes to seal and prune, were it not for the 10 s that lie between. */
async function save(progress: PartitionProgress): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    await member().saveProgress([progress]);
    await member().prune();
  }
}

async function tenSecondsPass(): Promise<void> {
  await observer.query(`update millrace.inbox_floor set candidate_since = candidate_since - interval '10 seconds'`);
}

/** Saves progress until all that it lets go is gone. */
async function saveAndPrune(progress: PartitionProgress): Promise<void> {
  await save(progress);
  await tenSecondsPass();
  await save(progress);
}

/** Once more, on empty tables, when the machine stood still for so long that the claim was given up. */
async function unlessStale<Result>(scene: () => Promise<Result>): Promise<Result> {
  for (let triesLeft = 5; ; triesLeft -= 1) {
    try {
      return await scene();
    } catch (error) {
      if (triesLeft === 1 || !(error instanceof InboxError) || error.code !== 'claim_stale') {
        throw error;
      }
      await emptyTables();
    }
  }
}

async function emptyTables(): Promise<void> {
  await observer.query(`truncate public.effect, ${INBOX_TABLES} restart identity`);
}

async function claimedPositions(): Promise<number[]> {
  const { rows } = await observer.query<{ position: string }>('select position from millrace.inbox order by position');
  return rows.map(({ position }) => Number(position));
}

async function effects(): Promise<string[]> {
  const { rows } = await observer.query<{ key: string }>('select key from public.effect order by n');
  return rows.map(({ key }) => key);
}

describe('claims', () => {
  it('of one partition outlive the floor of another, so a redelivery after the prune is no new event', async () => {
    await observer.query(`create table if not exists public.account (balance integer not null)`);
    await observer.query(`truncate public.account; insert into public.account values (1)`);
    const deposit = arrivalOf({ partition: 0, position: 10 });
    const pay = async (): Promise<void> => {
      await member().apply([deposit], async (_, tx) => {
        await tx.query('update public.account set balance = balance + 100');
      });
    };
    await pay();

    await member().apply([arrivalOf({ partition: 1, position: 51 })], recordEffect);
    await saveAndPrune(progressOf({ partition: 1, nextOffset: 52, floor: 50 }));
    await pay();

    expect((await observer.query('select balance from public.account')).rows).toEqual([{ balance: 101 }]);
  });

  it('of one source outlive the floor of another', async () => {
    const event = arrivalOf({ source: 'other', position: 10 });
    await member().apply([event], recordEffect);

    await saveAndPrune(progressOf({ nextOffset: 52, floor: 50 }));

    expect(await member().apply([event], recordEffect)).toEqual(['duplicate']);
  });

  it('at or below the floor are removed, those above it stay', async () => {
    await member().apply(
      [1, 2, 3, 4].map((position) => arrivalOf({ position })),
      recordEffect,
    );

    await saveAndPrune(progressOf({ nextOffset: 4, floor: 3 }));

    expect(await claimedPositions()).toEqual([4]);
  });

  it('are not removed before their floor was visible for ten seconds', async () => {
    await member().apply([arrivalOf()], recordEffect);
    await save(progressOf({ nextOffset: 2, floor: 1 }));
    expect(await claimedPositions()).toEqual([1]);

    await tenSecondsPass();
    await save(progressOf({ nextOffset: 2, floor: 1 }));

    expect(await claimedPositions()).toEqual([]);
  });

  it('are removed only up to the floor that was visible for ten seconds, not to a newer one', async () => {
    await member().apply(
      [1, 2].map((position) => arrivalOf({ position })),
      recordEffect,
    );
    await save(progressOf({ nextOffset: 2, floor: 1 }));
    await tenSecondsPass();

    await save(progressOf({ nextOffset: 3, floor: 2 }));

    expect(await claimedPositions()).toEqual([2]);
  });

  it('of events that are set aside stay while they are, and for 30 days after', async () => {
    const event = arrivalOf();
    await member().hold(event, { kind: 'held', retryInMs: 0, code: 'c', reason: 'r' });
    await saveAndPrune(progressOf({ nextOffset: 2, floor: 1 }));
    const replay = arrivalOf({ id: event.id, isBypassingFloor: true });
    expect(await member().apply([replay], recordEffect)).toEqual(['duplicate']);

    await member().releaseDue(recordEffect, () => ({ kind: 'parked', code: 'c', reason: 'r' }));
    await saveAndPrune(progressOf({ nextOffset: 3, floor: 2 }));
    expect(await member().apply([replay], recordEffect)).toEqual(['duplicate']);

    await observer.query(`update millrace.inbox set kept_until = kept_until - interval '30 days'`);
    await member().prune();
    expect((await observer.query('select from millrace.inbox')).rowCount).toBe(0);
  });

  it('are removed by the ten thousands', async () => {
    await member().apply([arrivalOf()], recordEffect);
    await observer.query(`insert into millrace.inbox (consumer, id, floor_id, position)
      select 'stock', gen_random_uuid(), 1, n from generate_series(2, 12001) n`);

    await saveAndPrune(progressOf({ nextOffset: 13_000, floor: 12_000 }));

    expect(await claimedPositions()).toEqual([12_001]);
  });
});

describe('a member that was frozen', () => {
  it('and comes back after the claim of its event was removed, finds a duplicate by the floor in the database', async () => {
    const event = arrivalOf({ position: 5 });
    await member().apply([event], recordEffect);
    await saveAndPrune(progressOf({ nextOffset: 6, floor: 5 }));
    expect(await claimedPositions()).toEqual([]);

    expect(await member(zombieSource).apply([event], recordEffect)).toEqual(['duplicate']);
    expect(await member(zombieSource).hold(event, { kind: 'parked', code: 'c', reason: 'r' })).toBe('duplicate');
    expect(await effects()).toEqual(['k']);
  });

  it('finds the claim while its own claim waits behind another, however far the floor has come', async () => {
    const first = arrivalOf({ id: '00000000-0000-7000-8000-000000000001', position: 1 });
    const second = arrivalOf({ id: '00000000-0000-7000-8000-000000000002', position: 2, key: 'second' });
    const meet = async (): Promise<readonly Outcome[]> => {
      await member().apply([second], recordEffect);
      const [claimed, gate] = [createGate(), createGate()];
      const holder = member().apply([first], async () => {
        claimed.open();
        await gate.opened;
        throw new Error('rolled back');
      });
      await claimed.opened;

      const [zombie, ...others] = await Promise.allSettled([
        member(zombieSource).apply([first, second], recordEffect),
        expect(holder).rejects.toThrow('rolled back'),
        waitersFor(observer)
          .then(() => save(progressOf({ nextOffset: 3, floor: 2 })))
          .finally(() => {
            gate.open();
          }),
      ]);
      expect(others.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
      if (zombie.status === 'rejected') {
        throw zombie.reason;
      }
      return zombie.value;
    };

    expect(await unlessStale(meet)).toEqual(['applied', 'duplicate']);
    expect(await effects()).toEqual(['second', 'k']);
  });

  it('gives up a claim that took so long that the rows may be gone', async () => {
    await member().apply([arrivalOf({ position: 9 })], recordEffect);
    const event = arrivalOf();
    const [claimed, gate] = [createGate(), createGate()];
    const holder = member().apply([event], async () => {
      claimed.open();
      await gate.opened;
      throw new Error('rolled back');
    });
    await claimed.opened;

    const zombie = member(zombieSource).apply([event], recordEffect);
    await waitersFor(observer);
    await observer.query('select pg_sleep(5.2)');
    gate.open();

    await expect(zombie).rejects.toMatchObject({ code: 'claim_stale' });
    await expect(holder).rejects.toThrow('rolled back');
    expect(await member(zombieSource).apply([event], recordEffect)).toEqual(['applied']);
  });
});

describe('progress', () => {
  it('is nothing before the first', async () => {
    expect(await member().openPartition('orders', 0)).toEqual(progressOf({ nextOffset: null }));
    await member().saveProgress([progressOf({ nextOffset: null }), progressOf({ partition: 1, nextOffset: null })]);
    expect(await member().openPartition('orders', 0)).toEqual(progressOf({ nextOffset: null }));
  });

  it('is read as it was saved, by consumer and partition', async () => {
    const saved = [progressOf({ nextOffset: 7, floor: 5 }), progressOf({ partition: 1, nextOffset: 8, floor: 6 })];
    await member().saveProgress(saved);

    expect(await member().openPartition('orders', 0)).toEqual(saved[0]);
    expect(await member().openPartition('orders', 1)).toEqual(saved[1]);
    const other = new Inbox({ consumer: 'mail', dataSource });
    expect(await other.openPartition('orders', 0)).toEqual(progressOf({ nextOffset: null }));
  });

  it('never moves back, whoever saves it', async () => {
    await member().saveProgress([progressOf({ nextOffset: 100, floor: 90 })]);

    await member(zombieSource).saveProgress([progressOf({ nextOffset: 50, floor: 40 })]);

    expect(await member().openPartition('orders', 0)).toEqual(progressOf({ nextOffset: 100, floor: 90 }));
  });

  it('that is saved again and again uses up no numbers of streams', async () => {
    for (let nextOffset = 1; nextOffset <= 20; nextOffset++) {
      await member().saveProgress([
        progressOf({ nextOffset, floor: nextOffset }),
        progressOf({ partition: 1, nextOffset, floor: nextOffset }),
      ]);
    }

    const { rows } = await observer.query(`select floor_id::integer from millrace.inbox_floor order by floor_id`);
    expect(rows).toEqual([{ floor_id: 1 }, { floor_id: 2 }]);
    expect((await observer.query(`select last_value::integer from ${FLOOR_NUMBERS}`)).rows).toEqual([
      { last_value: 2 },
    ]);
  });

  it('of a stream whose number is above 32 bits is saved, and its claims are removed', async () => {
    await observer.query(`select setval('${FLOOR_NUMBERS}', 2147483647)`);

    expect(await member().apply([arrivalOf({ position: 5 })], recordEffect)).toEqual(['applied']);
    await saveAndPrune(progressOf({ nextOffset: 6, floor: 5 }));

    expect(await claimedPositions()).toEqual([]);
    expect(await member().openPartition('orders', 0)).toEqual(progressOf({ nextOffset: 6, floor: 5 }));
  });

  it('leaves a floor alone that has not moved', async () => {
    const versions = async (): Promise<unknown[]> =>
      (await observer.query<{ xmin: string }>('select xmin from millrace.inbox_floor')).rows;
    await member().saveProgress([progressOf({ nextOffset: 3, floor: 2 })]);
    await observer.query('update millrace.inbox_floor set candidate = floor, sealed_floor = floor');
    const before = await versions();

    await member().saveProgress([progressOf({ nextOffset: 4, floor: 2 })]);

    expect(await versions()).toEqual(before);
  });

  it('of many partitions is saved by two members at once without a deadlock', async () => {
    const partitions = Array.from({ length: 12 }, (_, partition) => partition);
    for (let round = 1; round <= 20; round++) {
      const progress = partitions.map((partition) => progressOf({ partition, nextOffset: round, floor: round }));
      await Promise.all([member().saveProgress(progress), member(zombieSource).saveProgress([...progress].reverse())]);
    }
    expect(await member().openPartition('orders', 11)).toEqual(
      progressOf({ partition: 11, nextOffset: 20, floor: 20 }),
    );
  });
});

describe('a hole', () => {
  beforeEach(async () => {
    await member().apply(
      [1, 2].map((position) => arrivalOf({ position })),
      recordEffect,
    );
    await member().saveProgress([progressOf({ nextOffset: 3, floor: 2 })]);
    await member().saveProgress([progressOf({ nextOffset: 21, floor: 20, hole: [3, 19] })]);
  });

  it('freezes the floors of its partition and no other, while offsets go on', async () => {
    await member().saveProgress([
      progressOf({ nextOffset: 30, floor: 29 }),
      progressOf({ partition: 1, nextOffset: 30, floor: 29 }),
    ]);

    expect(await member().openPartition('orders', 0)).toEqual(progressOf({ nextOffset: 30, floor: 2, hole: [3, 19] }));
    expect(await member().openPartition('orders', 1)).toEqual(progressOf({ partition: 1, nextOffset: 30, floor: 29 }));
  });

  it('keeps the claims above it, so that what fills it later is applied and the rest is a duplicate', async () => {
    const above = arrivalOf({ position: 20, key: 'above' });
    await member().apply([above], recordEffect);
    await saveAndPrune(progressOf({ nextOffset: 21, floor: 20, hole: [3, 19] }));

    expect(await claimedPositions()).toEqual([20]);
    const fill = [arrivalOf({ position: 10, key: 'fill' }), arrivalOf({ id: above.id, position: 20 })];
    expect(await member().apply(fill, recordEffect)).toEqual(['applied', 'duplicate']);
  });

  it('grows when another one is found', async () => {
    await member().saveProgress([progressOf({ nextOffset: 60, floor: 59, hole: [40, 49] })]);

    expect(await member().openPartition('orders', 0)).toMatchObject({ hole: { from: 3n, to: 49n } });
  });
});
