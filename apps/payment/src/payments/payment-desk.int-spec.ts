import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { migrateTables, openDatabase } from '@millrace/service';
import { PATIENT_LIMITS } from '@millrace/service/testing';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { type DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import { lockAccount, moveMoney, openAccount } from '../accounts/account-ledger.js';
import { paymentInvariants } from '../invariants.js';
import { paymentService } from '../payment.definition.js';
import { buryOrder, charge, type ChargeOutcome, refund } from './payment-desk.js';

const CENTS_MAX = Number.MAX_SAFE_INTEGER;

describe('the payment desk', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrateTables(paymentService, { url: database.url, poolMax: 2 });
    dataSource = await openDatabase(paymentService, { url: database.url, poolMax: 20, limits: PATIENT_LIMITS });
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const write = async <T>(work: (manager: EntityManager) => Promise<T>): Promise<T> =>
    await dataSource.transaction('READ COMMITTED', work);

  const open = async (balanceCents: number): Promise<string> => {
    const customerId = `customer-${uuidv7()}`;
    await write(async (manager) => await openAccount(manager, customerId, balanceCents));
    return customerId;
  };

  const chargeOrder = async (
    customerId: string,
    amountCents: number,
    orderId: string = uuidv7(),
  ): Promise<ChargeOutcome> =>
    await write(async (manager) => await charge(manager, { orderId, customerId, amountCents }));

  const deposit = async (customerId: string, amountCents: number): Promise<void> => {
    await write(async (manager) => {
      const account = await lockAccount(manager, customerId);
      if (account === undefined) {
        throw new Error('no account');
      }
      await moveMoney(manager, account, { kind: 'deposit', amountCents });
    });
  };

  const balanceOf = async (customerId: string): Promise<number> => {
    const account = await write(async (manager) => await lockAccount(manager, customerId));
    return account?.balanceCents ?? -1;
  };

  const brokenRules = async (manager: EntityManager): Promise<string[]> => {
    const broken: string[] = [];
    for (const { name, sql } of paymentInvariants.checks) {
      const [row] = await manager.query<{ holds: boolean }[]>(sql);
      broken.push(...(row?.holds === true ? [] : [`${name}: ${JSON.stringify(row)}`]));
    }
    return broken;
  };

  const brokenRulesNow = async (): Promise<string[]> => await dataSource.transaction('REPEATABLE READ', brokenRules);

  it('takes exactly what is there, and nothing more', async () => {
    const customerId = await open(1000);
    expect(await chargeOrder(customerId, 1000)).toMatchObject({ kind: 'captured', version: 1 });
    expect(await chargeOrder(customerId, 1)).toMatchObject({ kind: 'declined', reason: 'insufficient-funds' });
    expect(await chargeOrder(customerId, 0)).toMatchObject({ kind: 'captured' });
    expect(await balanceOf(customerId)).toBe(0);
  });

  it('charges an order once when it is asked many times at once', async () => {
    const customerId = await open(10_000);
    const orderId = uuidv7();
    const outcomes = await Promise.all(Array.from({ length: 12 }, () => chargeOrder(customerId, 100, orderId)));
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual([
      'captured',
      ...Array.from({ length: 11 }, () => 'repeated'),
    ]);
    expect(await balanceOf(customerId)).toBe(9900);
  });

  it('finds a second charge of an order for another customer or amount contradictory, and takes nothing', async () => {
    const [customerId, other] = [await open(10_000), await open(10_000)];
    const orderId = uuidv7();
    await chargeOrder(customerId, 100, orderId);
    const contradiction = { kind: 'contradiction', code: 'charged-otherwise' };
    expect(await chargeOrder(other, 100, orderId)).toEqual(contradiction);
    expect(await chargeOrder(customerId, 101, orderId)).toEqual(contradiction);
    expect([await balanceOf(customerId), await balanceOf(other)]).toEqual([9900, 10_000]);
  });

  it('refunds an order once when it is asked many times at once, beside the charge that comes again', async () => {
    const customerId = await open(10_000);
    const orderId = uuidv7();
    await chargeOrder(customerId, 100, orderId);
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, async (_, index) =>
        index % 3 === 0
          ? await chargeOrder(customerId, 100, orderId)
          : await write(async (manager) => await refund(manager, { orderId, amountCents: 100 })),
      ),
    );
    expect(outcomes.filter(({ kind }) => kind === 'refunded')).toHaveLength(1);
    expect(outcomes.filter(({ kind }) => kind === 'repeated')).toHaveLength(11);
    expect(await balanceOf(customerId)).toBe(10_000);
  });

  it('lets a cancellation and a charge that meet end either way, never half', async () => {
    const customerId = await open(10_000);
    let captured = 0;
    for (let round = 0; round < 20; round += 1) {
      const orderId = uuidv7();
      const [outcome] = await Promise.all([
        chargeOrder(customerId, 100, orderId),
        write(async (manager) => {
          await buryOrder(manager, orderId);
        }),
      ]);
      captured += outcome.kind === 'captured' ? 1 : 0;
      expect(outcome).toMatchObject(outcome.kind === 'captured' ? {} : { kind: 'declined', reason: 'order-cancelled' });
    }
    expect(await balanceOf(customerId)).toBe(10_000 - captured * 100);
  });

  it('takes a refund also when deposits have filled the account meanwhile', async () => {
    const customerId = await open(CENTS_MAX - 100);
    const orderId = uuidv7();
    await chargeOrder(customerId, CENTS_MAX - 100, orderId);
    await deposit(customerId, 100);
    await write(async (manager) => await refund(manager, { orderId, amountCents: CENTS_MAX - 100 }));
    expect(await balanceOf(customerId)).toBe(CENTS_MAX);
  });

  it('keeps the money exact at every read while charges, deposits and refunds meet on one account', async () => {
    const customerId = await open(600);
    const captured: string[] = [];
    const done = new AbortController();
    let reads = 0;
    const reading = (async (): Promise<void> => {
      while (!done.signal.aborted) {
        expect(await brokenRulesNow()).toEqual([]);
        reads += 1;
      }
    })();
    const readsOn = async (): Promise<void> => {
      const before = reads;
      const next = until(
        () => Promise.resolve(reads),
        (count) => count > before,
        'the next read',
      );
      await Promise.race([reading, next]);
    };
    const charges = inParallel(10, 32, async (time) => {
      if (time % 8 === 0) {
        await readsOn();
      }
      const orderId = uuidv7();
      const { kind } = await chargeOrder(customerId, time % 16 === 0 ? 7_000 : 70, orderId);
      if (kind === 'captured') {
        captured.push(orderId);
      }
      const other = captured.length > 4 ? captured.shift() : undefined;
      if (other !== undefined) {
        await write(async (manager) => await refund(manager, { orderId: other, amountCents: 70 }));
      }
    });
    const deposits = inParallel(3, 30, async () => {
      await deposit(customerId, 1);
    });
    await Promise.all([charges, deposits]).finally(() => {
      done.abort();
    });
    await reading;
    expect(reads).toBeGreaterThan(3);
    expect(await brokenRulesNow()).toEqual([]);
    const [statuses] = await dataSource.query<{ declined: number; refunded: number; captured: number }[]>(
      `select (count(*) filter (where status = 'declined'))::integer as declined,
              (count(*) filter (where status = 'refunded'))::integer as refunded,
              (count(*) filter (where status = 'captured'))::integer as captured
       from payment where customer_id = $1`,
      [customerId],
    );
    const { declined = 0, refunded = 0, captured: kept = 0 } = statuses ?? {};
    expect([declined > 0, refunded > 0, declined + refunded + kept]).toEqual([true, true, 320]);
    expect(await balanceOf(customerId)).toBe(600 + 90 - kept * 70);
  });

  it.each([
    ['a balance that no entry explains', `update account set balance_cents = balance_cents - 1 where customer_id = $1`],
    ['an entry that is missing', `delete from account_entry where customer_id = $1 and entry_number = 2`],
    [
      'an entry of another amount',
      `update account_entry set amount_cents = -9 where customer_id = $1 and kind = 'capture'`,
    ],
    ['a payment that moved no money', `update payment set status = 'refunded', version = 2 where customer_id = $1`],
  ])('has rules that find %s, and name it', async (_what, sql) => {
    const customerId = await open(1000);
    const orderId = uuidv7();
    await chargeOrder(customerId, 10, orderId);
    const rollback = new Error('rollback');
    let found = '';
    const change = dataSource.transaction(async (manager) => {
      await manager.query(`alter table account_entry disable trigger account_entry_append_only`);
      await manager.query(sql, [customerId]);
      found = (await brokenRules(manager)).join();
      throw rollback;
    });
    await expect(change).rejects.toBe(rollback);
    expect([customerId, orderId].filter((offender) => found.includes(offender))).not.toEqual([]);
  });

  it('never lets an entry be changed or removed', async () => {
    const customerId = await open(1);
    for (const change of ['update account_entry set amount_cents = 2', 'delete from account_entry']) {
      await expect(dataSource.query(`${change} where customer_id = $1`, [customerId])).rejects.toThrow(
        /only ever added/,
      );
    }
    await expect(dataSource.query('truncate account_entry')).rejects.toThrow(/only ever added/);
  });
});

async function inParallel(workers: number, times: number, work: (time: number) => Promise<void>): Promise<void> {
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (let time = 0; time < times; time += 1) {
        await work(time);
      }
    }),
  );
}
