import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { addUp, type ThreeServices } from './conservation.js';
import { type InventoryFigures, type OrderFigures, type PaymentFigures, type Tally } from './figures.js';

/** One order as each service knows it. */
interface Trade {
  readonly cents: number;
  order: 'pending' | 'confirmed' | 'rejected' | 'cancelled' | 'none';
  stock: 'reserved' | 'sold' | 'released' | 'refused' | 'tombstone' | 'none';
  payment: 'captured' | 'declined' | 'refunded' | 'tombstone' | 'none';
  isRefundRequested: boolean;
}

type Step = readonly [isPossible: (trade: Trade) => boolean, change: Partial<Trade>];

const isPlaced = (trade: Trade): boolean => trade.order !== 'none';
const wasReserved = ({ stock }: Trade): boolean => ['reserved', 'sold', 'released'].includes(stock);
const endedBadly = ({ order }: Trade): boolean => order === 'rejected' || order === 'cancelled';

/** The choreography: what each service may do next, given what the others have done at any time before. */
const STEPS: readonly Step[] = [
  [(trade) => !isPlaced(trade), { order: 'pending' }],
  [(trade) => isPlaced(trade) && trade.stock === 'none', { stock: 'reserved' }],
  [(trade) => isPlaced(trade) && trade.stock === 'none', { stock: 'refused' }],
  [(trade) => endedBadly(trade) && trade.stock === 'none', { stock: 'tombstone' }],
  [({ stock }) => stock === 'tombstone', { stock: 'refused' }],
  [(trade) => wasReserved(trade) && trade.payment === 'none', { payment: 'captured' }],
  [(trade) => wasReserved(trade) && ['none', 'tombstone'].includes(trade.payment), { payment: 'declined' }],
  [({ order, payment }) => order === 'cancelled' && payment === 'none', { payment: 'tombstone' }],
  [({ order, payment }) => order === 'pending' && payment === 'captured', { order: 'confirmed' }],
  [({ order, stock }) => order === 'pending' && stock === 'refused', { order: 'rejected' }],
  [({ order, payment }) => order === 'pending' && payment === 'declined', { order: 'rejected' }],
  [({ order }) => order === 'pending', { order: 'cancelled' }],
  [
    (trade) => trade.order === 'cancelled' && trade.payment === 'captured' && !trade.isRefundRequested,
    { isRefundRequested: true },
  ],
  [(trade) => trade.isRefundRequested && trade.payment === 'captured', { payment: 'refunded' }],
  [({ order, stock }) => order === 'confirmed' && stock === 'reserved', { stock: 'sold' }],
  [(trade) => endedBadly(trade) && trade.stock === 'reserved', { stock: 'released' }],
];

class World {
  readonly trades: Trade[];

  constructor(cents: readonly number[]) {
    this.trades = cents.map((total) => ({
      cents: total,
      order: 'none',
      stock: 'none',
      payment: 'none',
      isRefundRequested: false,
    }));
  }

  /** Does one of the steps that are possible now; false when there is none, and the world is at rest. */
  step(choice: number): boolean {
    const possible = this.trades.flatMap((trade) =>
      STEPS.filter(([isPossible]) => isPossible(trade)).map(([, change]) => ({ trade, change })),
    );
    const chosen = possible[choice % Math.max(possible.length, 1)];
    if (chosen !== undefined) {
      Object.assign(chosen.trade, chosen.change);
    }
    return chosen !== undefined;
  }

  order(): OrderFigures {
    const of = (status: Trade['order']): Tally => this.tally(({ order }) => order === status);
    return {
      orders: {
        pending: of('pending'),
        confirmed: of('confirmed'),
        rejected: of('rejected'),
        cancelled: of('cancelled'),
      },
      refundsRequested: this.tally(({ isRefundRequested }) => isRefundRequested),
    };
  }

  inventory(): InventoryFigures {
    const of = (status: Trade['stock']): Tally => this.tally(({ stock }) => stock === status);
    return {
      reservations: {
        reserved: of('reserved'),
        sold: of('sold'),
        released: of('released'),
        refused: of('refused'),
        tombstone: { ...of('tombstone'), cents: '0' },
      },
      units: { received: '0', onHand: '0', reserved: '0', sold: '0' },
    };
  }

  payment(): PaymentFigures {
    const of = (status: Trade['payment']): Tally => this.tally(({ payment }) => payment === status);
    return {
      depositsCents: '0',
      balancesCents: '0',
      capturedCents: '0',
      refundedCents: '0',
      payments: {
        captured: of('captured'),
        declined: of('declined'),
        refunded: of('refunded'),
        tombstone: { ...of('tombstone'), cents: '0' },
      },
    };
  }

  private tally(isMeant: (trade: Trade) => boolean): Tally {
    const meant = this.trades.filter(isMeant);
    return { count: meant.length, cents: String(meant.reduce((sum, { cents }) => sum + cents, 0)) };
  }
}

function readAll(world: World, between: () => void = () => undefined): ThreeServices {
  const payment = world.payment();
  between();
  const inventory = world.inventory();
  between();
  const order = world.order();
  between();
  const inventoryAfter = world.inventory();
  between();
  return { payment, inventory, order, inventoryAfter, paymentAfter: world.payment() };
}

const worlds = fc
  .array(fc.integer({ min: 0, max: 9999 }), { minLength: 1, maxLength: 6 })
  .map((cents) => new World(cents));
const choices = fc.infiniteStream(fc.nat());

describe('the rules across the services', () => {
  it('hold whatever happens between the readings, and all of them once nothing is left to do', () => {
    fc.assert(
      fc.property(worlds, choices, fc.array(fc.nat(9), { maxLength: 8 }), (world, choice, pauses) => {
        const next = (): boolean => world.step(Number(choice.next().value));
        const steps = [...pauses];
        const readings = Array.from({ length: 6 }, () =>
          readAll(world, () => {
            for (let left = steps.shift() ?? 0; left > 0; left -= 1) {
              next();
            }
          }),
        );
        while (next()) {
          // until nothing is left to do
        }
        const broken = readings.flatMap((reading) => addUp(reading).rules.filter(({ state }) => state === 'broken'));
        expect(broken).toEqual([]);
        expect(addUp(readAll(world)).isAtRest).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, Partial<Trade>, string]>([
    ['a sale without an order', { order: 'rejected', stock: 'sold', payment: 'declined' }, 'sold-was-confirmed'],
    ['a confirmation without money', { order: 'confirmed', stock: 'reserved' }, 'confirmed-was-captured'],
    ['money without goods', { order: 'pending', stock: 'refused', payment: 'captured' }, 'captured-was-reserved'],
    [
      'a refund that nobody asked for',
      { order: 'cancelled', stock: 'released', payment: 'refunded' },
      'refunded-was-requested',
    ],
    [
      'a refund of what was not captured',
      { order: 'cancelled', stock: 'released', payment: 'declined', isRefundRequested: true },
      'refund-was-captured',
    ],
    [
      'goods given back of a confirmed order',
      { order: 'confirmed', stock: 'released', payment: 'captured' },
      'released-has-ended',
    ],
    [
      'a rejection without a reason',
      { order: 'rejected', stock: 'reserved', payment: 'captured' },
      'rejected-was-refused',
    ],
    ['a reservation without an order', { order: 'none', stock: 'reserved' }, 'reservation-was-placed'],
  ])('find %s', (_what, state, name) => {
    const world = new World([700]);
    Object.assign(world.trades[0] ?? {}, state);
    const { holds, rules } = addUp(readAll(world));
    expect(holds).toBe(false);
    expect(rules.filter(({ state: found }) => found === 'broken').map((rule) => rule.name)).toContain(name);
  });

  it.each<[Partial<Trade>, string[]]>([
    [{ order: 'pending' }, ['every-order-ended']],
    [{ order: 'confirmed', stock: 'reserved', payment: 'captured' }, ['confirmed-is-sold', 'nothing-stays-reserved']],
    [
      { order: 'cancelled', stock: 'released', payment: 'captured', isRefundRequested: true },
      ['confirmed-is-captured', 'refund-is-paid'],
    ],
    [{ order: 'rejected', stock: 'reserved', payment: 'declined' }, ['nothing-stays-reserved', 'ended-is-released']],
  ])('are open, not broken, while an order is on its way: %j', (state, open) => {
    const world = new World([700]);
    Object.assign(world.trades[0] ?? {}, state);
    const { holds, isAtRest, rules } = addUp(readAll(world));
    expect({ holds, isAtRest }).toEqual({ holds: true, isAtRest: false });
    expect(rules.filter((rule) => rule.state === 'open').map(({ name }) => name)).toEqual(open);
  });

  it('compare cents too, exactly above 2^53', () => {
    const world = new World([1, 1]);
    Object.assign(world.trades[0] ?? {}, { order: 'confirmed', stock: 'sold', payment: 'captured' });
    const reading = readAll(world);
    const { orders } = reading.order;
    const order = { ...reading.order, orders: { ...orders, confirmed: { count: 1, cents: '9007199254740993' } } };
    const sold = { count: 1, cents: '9007199254740994' };
    const { reservations } = reading.inventory;
    const inventory = { ...reading.inventory, reservations: { ...reservations, sold } };
    const { rules } = addUp({ ...reading, order, inventory });
    expect(rules.find(({ name }) => name === 'sold-was-confirmed')?.state).toBe('broken');
  });
});
