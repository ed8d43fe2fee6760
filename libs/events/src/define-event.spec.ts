import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { defineEvent, isEventContract, type EventContract, type PayloadOf } from './define-event.js';

const OrderPlaced = defineEvent({
  type: 'order.placed',
  schemaVersion: 2,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({
    orderId: z.string(),
    note: z.string().optional(),
    lines: z.array(z.object({ sku: z.string(), quantity: z.number() })).readonly(),
    tags: z.record(z.string(), z.union([z.literal('a'), z.null()])),
  }),
  upcast: { 1: (old) => old },
});

describe('defineEvent', () => {
  it('gives the payload its type and the key its function', () => {
    const payload: PayloadOf<typeof OrderPlaced> = { orderId: 'o-1', lines: [{ sku: 's', quantity: 1 }], tags: {} };
    const type: 'order.placed' = OrderPlaced.type;
    const general: EventContract = OrderPlaced;

    expect(OrderPlaced.keyOf(payload)).toBe('o-1');
    expect([type, general.schemaVersion, general.aggregate]).toEqual(['order.placed', 2, 'order']);
    // @ts-expect-error a payload of another shape
    const wrong: PayloadOf<typeof OrderPlaced> = { orderId: 1 };
    expect(wrong).toBeDefined();
  });

  it('knows its own contracts', () => {
    expect(isEventContract(OrderPlaced)).toBe(true);
    expect(isEventContract({ type: 'order.placed' })).toBe(false);
    expect(isEventContract(null)).toBe(false);
  });

  it('refuses, when compiled, schemas that transform and payloads that JSON cannot hold', () => {
    const common = { type: 't', schemaVersion: 1, aggregate: 'a', key: () => 'k' } as const;
    const accepted = [
      // @ts-expect-error input is text, output is a number
      () => defineEvent({ ...common, schema: z.object({ n: z.string().transform(Number) }) }),
      // @ts-expect-error a default makes input and output differ
      () => defineEvent({ ...common, schema: z.object({ n: z.number().default(1) }) }),
      // @ts-expect-error a Date comes back as text
      () => defineEvent({ ...common, schema: z.object({ at: z.date() }) }),
      // @ts-expect-error JSON has no bigint
      () => defineEvent({ ...common, schema: z.object({ n: z.bigint() }) }),
      // @ts-expect-error deep inside an array too
      () => defineEvent({ ...common, schema: z.object({ list: z.array(z.object({ at: z.date() })) }) }),
      // @ts-expect-error a Map becomes an empty object
      () => defineEvent({ ...common, schema: z.object({ m: z.map(z.string(), z.string()) }) }),
      // @ts-expect-error unknown may be anything
      () => defineEvent({ ...common, schema: z.object({ x: z.unknown() }) }),
      // @ts-expect-error a payload that is no object cannot grow a field
      () => defineEvent({ ...common, schema: z.string() }),
      // @ts-expect-error nor can an array
      () => defineEvent({ ...common, schema: z.array(z.string()) }),
      // @ts-expect-error the key is text
      () => defineEvent({ ...common, schema: z.object({ n: z.number() }), key: (payload) => payload.n }),
    ];

    expect(accepted).toHaveLength(10);
  });

  it.each(['', 'has blank', 'line\nbreak', 'x'.repeat(201)])('refuses the type %j', (type) => {
    expect(() => define({ type })).toThrow(/type must be/);
  });

  it.each(['', 'a/b', 'a b', 'é', 'x'.repeat(201)])('refuses the aggregate %j', (aggregate) => {
    expect(() => define({ aggregate })).toThrow(/aggregate of event t must be/);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses the schema version %p', (schemaVersion) => {
    expect(() => define({ schemaVersion })).toThrow(/schemaVersion of event t must be/);
  });

  it.each([0, 2, 3])('refuses an upcast from version %p of a contract of version 2', (version) => {
    expect(() => define({ schemaVersion: 2, upcast: { [version]: (old) => old } })).toThrow(
      /upcast of event t must be/,
    );
  });
});

function define(part: {
  type?: string;
  aggregate?: string;
  schemaVersion?: number;
  upcast?: Record<number, (old: unknown) => unknown>;
}): EventContract {
  return defineEvent({ type: 't', aggregate: 'a', schemaVersion: 1, key: () => 'k', schema: z.object({}), ...part });
}
