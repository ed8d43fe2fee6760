import { describe, expect, it } from '@jest/globals';
import { checkPayload } from '@millrace/events';

import { totalCentsOf } from './order-line.js';
import { customerIdSchema, TOTAL_CENTS_MAX } from './order-values.js';
import { OrderPlaced } from './order.events.js';

const placed = {
  orderId: '01890a5d-ac96-774b-bcce-b302099a8057',
  customerId: 'customer-1',
  lines: [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }],
  totalCents: 900,
};

describe('order.placed', () => {
  it('is keyed by the order', () => {
    expect(OrderPlaced.keyOf(placed)).toBe(placed.orderId);
    expect(OrderPlaced).toMatchObject({ type: 'order.placed', aggregate: 'order', schemaVersion: 1 });
  });

  it('accepts its payload, also with fields that came later', async () => {
    expect(await checkPayload(OrderPlaced, { ...placed, channel: 'web' })).toEqual({ kind: 'valid', payload: placed });
  });

  it.each([
    ['no lines', { lines: [] }],
    ['a negative quantity', { lines: [{ sku: 'tea', quantity: -1, unitPriceCents: 450 }] }],
    ['a part of a piece', { lines: [{ sku: 'tea', quantity: 1.5, unitPriceCents: 450 }] }],
    ['a part of a cent', { totalCents: 0.5 }],
    ['an order id that is none', { orderId: '7' }],
  ])('refuses %s', async (_what, change) => {
    expect((await checkPayload(OrderPlaced, { ...placed, ...change })).kind).toBe('invalid');
  });
});

describe('a text id', () => {
  it.each(['a', 'customer 7', 'Ünïcödé-☕', '😀'.repeat(64)])('may be %j', (text) => {
    expect(customerIdSchema.safeParse(text).success).toBe(true);
  });

  it.each(['', ' a', 'a\n', 'a\u0000b', 'a\ud800', '\u202eabc', 'x'.repeat(65), '😀'.repeat(65)])(
    'may not be %j',
    (text) => {
      expect(customerIdSchema.safeParse(text).success).toBe(false);
    },
  );
});

describe('the total of lines', () => {
  it('is exact up to the largest whole number of JSON and tells when it is above', () => {
    const line = { sku: 'gold', quantity: 1_000_000, unitPriceCents: 1_000_000_000 };
    expect(totalCentsOf(Array.from({ length: 9 }, () => line))).toBe(9e15);
    expect(totalCentsOf(Array.from({ length: 10 }, () => line))).toBeGreaterThan(TOTAL_CENTS_MAX);
  });
});
