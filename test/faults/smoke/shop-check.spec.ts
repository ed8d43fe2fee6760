import { describe, expect, it } from '@jest/globals';
import { checkMoney, checkStock, checkStories } from './shop-check.js';
import { type ShopState, type StoredEvent } from './shop-state.js';
import { ShopTruth } from './shop-truth.js';

const ID = '01a1fecc-59da-7766-b9d3-6bbb53d970c0';
const BODY = { customerId: 'ada', lines: [{ sku: 'book', quantity: 2, unitPriceCents: 500 }] };

/** One order of two books, confirmed; three came in and one was counted away; 700 cents were paid in. */
function truthOf(): ShopTruth {
  const truth = new ShopTruth();
  const answer = { status: 202, text: '{}', location: null, token: null };
  truth.orders.set(ID, { id: ID, key: 'key', body: BODY, answer, acceptedAt: new Date(), cancels: [] });
  truth.adjustments.set('movement 1', { sku: 'book', quantity: 3 });
  truth.counts.push({ sku: 'book', quantity: -1, version: 4 });
  truth.deposits.set('ada', new Set([700]));
  return truth;
}

function stateOf(): ShopState {
  const event = (type: string, version: number, causedBy?: string): StoredEvent => ({
    id: `id of ${type}`,
    aggregatetype: type.split('.')[0] ?? '',
    type,
    version,
    causedBy: causedBy === undefined ? undefined : `id of ${causedBy}`,
    key: ID,
    position: BigInt(version),
    payload: '{}',
    headers: {},
    occurredAt: new Date(),
  });
  return {
    orders: [
      {
        id: ID,
        customer_id: 'ada',
        status: 'confirmed',
        reason: null,
        is_refund_requested: false,
        total_cents: '1000',
      },
    ],
    reservations: [{ order_id: ID, status: 'sold' }],
    payments: [{ order_id: ID, customer_id: 'ada', status: 'captured', amount_cents: '1000' }],
    stock: [{ sku: 'book', received: '12', reserved: '0', sold: '2' }],
    movements: [
      { sku: 'book', version: '1', quantity: '10', reason: 'counted' },
      { sku: 'book', version: '3', quantity: '3', reason: 'movement 1' },
      { sku: 'book', version: '4', quantity: '-1', reason: 'counted' },
    ],
    accounts: [{ customer_id: 'ada', balance_cents: '4700', deposits: ['5000', '700'] }],
    events: {
      order: [event('order.placed', 1), event('order.confirmed', 2, 'payment.captured')],
      inventory: [event('stock.reserved', 1, 'order.placed'), event('stock.sold', 2, 'order.confirmed')],
      payment: [event('payment.captured', 1, 'stock.reserved')],
    },
    rolledBack: 0,
    leftovers: [],
  };
}

const textsOf = (found: readonly { readonly text: string }[]): readonly string[] => found.map(({ text }) => text);

describe('what a shop holds against what its customers know', () => {
  it('is right when all of it agrees', () => {
    const [truth, state] = [truthOf(), stateOf()];
    expect([...checkStories(truth, state), ...checkStock(truth, state), ...checkMoney(truth, state)]).toEqual([]);
  });

  it('misses an order that was accepted, and finds one that nobody has placed', () => {
    const state = stateOf();
    expect(textsOf(checkStories(truthOf(), { ...state, orders: [] }))).toEqual(['it was accepted and is not stored']);
    expect(textsOf(checkStories(new ShopTruth(), state))).toEqual(['nobody has placed it']);
  });

  it('finds an order and a payment of another amount than was ordered', () => {
    const state = stateOf();
    const orders = state.orders.map((order) => ({ ...order, total_cents: '999' }));
    expect(textsOf(checkStories(truthOf(), { ...state, orders }))).toEqual([
      'its customer or total is not what was ordered',
      'its payment is of another customer or amount',
    ]);
  });

  it('finds a piece too many, and one that stays reserved', () => {
    const state = stateOf();
    const stock = state.stock.map((one) => ({ ...one, sold: '3', reserved: '1' }));
    expect(textsOf(checkStock(truthOf(), { ...state, stock }))).toEqual([
      'article book has received 12, reserved 1, sold 3; its movements and orders leave received 12, reserved 0, sold 2',
    ]);
  });

  it('finds a movement that is missing, and one that is there twice', () => {
    const state = stateOf();
    const without = state.movements.filter(({ reason }) => reason !== 'movement 1');
    expect(textsOf(checkStock(truthOf(), { ...state, movements: without }))).toContain(
      'movement 1, 3 of book, is missing',
    );
    const twice = [...state.movements, { sku: 'book', version: '5', quantity: '3', reason: 'movement 1' }];
    expect(textsOf(checkStock(truthOf(), { ...state, movements: twice }))).toContain(
      'article book has a movement of 3 (movement 1) that nobody asked for, or twice',
    );
  });

  it('lets a count be there or not that was never answered', () => {
    const [truth, state] = [truthOf(), stateOf()];
    truth.unsureCounts.push(...truth.counts.splice(0));
    expect(checkStock(truth, state)).toEqual([]);
    const movements = state.movements.slice(0, 2);
    const stock = state.stock.map((one) => ({ ...one, received: '13' }));
    expect(checkStock(truth, { ...state, movements, stock })).toEqual([]);
  });

  it('finds a cent that is missing, and a deposit that was booked twice', () => {
    const state = stateOf();
    const poorer = state.accounts.map((account) => ({ ...account, balance_cents: '4699' }));
    expect(textsOf(checkMoney(truthOf(), { ...state, accounts: poorer }))).toEqual([
      'account ada has 4699 cents; its orders leave 4700',
    ]);
    const richer = state.accounts.map((account) => ({ ...account, deposits: ['5000', '700', '700'] }));
    expect(textsOf(checkMoney(truthOf(), { ...state, accounts: richer }))).toEqual([
      'account ada has deposits 700 700; paid in were 700',
    ]);
  });
});
