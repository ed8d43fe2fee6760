import { type InventoryFigures, type OrderFigures, type PaymentFigures, type Tally } from './figures.js';

/**
 * The figures of all three services, read in the order of these fields. No instant is common to three databases, so an
 * effect is read before its cause: what was sold at the first reading was confirmed by the time of the third.
 */
export interface ThreeServices {
  readonly payment: PaymentFigures;
  readonly inventory: InventoryFigures;
  readonly order: OrderFigures;
  readonly inventoryAfter: InventoryFigures;
  readonly paymentAfter: PaymentFigures;
}

/** One side of a rule: what it is and what there is of it. */
export interface Side {
  readonly what: string;
  readonly count: number;
  readonly cents: bigint;
}

/**
 * A rule across the services. `always`: an effect never exceeds its cause, at no instant. `at-rest`: both are the same
 * once every event has been handled; until then the rule is `open`, which is no fault.
 */
export interface ConservationRule {
  /** In kebab-case, as docs/SPEC.md names it. */
  readonly name: string;
  readonly kind: 'always' | 'at-rest';
  readonly state: 'holds' | 'open' | 'broken';
  readonly left: Side;
  readonly right: Side;
}

/** The rules across the three services, and what is still on its way. */
export interface Conservation {
  readonly rules: readonly ConservationRule[];
  /** False when a rule that holds at every instant is broken: then money or pieces were lost or made. */
  readonly holds: boolean;
  /** Whether every rule holds, also those that do so only at rest: then nothing is on its way. */
  readonly isAtRest: boolean;
}

/**
 * Adds up what the three services tell. Pure. That rules are open tells nothing on its own: whoever knows that all
 * events must have been handled by now (no load, no lag) takes an open rule for a broken one.
 */
export function addUp(services: ThreeServices): Conservation {
  const rules = [...rulesAlways(services), ...rulesAtRest(services)];
  return {
    rules,
    holds: rules.every(({ state }) => state !== 'broken'),
    isAtRest: rules.every(({ state }) => state === 'holds'),
  };
}

function rulesAlways({
  payment,
  inventory,
  order,
  inventoryAfter,
  paymentAfter,
}: ThreeServices): readonly ConservationRule[] {
  const { orders, refundsRequested } = order;
  return [
    neverMore(
      'sold-was-confirmed',
      side('sold reservations', inventory.reservations.sold),
      side('confirmed orders', orders.confirmed),
    ),
    neverMore(
      'confirmed-was-captured',
      side('confirmed orders', orders.confirmed),
      side('captured payments', paymentAfter.payments.captured),
    ),
    neverMore(
      'captured-was-reserved',
      side('payments ever captured', payment.payments.captured, payment.payments.refunded),
      side('reservations ever made', ...everReserved(inventoryAfter)),
    ),
    neverMore(
      'refunded-was-requested',
      side('refunded payments', payment.payments.refunded),
      side('refunds requested', refundsRequested),
    ),
    neverMore(
      'refund-was-captured',
      side('confirmed orders and refunds requested', orders.confirmed, refundsRequested),
      side('payments ever captured', paymentAfter.payments.captured, paymentAfter.payments.refunded),
    ),
    neverMore(
      'released-has-ended',
      side('released reservations', inventory.reservations.released),
      side('rejected and cancelled orders', orders.rejected, orders.cancelled),
    ),
    neverMore(
      'rejected-was-refused',
      side('rejected orders', orders.rejected),
      side(
        'refused reservations and declined payments',
        inventoryAfter.reservations.refused,
        paymentAfter.payments.declined,
      ),
    ),
    neverMore(
      'reservation-was-placed',
      side('reservations of any status', ...Object.values(inventory.reservations)),
      side('orders of any status', ...Object.values(orders)),
    ),
  ];
}

function rulesAtRest({ order, inventoryAfter, paymentAfter }: ThreeServices): readonly ConservationRule[] {
  const { orders, refundsRequested } = order;
  const { reservations } = inventoryAfter;
  const { payments } = paymentAfter;
  return [
    sameAtRest('every-order-ended', side('pending orders', orders.pending), side('none')),
    sameAtRest(
      'confirmed-is-sold',
      side('confirmed orders', orders.confirmed),
      side('sold reservations', reservations.sold),
    ),
    sameAtRest(
      'confirmed-is-captured',
      side('confirmed orders', orders.confirmed),
      side('captured payments', payments.captured),
    ),
    sameAtRest('nothing-stays-reserved', side('reserved reservations', reservations.reserved), side('none')),
    sameAtRest(
      'refund-is-paid',
      side('refunds requested', refundsRequested),
      side('refunded payments', payments.refunded),
    ),
    sameAtRest(
      'ended-is-released',
      side('rejected and cancelled orders', orders.rejected, orders.cancelled),
      side('released and refused reservations', reservations.released, reservations.refused),
    ),
  ];
}

function everReserved({ reservations }: InventoryFigures): readonly Tally[] {
  return [reservations.reserved, reservations.sold, reservations.released];
}

function side(what: string, ...tallies: readonly Tally[]): Side {
  return {
    what,
    count: tallies.reduce((sum, { count }) => sum + count, 0),
    cents: tallies.reduce((sum, { cents }) => sum + BigInt(cents), 0n),
  };
}

function neverMore(name: string, left: Side, right: Side): ConservationRule {
  const holds = left.count <= right.count && left.cents <= right.cents;
  return { name, kind: 'always', state: holds ? 'holds' : 'broken', left, right };
}

function sameAtRest(name: string, left: Side, right: Side): ConservationRule {
  const holds = left.count === right.count && left.cents === right.cents;
  return { name, kind: 'at-rest', state: holds ? 'holds' : 'open', left, right };
}
