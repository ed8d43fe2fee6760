import { describe, expect, it } from '@jest/globals';

import { type OrderFact, type OrderState, transitionOf } from './order-transition.js';

const state = (status: OrderState['status'], isRefundRequested = false): OrderState => ({
  status,
  totalCents: 900,
  isRefundRequested,
});

const refused: OrderFact = { kind: 'stock-refused', reason: 'out-of-stock' };
const declined: OrderFact = { kind: 'payment-declined', reason: 'insufficient-funds' };
const captured: OrderFact = { kind: 'payment-captured', amountCents: 900 };

/** Every state of an order against every fact, in a word each. */
const TABLE: readonly [OrderState, OrderFact, string][] = [
  [state('pending'), refused, 'reject out-of-stock'],
  [state('pending'), declined, 'reject insufficient-funds'],
  [state('pending'), captured, 'confirm'],
  [state('confirmed'), refused, 'impossible stock-refused-after-confirmation'],
  [state('confirmed'), declined, 'impossible payment-declined-after-confirmation'],
  [state('confirmed'), captured, 'impossible captured-twice'],
  [state('rejected'), refused, 'unchanged'],
  [state('rejected'), declined, 'unchanged'],
  [state('rejected'), captured, 'impossible captured-after-rejection'],
  [state('cancelled'), refused, 'unchanged'],
  [state('cancelled'), declined, 'unchanged'],
  [state('cancelled'), captured, 'request-refund 900'],
  [state('cancelled', true), refused, 'unchanged'],
  [state('cancelled', true), declined, 'unchanged'],
  [state('cancelled', true), captured, 'impossible captured-twice'],
];

function wordOf(order: OrderState, fact: OrderFact): string {
  const transition = transitionOf(order, fact);
  switch (transition.kind) {
    case 'unchanged':
      return 'unchanged';
    case 'impossible':
      return `impossible ${transition.code}`;
    case 'change':
      return Object.values(transition.change).join(' ');
  }
}

describe('an order that hears of stock and money', () => {
  it.each(TABLE)('%j, told of %j: %s', (order, fact, word) => {
    expect(wordOf(order, fact)).toBe(word);
  });

  it.each(['pending', 'confirmed', 'rejected', 'cancelled'] as const)(
    'is never %s in agreement with a payment of another amount',
    (status) => {
      expect(wordOf(state(status), { ...captured, amountCents: 899 })).toBe('impossible captured-amount-differs');
    },
  );
});
