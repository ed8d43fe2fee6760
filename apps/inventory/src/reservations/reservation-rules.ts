import { type OrderLine } from '@millrace/contracts';

import { type ReservationStatus } from './reservation.entity.js';

/** How an order can end for its reservation. */
export type Ending = 'sold' | 'released';

/** What an ending finds in a row that is not `reserved` (any more), or where there is no row. */
export type EndingVerdict =
  | { readonly kind: 'nothing-to-do' }
  /** The order's `order.placed` is yet to come: leave a row that makes it refuse itself. */
  | { readonly kind: 'leave-tombstone' }
  /** The row has become `reserved` since: end it now. */
  | { readonly kind: 'end-now' }
  | { readonly kind: 'impossible'; readonly code: string; readonly reason: string };

const NOTHING_TO_DO: EndingVerdict = { kind: 'nothing-to-do' };

/** `order.confirmed` follows `stock.reserved` and `payment.captured`, so nothing but a reservation can be sold. */
const NOT_RESERVED: EndingVerdict = {
  kind: 'impossible',
  code: 'stock-not-reserved',
  reason: 'The order was confirmed, but its stock is not reserved here. Look at both services before it is applied.',
};

const SOLD: EndingVerdict = {
  kind: 'impossible',
  code: 'stock-already-sold',
  reason: 'The order ended without a sale, but its stock is sold here. Look at both services before it is applied.',
};

const VERDICTS: Readonly<Record<Ending, Readonly<Record<ReservationStatus | 'none', EndingVerdict>>>> = {
  sold: {
    none: NOT_RESERVED,
    tombstone: NOT_RESERVED,
    refused: NOT_RESERVED,
    released: NOT_RESERVED,
    reserved: { kind: 'end-now' },
    sold: NOTHING_TO_DO,
  },
  released: {
    none: { kind: 'leave-tombstone' },
    tombstone: NOTHING_TO_DO,
    refused: NOTHING_TO_DO,
    released: NOTHING_TO_DO,
    reserved: { kind: 'end-now' },
    sold: SOLD,
  },
};

/** What an ending means for a reservation in this state; the table of the choreography, also for replays. */
export function verdictOn(ending: Ending, status: ReservationStatus | 'none'): EndingVerdict {
  return VERDICTS[ending][status];
}

/** What the lines of an order want of each article, each article once. */
export function quantitiesBySku(lines: readonly OrderLine[]): { skus: string[]; quantities: number[] } {
  const wanted = new Map<string, number>();
  for (const { sku, quantity } of lines) {
    wanted.set(sku, (wanted.get(sku) ?? 0) + quantity);
  }
  return { skus: [...wanted.keys()], quantities: [...wanted.values()] };
}
