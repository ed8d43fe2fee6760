import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { Outbox, OutboxModule } from '@millrace/outbox';
import {
  createTestDatabase,
  createTopic,
  deleteTopic,
  testKafkaBrokers,
  type TestDatabase,
  uniqueName,
} from '@millrace/testing';
import { createKafkaSink, createKafkaSubscription } from '@millrace/transport';
import { type DynamicModule, Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Registry } from 'prom-client';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { z } from 'zod';
import { causedBy, HandleEvent, InboxConsumer, InboxModule, type ReceivedEvent, type Transaction } from './index.js';
import { registerInboxMetrics } from './prometheus.js';
import { record } from './testing-doubles/record.js';
import { idleSubscription, TestInbox } from './testing.js';

const aggregate = uniqueName('order');
const OrderPlaced = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate,
  key: ({ orderId }) => orderId,
  schema: z.object({ orderId: z.string() }),
});
const StockReserved = defineEvent({
  type: 'stock.reserved',
  schemaVersion: 1,
  aggregate: 'stock',
  key: ({ orderId }) => orderId,
  schema: z.object({ orderId: z.string() }),
});

@Entity()
class Reservation {
  @PrimaryColumn('text')
  orderId!: string;

  @Column('boolean', { default: false })
  isReleased!: boolean;
}

@Injectable()
class StockHandlers {
  constructor(private readonly outbox: Outbox) {}

  @HandleEvent(OrderPlaced)
  async reserve(event: ReceivedEvent<typeof OrderPlaced>, tx: Transaction): Promise<void> {
    const { orderId } = event.payload;
    await tx.manager.insert(Reservation, { orderId });
    await this.outbox.publish(tx, StockReserved, { orderId }, causedBy(event));
  }
}

class DatabaseModule {
  readonly name = 'database';
}

describe('the README', () => {
  const brokers = testKafkaBrokers();
  const topic = `outbox.event.${aggregate}`;
  /** The same Kafka may have a group by the name that the README shows. */
  const group = uniqueName('inventory');
  let database: TestDatabase;
  let dataSource: DataSource;
  let testingModule: TestingModule;

  beforeEach(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource({
      type: 'postgres',
      url: database.url,
      entities: [Reservation],
      extra: { statement_timeout: 5_000, lock_timeout: 2_000, idle_in_transaction_session_timeout: 10_000 },
    }).initialize();
    await dataSource.query(
      'create table reservation ("orderId" text primary key, "isReleased" boolean not null default false)',
    );
  });

  afterEach(async () => {
    await testingModule.close();
    await dataSource.destroy();
    await database.drop();
  });

  async function start(inboxModule: DynamicModule): Promise<void> {
    const provided = { provide: DataSource, useValue: dataSource };
    const databaseModule = { module: DatabaseModule, global: true, providers: [provided], exports: [DataSource] };
    const outboxModule = OutboxModule.forRoot({ database: DataSource, events: [StockReserved] });
    testingModule = await Test.createTestingModule({
      imports: [databaseModule, outboxModule, inboxModule],
      providers: [StockHandlers],
    }).compile();
    await testingModule.init();
  }

  async function publish(orderId: string): Promise<void> {
    const sink = createKafkaSink({ client: 'platformatic', connection: { brokers }, topics: { create: false } });
    await sink.start();
    const [lane] = (await sink.openTopic(topic)).lanes;
    const { key, value, headers } = record({ key: orderId, value: { orderId } });
    if (lane === undefined || key === null || value === null) {
      throw new Error('the record has a key and a value, and the topic a partition');
    }
    await sink.send(lane, [{ key, value, headers: [...headers].map(([name, bytes]) => [Buffer.from(name), bytes]) }]);
    await sink.stop();
  }

  it('shows code that runs: the module, the handler and the metrics', async () => {
    await createTopic({ brokers, topic, partitions: 1 });
    await start(
      InboxModule.forRoot({
        consumer: group,
        database: DataSource,
        subscribe: ({ consumer, topics }) =>
          createKafkaSubscription({ client: 'platformatic', connection: { brokers }, groupId: consumer, topics }),
      }),
    );
    const registry = new Registry();
    const consumer = testingModule.get(InboxConsumer);
    registerInboxMetrics(registry, consumer);
    const applied = new Promise<void>((resolve) => {
      consumer.observe({
        recordSettled: () => {
          resolve();
        },
      });
    });
    await publish('order-1');
    await applied;

    expect(await dataSource.getRepository(Reservation).find()).toEqual([{ orderId: 'order-1', isReleased: false }]);
    expect(await registry.metrics()).toContain('type="order.placed",outcome="applied"} 1');
    await testingModule.close();
    await deleteTopic(brokers, topic);
  });

  it('shows code that runs: the test kit', async () => {
    await start(InboxModule.forRoot({ consumer: 'inventory', database: DataSource, subscribe: idleSubscription }));
    const order = { orderId: 'order-2' };

    const inbox = await TestInbox.create({ dataSource, handlers: testingModule });

    const { outcomes } = await inbox.deliver(OrderPlaced, order).twice().crashAfterHandler();

    expect(outcomes).toEqual(['crashed', 'applied', 'duplicate']);
    expect(await inbox.published(StockReserved)).toMatchObject([{ payload: { orderId: order.orderId } }]);
  });

  it('shows exactly the code of this test', async () => {
    await start(InboxModule.forRoot({ consumer: 'inventory', database: DataSource, subscribe: idleSubscription }));
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => comparable(code ?? ''));
    const spec = await readFile(new URL(import.meta.url), 'utf8');
    const source = comparable(spec.replace('consumer: group', `consumer: 'inventory'`));

    expect(blocks).toHaveLength(3);
    for (const block of blocks) {
      expect(source).toContain(block);
    }
  });
});

/** As an argument the statement has a comma behind it. */
function comparable(code: string): string {
  return code.replace(/^ +/gm, '').replace(/[,;]\n/g, '\n');
}
