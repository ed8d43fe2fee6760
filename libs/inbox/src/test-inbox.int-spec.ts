import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { Outbox } from '@millrace/outbox';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { causedBy, HandleEvent, Park, type ReceivedEvent, Retry, type Transaction } from './index.js';
import { TestInbox } from './testing.js';

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 2,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string(), cents: z.number().int() }),
  upcast: { 1: (payload) => ({ ...z.looseObject({}).parse(payload), cents: 1 }) },
});
const Shipped = defineEvent({
  type: 'order.shipped',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string() }),
});

const outbox = new Outbox({ events: [Shipped] });

class Shipping {
  readonly seen: ReceivedEvent<typeof Placed>[] = [];
  /** Thrown by the next runs, one each. */
  readonly failures: Error[] = [];

  @HandleEvent(Placed)
  async ship(event: ReceivedEvent<typeof Placed>, tx: Transaction): Promise<void> {
    this.seen.push(event);
    await tx.query('insert into shipped (order_id, cents) values ($1, $2)', [event.aggregateId, event.payload.cents]);
    await outbox.publish(tx, Shipped, { orderId: event.payload.orderId }, causedBy(event));
    const failure = this.failures.shift();
    if (failure !== undefined) {
      throw failure;
    }
  }
}

@Module({ providers: [Shipping] })
class ShippingModule {
  readonly name = 'shipping';
}

describe('TestInbox', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let shipping: Shipping;
  let inbox: TestInbox;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource({ type: 'postgres', url: database.url }).initialize();
    await dataSource.query('create table shipped (order_id text, cents integer)');
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  afterEach(async () => {
    await dataSource.query('truncate shipped');
  });

  async function open(): Promise<void> {
    shipping = new Shipping();
    inbox = await TestInbox.create({ dataSource, handlers: [shipping] });
  }

  async function shipped(): Promise<number> {
    return (await dataSource.query<unknown[]>('select * from shipped')).length;
  }

  it('applies an event, with what it publishes', async () => {
    await open();
    const { outcome, id } = await inbox
      .deliver(Placed, { orderId: 'a', cents: 5 })
      .withHeaders({ tenant: 'blue', traceparent: '00-1-2-01' });

    expect(outcome).toBe('applied');
    expect(shipping.seen).toMatchObject([
      {
        id,
        type: 'order.placed',
        schemaVersion: 2,
        aggregateId: 'a',
        aggregateVersion: null,
        source: 'test',
        headers: { tenant: 'blue', traceparent: '00-1-2-01' },
        payload: { orderId: 'a', cents: 5 },
        isReplay: false,
      },
    ]);
    const published = await inbox.published(Shipped);
    expect(published).toMatchObject([
      {
        aggregateId: 'a',
        payload: { orderId: 'a' },
        headers: { 'causation-id': id, 'correlation-id': id, traceparent: '00-1-2-01' },
      },
    ]);
    await inbox.forgetPublished();
    expect(await inbox.published(Shipped)).toEqual([]);
  });

  it('delivers an event as often as it is told, and the handler takes effect once', async () => {
    await open();
    const receipt = await inbox
      .deliver(Placed, { orderId: 'a', cents: 5 })
      .crashAfterHandler()
      .crashAfterCommit()
      .twice();

    expect(receipt.outcomes).toEqual(['crashed', 'applied', 'duplicate']);
    expect(shipping.seen).toHaveLength(2);
    expect(await shipped()).toBe(1);
    expect(await inbox.published(Shipped)).toHaveLength(1);
  });

  it('lets members that do not know of each other have the same event at once', async () => {
    await open();
    const { outcomes } = await inbox.deliver(Placed, { orderId: 'a', cents: 5 }).times(4).concurrently();

    expect([...outcomes].sort()).toEqual(['applied', 'duplicate', 'duplicate', 'duplicate']);
    expect(await shipped()).toBe(1);
  });

  it('takes an event of an older version, a replay, another key, id and version', async () => {
    await open();
    await inbox
      .deliver(Placed, { orderId: 'a', cents: 9 })
      .withSchemaVersion(1)
      .withKey('b')
      .withId('019AA0F0-0000-7000-8000-000000000001')
      .withAggregateVersion(7)
      .asReplay();

    expect(shipping.seen).toMatchObject([
      {
        id: '019aa0f0-0000-7000-8000-000000000001',
        schemaVersion: 1,
        aggregateId: 'b',
        aggregateVersion: '7',
        payload: { cents: 1 },
        isReplay: true,
      },
    ]);
  });

  it('delivers once, however often it is awaited', async () => {
    await open();
    const delivery = inbox.deliver(Placed, { orderId: 'a', cents: 5 });
    expect(await delivery).toBe(await delivery.run());
    expect(shipping.seen).toHaveLength(1);
  });

  it('rejects with the error of the handler, and nothing of it is left', async () => {
    await open();
    shipping.failures.push(new Error('no stock table'));
    await expect(inbox.deliver(Placed, { orderId: 'a', cents: 5 }).run()).rejects.toThrow('no stock table');
    expect(await shipped()).toBe(0);
    expect((await inbox.deliver(Placed, { orderId: 'a', cents: 5 })).outcome).toBe('applied');
  });

  it('parks what the handler parks; later events of the key wait behind it', async () => {
    await open();
    shipping.failures.push(new Park('unknown_sku', 'The catalogue lacks the SKU: add it, then release.'));
    const parked = await inbox.deliver(Placed, { orderId: 'p', cents: 5 }).twice();
    const later = await inbox.deliver(Placed, { orderId: 'p', cents: 6 });
    const other = await inbox.deliver(Placed, { orderId: 'q', cents: 7 });

    expect(parked).toMatchObject({ outcomes: ['parked', 'duplicate'], setAside: { code: 'unknown_sku' } });
    expect([later.outcome, other.outcome]).toEqual(['chained', 'applied']);
  });

  it('holds what the handler wants to try later, and applies the chain in order when it is released', async () => {
    await open();
    shipping.failures.push(new Retry({ afterMs: 0, reason: 'The supplier is closed.' }));
    const held = await inbox.deliver(Placed, { orderId: 'r', cents: 1 });
    const later = await inbox.deliver(Placed, { orderId: 'r', cents: 2 });
    expect([held.outcome, later.outcome]).toEqual(['held', 'chained']);
    expect(held.setAside).toEqual({ code: 'retry', reason: 'The supplier is closed.' });

    expect(await inbox.releaseHeld()).toMatchObject({ applied: 2 });
    expect(shipping.seen.map(({ payload }) => payload.cents)).toEqual([1, 1, 2]);
    expect((await inbox.deliver(Placed, { orderId: 'r', cents: 3 })).outcome).toBe('applied');
  });

  it('parks a payload that breaks its contract, without a value of it', async () => {
    await open();
    const payload = { orderId: 's', cents: 1, [Symbol.toStringTag]: 'broken' };
    Reflect.set(payload, 'cents', 'secret');
    const receipt = await inbox.deliver(Placed, payload);
    expect(receipt).toMatchObject({ outcome: 'parked', setAside: { code: 'malformed' } });
    expect(receipt.setAside?.reason).toMatch(/payload\.cents \(string\)/);
    expect(receipt.setAside?.reason).not.toMatch(/secret/);
  });

  it('tells of a type without a handler', async () => {
    await open();
    expect((await inbox.deliver(Shipped, { orderId: 'a' })).outcome).toBe('unhandled');
  });

  it('finds the handlers of a testing module', async () => {
    const testing = await Test.createTestingModule({ imports: [ShippingModule] }).compile();
    const found = await TestInbox.create({ dataSource, handlers: testing });
    expect((await found.deliver(Placed, { orderId: 'm', cents: 1 })).outcome).toBe('applied');
    expect(testing.get(Shipping).seen).toHaveLength(1);
    await testing.close();
  });

  it('refuses what cannot be delivered', async () => {
    await open();
    await expect(inbox.deliver(Placed, { orderId: 'a', cents: 1 }).times(0).run()).rejects.toMatchObject({
      code: 'configuration_invalid',
    });
    await expect(TestInbox.create({ dataSource, handlers: [] })).rejects.toMatchObject({ code: 'handler_missing' });
  });
});
