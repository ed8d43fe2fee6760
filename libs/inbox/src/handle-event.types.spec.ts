import { describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { z } from 'zod';
import { HandleEvent, type ReceivedEvent, type Transaction } from './index.js';
import { handlersOf } from './handler-registry.js';

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string(), cents: z.number() }),
});
const Cancelled = defineEvent({
  type: 'order.cancelled',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string() }),
});

/** What compiles. */
class Accepted {
  @HandleEvent(Placed)
  async placed(event: ReceivedEvent<typeof Placed>, tx: Transaction): Promise<void> {
    const type: 'order.placed' = event.type;
    const cents: number = event.payload.cents;
    await tx.query(type, [cents]);
  }

  @HandleEvent(Cancelled)
  async withoutTransaction(event: ReceivedEvent<typeof Cancelled>): Promise<void> {
    await Promise.resolve(event.payload.orderId);
  }
}

/** What does not: each line below an `@ts-expect-error` would fail the type check if it compiled. */
class Refused {
  // @ts-expect-error -- another contract's event
  @HandleEvent(Cancelled)
  async otherEvent(event: ReceivedEvent<typeof Placed>, tx: Transaction): Promise<void> {
    await tx.query(event.type);
  }

  // @ts-expect-error -- a third parameter
  @HandleEvent(Placed)
  async thirdParameter(event: ReceivedEvent<typeof Placed>, tx: Transaction, more: string): Promise<void> {
    await tx.query(event.type, [more]);
  }

  // @ts-expect-error -- no promise
  @HandleEvent(Placed)
  noPromise(event: ReceivedEvent<typeof Placed>): void {
    event.payload.cents.toFixed();
  }

  // @ts-expect-error -- a promise of something that nobody would read
  @HandleEvent(Placed)
  async answer(event: ReceivedEvent<typeof Placed>): Promise<number> {
    return await Promise.resolve(event.payload.cents);
  }

  @HandleEvent(Placed)
  // @ts-expect-error -- a missing annotation is no silent any
  async noAnnotation(event): Promise<void> {
    await Promise.resolve(event);
  }

  // @ts-expect-error -- the payload alone is no event
  @HandleEvent(Placed)
  async payloadOnly(payload: { orderId: string; cents: number }): Promise<void> {
    await Promise.resolve(payload.cents);
  }

  // @ts-expect-error -- the name of a type is no contract
  @HandleEvent('order.placed')
  async byName(event: ReceivedEvent<typeof Placed>): Promise<void> {
    await Promise.resolve(event.payload.cents);
  }

  @HandleEvent(Placed)
  async unknownField(event: ReceivedEvent<typeof Placed>): Promise<void> {
    // @ts-expect-error -- the contract has no such field
    await Promise.resolve(event.payload.sku);
  }
}

describe('@HandleEvent', () => {
  it('marks what compiles; what must not is refused by the type check of the specs', () => {
    expect(handlersOf(new Accepted()).map(({ name, contract }) => [name, contract.type])).toEqual([
      ['Accepted.placed', 'order.placed'],
      ['Accepted.withoutTransaction', 'order.cancelled'],
    ]);
    expect(Refused.name).toBe('Refused');
  });
});
