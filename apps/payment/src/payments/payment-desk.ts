import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import { lockAccount, moveMoney } from '../accounts/account-ledger.js';
import { type DeclineReason, type PaymentStatus } from './payment.entity.js';
import { BURY_ORDER, DECLINE_PAYMENT, LOCK_PAYMENT, OPEN_PAYMENT, REFUND_PAYMENT } from './payment.sql.js';

/** Who is to pay how much for which order. */
export interface Charge {
  readonly orderId: string;
  readonly customerId: string;
  readonly amountCents: number;
}

/** What became of a charge. `repeated`: it was decided before, for the same customer and amount. */
export type ChargeOutcome =
  | { readonly kind: 'captured'; readonly paymentId: string; readonly version: number }
  | { readonly kind: 'declined'; readonly reason: DeclineReason; readonly version: number }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'contradiction'; readonly code: Contradiction };

/** What became of a wish for a refund. `repeated`: the money is back already. */
export type RefundOutcome =
  | { readonly kind: 'refunded'; readonly paymentId: string; readonly version: number }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'contradiction'; readonly code: Contradiction };

/** How an event can contradict what is stored. */
export type Contradiction =
  'charged-otherwise' | 'refund-without-payment' | 'refund-of-declined' | 'refund-of-other-amount';

interface PaymentRow {
  readonly id: string;
  readonly customer_id: string;
  readonly amount_cents: string;
  readonly status: PaymentStatus;
}

/**
 * Charges the customer once per order, in the caller's transaction. Locks the payment first, then the account, and
 * keeps both until the transaction ends.
 */
export async function charge(manager: EntityManager, wish: Charge): Promise<ChargeOutcome> {
  const { orderId, customerId, amountCents } = wish;
  const paymentId = uuidv7();
  const [opened] = await manager.query<{ readonly status: PaymentStatus }[]>(OPEN_PAYMENT, [
    paymentId,
    orderId,
    customerId,
    amountCents,
  ]);
  if (opened === undefined) {
    return await compareWithFirst(manager, wish);
  }
  if (opened.status === 'declined') {
    return { kind: 'declined', reason: 'order-cancelled', version: 1 };
  }
  const account = await lockAccount(manager, customerId);
  if (account === undefined || account.balanceCents < amountCents) {
    const reason = account === undefined ? 'unknown-customer' : 'insufficient-funds';
    await manager.query(DECLINE_PAYMENT, [paymentId, reason]);
    return { kind: 'declined', reason, version: 1 };
  }
  await moveMoney(manager, account, { kind: 'capture', amountCents, paymentId });
  return { kind: 'captured', paymentId, version: 1 };
}

/** Gives back what was captured for the order, once. Locks as `charge` does, in the same order. */
export async function refund(
  manager: EntityManager,
  { orderId, amountCents }: { readonly orderId: string; readonly amountCents: number },
): Promise<RefundOutcome> {
  const payment = await lockPayment(manager, orderId);
  if (payment === undefined) {
    return { kind: 'contradiction', code: 'refund-without-payment' };
  }
  if (payment.status === 'declined') {
    return { kind: 'contradiction', code: 'refund-of-declined' };
  }
  if (Number(payment.amount_cents) !== amountCents) {
    return { kind: 'contradiction', code: 'refund-of-other-amount' };
  }
  if (payment.status === 'refunded') {
    return { kind: 'repeated' };
  }
  await manager.query(REFUND_PAYMENT, [payment.id]);
  const account = await lockAccount(manager, payment.customer_id);
  if (account === undefined) {
    throw new Error('A captured payment has no account: the database was changed by hand.');
  }
  await moveMoney(manager, account, { kind: 'refund', amountCents, paymentId: payment.id });
  return { kind: 'refunded', paymentId: payment.id, version: 2 };
}

/** Makes a later charge for the order refuse itself; changes nothing where it was charged already. */
export async function buryOrder(manager: EntityManager, orderId: string): Promise<void> {
  await manager.query(BURY_ORDER, [orderId]);
}

async function compareWithFirst(manager: EntityManager, wish: Charge): Promise<ChargeOutcome> {
  const first = await lockPayment(manager, wish.orderId);
  const isSame = first?.customer_id === wish.customerId && Number(first.amount_cents) === wish.amountCents;
  return isSame ? { kind: 'repeated' } : { kind: 'contradiction', code: 'charged-otherwise' };
}

async function lockPayment(manager: EntityManager, orderId: string): Promise<PaymentRow | undefined> {
  const [payment] = await manager.query<PaymentRow[]>(LOCK_PAYMENT, [orderId]);
  return payment;
}
