import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type { TransactionalAdapter, TransactionHost } from '@nestjs-cls/transactional';
import type { TransactionalAdapterTypeOrm, TypeOrmTransactionOptions } from '@nestjs-cls/transactional-adapter-typeorm';
import { type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { z } from 'zod';
import { Outbox } from './outbox.js';
import { OutboxModule } from './outbox.module.js';

// jest cannot link CommonJS packages that require ES modules which are still being linked: these come afterwards
const { ClsModule, ClsModuleOptions } = await import('nestjs-cls');
const transactional = await import('@nestjs-cls/transactional');
const typeOrm = await import('@nestjs-cls/transactional-adapter-typeorm');
const { ClsCurrentTransaction, withOutbox } = await import('./cls.js');
const { Propagation } = transactional;

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string(), note: z.string().optional() }),
});

let database: TestDatabase;
let observer: pg.Client;
let application: INestApplicationContext;
let dataSource: DataSource;
let outbox: Outbox;
let host: TransactionHost<TransactionalAdapterTypeOrm>;

class DatabaseModule {
  readonly name = 'database';
}

type Adapter = TransactionalAdapter<DataSource, EntityManager, TypeOrmTransactionOptions>;

async function boot(adapter: Adapter): Promise<void> {
  const databaseModule = {
    module: DatabaseModule,
    global: true,
    providers: [{ provide: DataSource, useValue: dataSource }],
    exports: [DataSource],
  };
  const plugins = [new transactional.ClsPluginTransactional({ adapter, imports: [databaseModule] })];
  const testing = await Test.createTestingModule({
    imports: [
      databaseModule,
      ClsModule.forRoot(Object.assign(new ClsModuleOptions(), { plugins })),
      OutboxModule.forRoot({ database: DataSource, events: [Placed], currentTransaction: new ClsCurrentTransaction() }),
    ],
  }).compile();
  application = await testing.init();
  outbox = application.get(Outbox);
  host = application.get(transactional.TransactionHost);
}

function newAdapter(): TransactionalAdapterTypeOrm {
  return new typeOrm.TransactionalAdapterTypeOrm({ dataSourceToken: DataSource });
}

beforeEach(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  dataSource = await new DataSource({ type: 'postgres', url: database.url }).initialize();
  await boot(withOutbox(newAdapter()));
});

afterEach(async () => {
  await application.close();
  await dataSource.destroy();
  await observer.end();
  await database.drop();
});

async function stored(): Promise<string[]> {
  const { rows } = await observer.query<{ key: string }>(
    'select aggregateid as key from millrace.outbox order by position',
  );
  return rows.map(({ key }) => key);
}

const publish = (orderId: string, note?: string): Promise<unknown> =>
  outbox.publish(Placed, note === undefined ? { orderId } : { orderId, note });

describe('the ambient form', () => {
  it('writes what was queued when the transaction commits, in the order of the calls, and returns the ids', async () => {
    const ids = await host.withTransaction(async () => {
      const first = await outbox.publish(Placed, [{ orderId: 'b' }, { orderId: 'a' }]);
      const second = await outbox.publish(Placed, { orderId: 'b' });
      const inside: unknown[] = await host.tx.query('select from millrace.outbox');
      expect(inside).toHaveLength(0);
      return [...first, ...second];
    });

    expect(await stored()).toEqual(['b', 'a', 'b']);
    expect((await observer.query('select id from millrace.outbox order by position')).rows).toEqual(ids);
  });

  it('writes nothing when the transaction rolls back', async () => {
    const failing = host.withTransaction(async () => {
      await publish('a');
      throw new Error('wanted');
    });

    await expect(failing).rejects.toThrow('wanted');
    expect(await stored()).toEqual([]);
  });

  it('publishes in commit order even where the event is built before the row is locked', async () => {
    await observer.query(`create table stock (id int primary key, version int); insert into stock values (1, 0)`);
    await observer.query('begin');
    await observer.query('update stock set version = 1');
    const queued = signal();
    const late = host.withTransaction(async () => {
      await publish('o', 'second');
      queued.resolve();
      await host.tx.query('update stock set version = 2');
    });
    await queued.promise;
    const explicit = await new Outbox({ events: [Placed] }).publish(observer, Placed, { orderId: 'o', note: 'first' });
    await observer.query('commit');
    await late;

    expect(explicit).toHaveLength(1);
    const { rows } = await observer.query(`select payload->>'note' as note from millrace.outbox order by position`);
    expect(rows).toEqual([{ note: 'first' }, { note: 'second' }]);
  });

  it('publishes versions in commit order even where the event, which takes no lock, is built before the row is locked', async () => {
    await observer.query(`create table stock (id int primary key, version int); insert into stock values (1, 0)`);
    await observer.query('begin');
    await observer.query('update stock set version = 1');
    const queued = signal();
    const late = host.withTransaction(async () => {
      await outbox.publish(Placed, { orderId: 'o' }, { aggregateVersion: 2 });
      queued.resolve();
      await host.tx.query('update stock set version = 2');
    });
    await queued.promise;
    await new Outbox({ events: [Placed] }).publish(observer, Placed, { orderId: 'o' }, { aggregateVersion: 1 });
    await observer.query('commit');
    await late;

    const { rows } = await observer.query(
      'select aggregateversion::integer as v from millrace.outbox order by position',
    );
    expect(rows).toEqual([{ v: 1 }, { v: 2 }]);
  });

  it('takes part in a joined transaction as one with it', async () => {
    await host.withTransaction(async () => {
      await publish('a');
      await host.withTransaction(Propagation.Required, async () => {
        await publish('b');
      });
      await publish('c');
    });

    expect(await stored()).toEqual(['a', 'b', 'c']);
  });

  it('drops the events of a nested transaction that rolled back, and keeps those of one that did not', async () => {
    await host.withTransaction(async () => {
      await publish('a');
      const nested = host.withTransaction(Propagation.Nested, async () => {
        await publish('lost');
        await host.withTransaction(Propagation.Nested, async () => {
          await publish('lost too');
        });
        throw new Error('wanted');
      });
      await expect(nested).rejects.toThrow('wanted');
      await host.withTransaction(Propagation.Nested, async () => {
        await publish('b');
      });
      await publish('c');
    });

    expect(await stored()).toEqual(['a', 'b', 'c']);
  });

  it('keeps an independent transaction inside of another one apart', async () => {
    const outer = host.withTransaction(async () => {
      await publish('outer');
      await host.withTransaction(Propagation.RequiresNew, async () => {
        await publish('own');
      });
      expect(await stored()).toEqual(['own']);
      await publish('outer');
      throw new Error('wanted');
    });

    await expect(outer).rejects.toThrow('wanted');
    expect(await stored()).toEqual(['own']);
  });

  it('writes in chunks beyond 1,000 events and keeps their order', async () => {
    const keys = Array.from({ length: 1_500 }, (_, n) => `k-${n}`);

    await host.withTransaction(async () => {
      for (const key of keys) {
        await publish(key);
      }
    });

    expect(await stored()).toEqual(keys);
  });

  it('includes what was not awaited', async () => {
    await host.withTransaction(async () => {
      void publish('a');
      void publish('b');
      await Promise.resolve();
    });

    expect(await stored()).toEqual(['a', 'b']);
  });

  it.each([
    ['awaited and caught', async (refused: Promise<unknown>) => refused.catch(() => undefined)],
    ['not awaited', () => Promise.resolve()],
  ])('fails the transaction for an event that was refused, also when it was %s', async (_, handle) => {
    await observer.query('create table written (id int)');
    const failing = host.withTransaction(async () => {
      await host.tx.query('insert into written values (1)');
      await publish('a');
      await handle(publish(''));
    });

    await expect(failing).rejects.toMatchObject({ code: 'key_invalid' });
    expect((await observer.query('select from written')).rowCount).toBe(0);
    expect(await stored()).toEqual([]);
  });

  it('takes the transaction as first argument too', async () => {
    await host.withTransaction(async () => {
      await publish('queued');
      await outbox.publish(host.tx, Placed, { orderId: 'explicit' });
    });

    expect(await stored()).toEqual(['explicit', 'queued']);
  });
});

describe('the ambient form refuses', () => {
  afterEach(async () => {
    expect(await stored()).toEqual([]);
  });

  it('to publish outside of a transaction', async () => {
    const refusal = { code: 'no_transaction', message: expect.stringMatching(/@Transactional\(\)/) };
    await expect(publish('a')).rejects.toMatchObject(refusal);
    await host.withTransaction(Propagation.NotSupported, async () => {
      await expect(publish('a')).rejects.toMatchObject(refusal);
    });
    await host.withTransaction(async () => {
      await host.withTransaction(Propagation.NotSupported, async () => {
        await expect(publish('a')).rejects.toMatchObject(refusal);
      });
    });
  });

  it('to publish into a transaction that has ended', async () => {
    const ended = signal();
    let straggler: Promise<unknown> = Promise.resolve();
    await host.withTransaction(async () => {
      await host.withTransaction(() => {
        straggler = ended.promise.then(() => publish('late'));
        return Promise.resolve();
      });
    });
    ended.resolve();

    await expect(straggler).rejects.toMatchObject({ code: 'transaction_finished' });
  });

  it('to queue in a savepoint whose end it cannot see', async () => {
    const failing = host.withTransaction(async () => {
      await host.tx.transaction(async () => {
        await publish('a');
      });
    });

    await expect(failing).rejects.toMatchObject({
      code: 'nested_transaction',
      message: expect.stringMatching(/Propagation\.Nested/),
    });
  });

  it('a connection that no plugin serves', async () => {
    const other = new Outbox({ events: [Placed], currentTransaction: new ClsCurrentTransaction('other') });

    await expect(host.withTransaction(() => other.publish(Placed, { orderId: 'a' }))).rejects.toMatchObject({
      code: 'ambient_not_configured',
      message: expect.stringMatching(/^No ClsPluginTransactional is registered under this connection name/),
    });
  });

  it('an adapter that does not know the outbox', async () => {
    await application.close();
    await boot(newAdapter());

    await expect(host.withTransaction(() => publish('a'))).rejects.toMatchObject({
      code: 'ambient_not_configured',
      message: expect.stringMatching(/adapter: withOutbox\(/),
    });
  });
});

function signal(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
