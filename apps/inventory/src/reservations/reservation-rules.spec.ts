import { describe, expect, it } from '@jest/globals';

import { quantitiesBySku, verdictOn } from './reservation-rules.js';
import { type ReservationStatus } from './reservation.entity.js';

describe('what the end of an order means for a reservation', () => {
  it.each<[ReservationStatus | 'none', string]>([
    ['none', 'stock-not-reserved'],
    ['tombstone', 'stock-not-reserved'],
    ['refused', 'stock-not-reserved'],
    ['released', 'stock-not-reserved'],
    ['reserved', 'end-now'],
    ['sold', 'nothing-to-do'],
  ])('order.confirmed and %s: %s', (status, expected) => {
    const verdict = verdictOn('sold', status);
    expect(verdict.kind === 'impossible' ? verdict.code : verdict.kind).toBe(expected);
  });

  it.each<[ReservationStatus | 'none', string]>([
    ['none', 'leave-tombstone'],
    ['tombstone', 'nothing-to-do'],
    ['refused', 'nothing-to-do'],
    ['released', 'nothing-to-do'],
    ['reserved', 'end-now'],
    ['sold', 'stock-already-sold'],
  ])('order.rejected or order.cancelled and %s: %s', (status, expected) => {
    const verdict = verdictOn('released', status);
    expect(verdict.kind === 'impossible' ? verdict.code : verdict.kind).toBe(expected);
  });
});

describe('what the lines of an order want', () => {
  it('is summed by article', () => {
    const line = (sku: string, quantity: number): { sku: string; quantity: number; unitPriceCents: number } => ({
      sku,
      quantity,
      unitPriceCents: 1,
    });
    expect(quantitiesBySku([line('tea', 2), line('cup', 1), line('tea', 3)])).toEqual({
      skus: ['tea', 'cup'],
      quantities: [5, 1],
    });
    expect(quantitiesBySku([line('__proto__', 1), line('constructor', 2)]).skus).toEqual(['__proto__', 'constructor']);
  });
});
