import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { Outbox, OutboxModule } from '@millrace/outbox';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { type DynamicModule, type InjectionToken, Injectable, type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import {
  HandleEvent,
  InboxConsumer,
  InboxModule,
  type InboxModuleOptions,
  type ReceivedEvent,
  type RecordSettled,
  type SubscriptionRequest,
  type Transaction,
} from './index.js';
import { FakeSubscription } from './testing-doubles/fake-subscription.js';
import { record } from './testing-doubles/record.js';

const schema = z.object({ name: z.string() });
const Placed = defineEvent({ type: 'order.placed', schemaVersion: 1, aggregate: 'order', key: () => 'k', schema });
const Shipped = defineEvent({ type: 'order.shipped', schemaVersion: 1, aggregate: 'order', key: () => 'k', schema });
const Paid = defineEvent({ type: 'payment.captured', schemaVersion: 1, aggregate: 'payment', key: () => 'k', schema });

const TOPIC = 'outbox.event.order';
const LIMITS = { statement_timeout: 50_000, lock_timeout: 45_000, idle_in_transaction_session_timeout: 55_000 };

@Injectable()
class Shipping {
  began: string[] = [];
  /** Runs in the handler, after its insert. */
  meanwhile: (event: ReceivedEvent<typeof Placed>, tx: Transaction) => Promise<void> = () => Promise.resolve();

  constructor(private readonly outbox: Outbox) {}

  @HandleEvent(Placed)
  async ship(event: ReceivedEvent<typeof Placed>, tx: Transaction): Promise<void> {
    this.began.push(event.payload.name);
    await tx.manager.query('insert into shipped (name) values ($1)', [event.payload.name]);
    await this.meanwhile(event, tx);
    await this.outbox.publish(tx, Shipped, { name: event.payload.name });
  }

  @HandleEvent(Paid)
  async note(): Promise<void> {
    await Promise.resolve();
  }
}

@Injectable()
class Rival {
  @HandleEvent(Placed)
  async grab(): Promise<void> {
    await Promise.resolve();
  }
}

class DatabaseModule {
  readonly name = 'database';
}

describe('InboxModule', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let observer: pg.Client;
  let subscription: FakeSubscription;
  let requests: SubscriptionRequest[];
  let application: INestApplicationContext | null;

  beforeEach(async () => {
    database = await createTestDatabase();
    observer = await database.connect();
    await observer.query('create table shipped (name text)');
    dataSource = await connect(LIMITS);
    subscription = new FakeSubscription();
    requests = [];
    application = null;
  });

  afterEach(async () => {
    await application?.close();
    await dataSource.destroy();
    await observer.end();
    await database.drop();
  });

  async function connect(extra: object): Promise<DataSource> {
    return await new DataSource({ type: 'postgres', url: database.url, extra }).initialize();
  }

  function databaseModule(value: unknown): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [{ provide: DataSource, useValue: value }],
      exports: [DataSource],
    };
  }

  function options(patch: Partial<InboxModuleOptions> = {}): InboxModuleOptions {
    return {
      consumer: 'shipping',
      database: DataSource,
      progressIntervalMs: 10,
      subscribe: (request) => {
        requests.push(request);
        return subscription;
      },
      ...patch,
    };
  }

  async function boot(
    patch: Partial<InboxModuleOptions> = {},
    providers: readonly (new (...parameters: never[]) => object)[] = [Shipping],
    value: unknown = dataSource,
  ): Promise<INestApplicationContext> {
    const testing = await Test.createTestingModule({
      imports: [
        databaseModule(value),
        OutboxModule.forRoot({ database: DataSource, events: [Shipped] }),
        InboxModule.forRoot(options(patch)),
      ],
      providers: [...providers],
    }).compile();
    return await testing.init();
  }

  async function start(patch: Partial<InboxModuleOptions> = {}): Promise<Shipping> {
    application = await boot(patch);
    return application.get(Shipping);
  }

  /** Resolves when so many records are settled, with how. */
  async function settled(count: number): Promise<readonly RecordSettled[]> {
    const all: RecordSettled[] = [];
    await new Promise<void>((resolve) => {
      application?.get(InboxConsumer).observe({
        recordSettled: (one) => {
          all.push(one);
          if (all.length === count) {
            resolve();
          }
        },
      });
    });
    return all;
  }

  async function shipped(): Promise<string[]> {
    const { rows } = await observer.query<{ name: string }>('select name from shipped order by name');
    return rows.map(({ name }) => name);
  }

  it('subscribes to the topics of the handlers under its name', async () => {
    await start();
    expect(requests).toEqual([
      { consumer: 'shipping', topics: expect.arrayContaining([TOPIC, 'outbox.event.payment']) },
    ]);
    await application?.close();
    application = null;
    await start({ topicOf: ({ aggregate }) => `x.${aggregate}` });
    expect(requests.at(-1)?.topics).toEqual(expect.arrayContaining(['x.order', 'x.payment']));
  });

  it('applies events with their outgoing ones, writes the progress, and moves the offset on closing', async () => {
    await start();
    const partition = await subscription.assign(TOPIC, 0);
    const done = settled(3);
    await partition.receiver.receive([
      record({ offset: 0n, key: 'a', value: { name: 'a1' }, headers: { 'millrace-low': '0' } }),
      record({ offset: 1n, key: 'b', value: { name: 'b1' }, headers: { 'millrace-low': '1' } }),
      record({
        offset: 2n,
        key: 'a',
        value: { name: 'a2' },
        headers: { 'millrace-low': '2', 'millrace-position': '3' },
      }),
    ]);
    expect((await done).map(({ settlement }) => settlement)).toEqual(['applied', 'applied', 'applied']);
    expect(application?.get(InboxConsumer).status()).toMatchObject({ isReady: true, consumer: 'shipping' });
    await application?.close();
    application = null;

    expect(partition.commits.at(-1)).toBe(3n);
    expect(await shipped()).toEqual(['a1', 'a2', 'b1']);
    const outbox = await observer.query('select type from millrace.outbox');
    expect(outbox.rows).toHaveLength(3);
    const floors = await observer.query('select floor::integer from millrace.inbox_floor');
    expect(floors.rows).toEqual([{ floor: 2 }]);
  });

  it('applies nothing twice when everything comes again, below the floor or not', async () => {
    const events = [0n, 1n, 2n].map((offset) =>
      record({ offset, key: 'a', value: { name: `a${offset}` }, headers: { 'millrace-low': '2' } }),
    );
    for (let round = 0; round < 2; round++) {
      await start();
      const partition = await subscription.assign(TOPIC, 0);
      const done = settled(3);
      await partition.receiver.receive(events);
      await done;
      await application?.close();
      application = null;
    }
    expect(await shipped()).toEqual(['a0', 'a1', 'a2']);
  });

  it('applies an event once although its connection broke, before and after its insert', async () => {
    const shipping = await start();
    let breaks = 2;
    shipping.meanwhile = async (_, tx) => {
      if (breaks > 0) {
        breaks--;
        const [row] = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
        await observer.query('select pg_terminate_backend($1, 5000)', [row?.pid]);
      }
    };
    const partition = await subscription.assign(TOPIC, 0);
    const done = settled(2);
    await partition.receiver.receive([
      record({ offset: 0n, key: 'a', value: { name: 'a1' } }),
      record({ offset: 1n, key: 'a', value: { name: 'a2' } }),
    ]);
    await done;
    expect(shipping.began).toEqual(['a1', 'a1', 'a1', 'a2']);
    expect(await shipped()).toEqual(['a1', 'a2']);
    expect(await application?.get(InboxConsumer).countSetAside()).toEqual({ held: 0, parked: 0, heldKeys: 0 });
  });

  it('holds the key of an event that goes on failing, and applies its chain in order when it heals', async () => {
    const shipping = await start({ inMemoryRetryMs: [] });
    let isBroken = true;
    shipping.meanwhile = () => (isBroken ? Promise.reject(new Error('no carrier')) : Promise.resolve());
    const partition = await subscription.assign(TOPIC, 0);
    const held = settled(2);
    await partition.receiver.receive([
      record({ offset: 0n, key: 'a', value: { name: 'a1' } }),
      record({ offset: 1n, key: 'a', value: { name: 'a2' } }),
    ]);
    expect((await held).map(({ settlement }) => settlement)).toEqual(['held', 'chained']);
    expect(await application?.get(InboxConsumer).countSetAside()).toEqual({ held: 2, parked: 0, heldKeys: 1 });

    isBroken = false;
    await new Promise<void>((resolve) => {
      application?.get(InboxConsumer).observe({
        chainsReleased: () => {
          resolve();
        },
      });
    });
    // it may have been tried in vain more than once
    const tries = shipping.began.filter((name) => name === 'a1');
    expect(tries.length).toBeGreaterThanOrEqual(2);
    expect(shipping.began).toEqual([...tries, 'a2']);
    expect(await shipped()).toEqual(['a1', 'a2']);
  });

  it('lets a running handler end before the application closes', async () => {
    const shipping = await start();
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const begun = new Promise<void>((resolve) => {
      shipping.meanwhile = async () => {
        resolve();
        await gate;
      };
    });
    const partition = await subscription.assign(TOPIC, 0);
    await partition.receiver.receive([
      record({ offset: 0n, key: 'a', value: { name: 'a1' } }),
      record({ offset: 1n, key: 'a', value: { name: 'a2' } }),
    ]);
    await begun;
    const closing = application?.close();
    open();
    await closing;
    application = null;
    expect(await shipped()).toEqual(['a1']);
    expect(partition.commits).toEqual([1n]);
  });

  describe('stops the boot', () => {
    it('for two handlers of one type, and names both', async () => {
      await expect(boot({}, [Shipping, Rival])).rejects.toMatchObject({
        code: 'handler_duplicate',
        message: expect.stringMatching(/Shipping\.ship and Rival\.grab|Rival\.grab and Shipping\.ship/),
      });
      expect(requests).toEqual([]);
    });

    it('without a handler', async () => {
      await expect(boot({}, [])).rejects.toMatchObject({ code: 'handler_missing' });
    });

    it('when connections have no limits, and says which to set', async () => {
      const bare = await connect({});
      await expect(boot({}, [Shipping], bare)).rejects.toMatchObject({
        code: 'limits_missing',
        message: expect.stringMatching(/idle_in_transaction_session_timeout/),
      });
      await bare.destroy();
    });

    it.each<[string, InjectionToken, RegExp]>([
      ['a token that nobody provides', 'nothing', /names a token that no module provides/],
      ['something else', Outbox, /names a provider that is no TypeORM DataSource/],
    ])('when database is %s', async (_, token, message) => {
      await expect(boot({ database: token })).rejects.toMatchObject({
        code: 'configuration_invalid',
        message: expect.stringMatching(message),
      });
    });

    it.each<[Partial<InboxModuleOptions>, RegExp]>([
      [{ consumer: 'a b' }, /consumer/],
      [{ concurrency: 0 }, /concurrency/],
    ])('for options that cannot be (%#)', async (patch, message) => {
      await expect(boot(patch)).rejects.toMatchObject({
        code: 'configuration_invalid',
        message: expect.stringMatching(message),
      });
    });
  });

  it('says that it has not started yet', async () => {
    const testing = await Test.createTestingModule({
      imports: [
        databaseModule(dataSource),
        OutboxModule.forRoot({ database: DataSource, events: [Shipped] }),
        InboxModule.forRoot(options()),
      ],
    }).compile();
    expect(() => testing.get(InboxConsumer).status()).toThrow(/await app\.init\(\)/);
    await testing.close();
  });
});
