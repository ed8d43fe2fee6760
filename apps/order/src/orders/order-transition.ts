import { type OrderStatus } from './order-api.js';

/** What an order's next change depends on. */
export interface OrderState {
  readonly status: OrderStatus;
  readonly totalCents: number;
  readonly isRefundRequested: boolean;
}

/** What the other services tell of an order. */
export type OrderFact =
  | { readonly kind: 'stock-refused'; readonly reason: string }
  | { readonly kind: 'payment-declined'; readonly reason: string }
  | { readonly kind: 'payment-captured'; readonly amountCents: number };

/** A change of an order; each makes one version and one event. */
export type OrderChange =
  | { readonly kind: 'confirm' }
  | { readonly kind: 'reject'; readonly reason: string }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'request-refund'; readonly amountCents: number };

/** What a fact makes of an order: a change, nothing, or a contradiction that a person has to look at. */
export type Transition =
  | { readonly kind: 'change'; readonly change: OrderChange }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'impossible'; readonly code: string; readonly reason: string };

const UNCHANGED: Transition = { kind: 'unchanged' };

/**
 * The order's part of the choreography. Facts come by two topics without an order between them, so a refusal of an
 * order that has ended is normal and changes nothing. Money that was captured for an order that ended another way is
 * given back only where the order was cancelled: then the charge may have been faster than the cancellation. Any other
 * captured payment contradicts what this service was told before.
 */
export function transitionOf(order: OrderState, fact: OrderFact): Transition {
  switch (fact.kind) {
    case 'stock-refused':
    case 'payment-declined':
      return afterRefusal(order, fact);
    case 'payment-captured':
      return afterCapture(order, fact.amountCents);
  }
}

function afterRefusal({ status }: OrderState, { kind, reason }: { kind: string; reason: string }): Transition {
  switch (status) {
    case 'pending':
      return { kind: 'change', change: { kind: 'reject', reason } };
    case 'rejected':
    case 'cancelled':
      return UNCHANGED;
    case 'confirmed':
      return impossible(`${kind}-after-confirmation`, 'The order is confirmed, so its stock and money were granted.');
  }
}

function afterCapture({ status, totalCents, isRefundRequested }: OrderState, amountCents: number): Transition {
  if (amountCents !== totalCents) {
    return impossible('captured-amount-differs', 'The captured amount is not the total of the order.');
  }
  switch (status) {
    case 'pending':
      return { kind: 'change', change: { kind: 'confirm' } };
    case 'cancelled':
      return isRefundRequested
        ? impossible('captured-twice', 'The refund of a payment of this order has been requested before.')
        : { kind: 'change', change: { kind: 'request-refund', amountCents } };
    case 'confirmed':
      return impossible('captured-twice', 'The order is confirmed by an earlier payment.');
    case 'rejected':
      return impossible('captured-after-rejection', 'The order was rejected for want of stock or money.');
  }
}

function impossible(code: string, reason: string): Transition {
  return { kind: 'impossible', code, reason: `${reason} Compare both services, then skip or release this event.` };
}
