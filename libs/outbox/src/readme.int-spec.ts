/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- as a reader of the README writes it */
import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Outbox } from './outbox.js';
import { OutboxModule } from './outbox.module.js';

// jest cannot link CommonJS packages that require ES modules which are still being linked: these come afterwards
const { ClsModule } = await import('nestjs-cls');
const { ClsPluginTransactional, Transactional, TransactionHost } = await import('@nestjs-cls/transactional');
const { TransactionalAdapterTypeOrm } = await import('@nestjs-cls/transactional-adapter-typeorm');
const { ClsCurrentTransaction, withOutbox } = await import('./cls.js');

const OrderPlaced = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string() }),
});

class Orders {
  async insert(orderId: string): Promise<void> {
    const { tx } = TransactionHost.getInstance<InstanceType<typeof TransactionalAdapterTypeOrm>>();
    await tx.query('insert into orders (id) values ($1)', [orderId]);
  }
}

class Checkout {
  constructor(
    private readonly orders: Orders,
    private readonly outbox: Outbox,
  ) {}

  @Transactional()
  async place(orderId: string): Promise<void> {
    await this.orders.insert(orderId);
    await this.outbox.publish(OrderPlaced, { orderId });
  }
}

class DatabaseModule {
  readonly name = 'database';
}

describe('the README', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let application: TestingModule;
  let blocks: string[];

  beforeAll(async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => unindented(code ?? ''));
    database = await createTestDatabase();
    dataSource = await new DataSource({ type: 'postgres', url: database.url }).initialize();
    await dataSource.query('create table orders (id text primary key)');
    const adapter = withOutbox(new TransactionalAdapterTypeOrm({ dataSourceToken: DataSource }));
    const currentTransaction = new ClsCurrentTransaction();
    const imports = [
      ClsModule.forRoot({ plugins: [new ClsPluginTransactional({ adapter })] }),
      OutboxModule.forRoot({ database: DataSource, events: [OrderPlaced], currentTransaction }),
    ];
    const provided = { provide: DataSource, useValue: dataSource };
    const databaseModule = { module: DatabaseModule, global: true, providers: [provided], exports: [DataSource] };
    application = await Test.createTestingModule({ imports: [databaseModule, ...imports] }).compile();
    await application.init();
  });

  afterAll(async () => {
    await application.close();
    await dataSource.destroy();
    await database.drop();
  });

  const written = async (): Promise<unknown> =>
    await dataSource.query(`
      select o.id, e.type from orders o join millrace.outbox e on e.aggregateid = o.id order by e.position`);

  it('shows code that runs: the ambient form', async () => {
    const outbox = application.get(Outbox);
    await new Checkout(new Orders(), outbox).place('o-1');

    expect(await written()).toEqual([{ id: 'o-1', type: 'order.placed' }]);
    await expect(new Checkout(new Orders(), outbox).place('o-1')).rejects.toMatchObject({ code: '23505' });
    expect(await written()).toHaveLength(1);
  });

  it('shows code that runs: the explicit form', async () => {
    const outbox = application.get(Outbox);
    const orderId = 'o-2';
    await dataSource.transaction(async (manager) => {
      await manager.query('insert into orders (id) values ($1)', [orderId]);
      await outbox.publish(manager, OrderPlaced, { orderId }); // [{ id, position }]
    });

    expect(await written()).toHaveLength(2);
  });

  it('shows exactly the code of this test, six lines to register and one to publish', async () => {
    const source = unindented(await readFile(new URL(import.meta.url), 'utf8'));
    const [register, publish, explicit] = blocks;

    expect(blocks).toHaveLength(3);
    for (const block of blocks) {
      expect(source).toContain(block);
    }
    expect(register?.trim().split('\n').length).toBeLessThanOrEqual(6);
    expect(publish?.match(/outbox/g)).toHaveLength(2);
    expect(publish?.match(/\.publish\(/g)).toHaveLength(1);
    expect(explicit?.match(/outbox/g)).toHaveLength(1);
  });
});

function unindented(code: string): string {
  return code.replace(/^ +/gm, '');
}
