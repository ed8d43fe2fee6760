import { type ConsumedRecord } from '@millrace/testing';
import { type Service, SERVICES } from '../../harness/shop.js';
import { checkDeliveries, type CommittedEvent, type DeliveryVerdict } from '../delivery-check.js';
import { storyProblems } from './order-fate.js';
import { type ShopState, type StoredEvent } from './shop-state.js';
import { type ShopTruth } from './shop-truth.js';

/** What can be wrong after a run. */
export const VIOLATION_KINDS = [
  'late',
  'story',
  'stock',
  'money',
  'kafka',
  'set aside',
  'reading',
  'answer',
  'rule',
] as const;
export type ViolationKind = (typeof VIOLATION_KINDS)[number];

/** One broken promise, with the order that it is about where it is about one. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly orderId?: string;
  readonly text: string;
}

/** The topic of each service's events. */
export const TOPICS: Readonly<Record<Service, string>> = {
  order: 'outbox.event.order',
  inventory: 'outbox.event.stock',
  payment: 'outbox.event.payment',
};

/** The events of each order, of all services. */
export function eventsByOrder(state: ShopState): ReadonlyMap<string, readonly StoredEvent[]> {
  const byOrder = new Map<string, StoredEvent[]>();
  for (const event of SERVICES.flatMap((service) => state.events[service])) {
    const known = byOrder.get(event.key);
    if (known === undefined) {
      byOrder.set(event.key, [event]);
    } else {
      known.push(event);
    }
  }
  return byOrder;
}

/** Every accepted order is stored, with one of the fates that can be, as its customer was told; and no other order is. */
export function checkStories(truth: ShopTruth, state: ShopState): readonly Violation[] {
  const events = eventsByOrder(state);
  const stored = new Map(state.orders.map((order) => [order.id, order]));
  const reservations = new Map(state.reservations.map(({ order_id, status }) => [order_id, status]));
  const payments = new Map(state.payments.map((payment) => [payment.order_id, payment]));
  const found = (orderId: string, text: string): Violation => ({ kind: 'story', orderId, text });
  const strangers = [...new Set([...stored.keys(), ...reservations.keys(), ...payments.keys(), ...events.keys()])];
  return [
    ...strangers.filter((id) => !truth.orders.has(id)).map((id) => found(id, 'nobody has placed it')),
    ...[...truth.orders.values()].flatMap(({ id, body }) => {
      const order = stored.get(id);
      if (order === undefined) {
        return [found(id, 'it was accepted and is not stored')];
      }
      const {
        status,
        reason,
        is_refund_requested: isRefundRequested,
        total_cents: total,
        customer_id: customer,
      } = order;
      const payment = payments.get(id);
      const story = {
        order: { status, reason, isRefundRequested },
        reservation: reservations.get(id),
        payment: payment?.status,
        events: events.get(id) ?? [],
      };
      const isAsOrdered = customer === body.customerId && Number(total) === totalOf(body.lines);
      const isAsCharged = payment === undefined || (payment.amount_cents === total && payment.customer_id === customer);
      return [
        ...storyProblems(story, { isCancelTaken: truth.isCancelTaken(id) }),
        ...(isAsOrdered ? [] : ['its customer or total is not what was ordered']),
        ...(isAsCharged ? [] : ['its payment is of another customer or amount']),
      ].map((text) => found(id, text));
    }),
  ];
}

/** Each article: what came, what was sold to confirmed orders, and nothing reserved. */
export function checkStock(truth: ShopTruth, state: ShopState): readonly Violation[] {
  const sold = sumBy(
    confirmedLines(truth, state),
    ({ sku }) => sku,
    ({ quantity }) => quantity,
  );
  const received = sumBy(
    state.movements,
    ({ sku }) => sku,
    ({ quantity }) => Number(quantity),
  );
  return [
    ...state.stock
      .map((stock) => ({
        sku: stock.sku,
        seen: `received ${stock.received}, reserved ${stock.reserved}, sold ${stock.sold}`,
        wanted: `received ${received.get(stock.sku) ?? 0}, reserved 0, sold ${sold.get(stock.sku) ?? 0}`,
      }))
      .filter(({ seen, wanted }) => seen !== wanted)
      .map(({ sku, seen, wanted }) => `article ${sku} has ${seen}; its movements and orders leave ${wanted}`),
    ...movementProblems(truth, state),
  ].map((text) => ({ kind: 'stock', text }));
}

/** Each account: what it was opened with and paid in, less what its confirmed orders cost. */
export function checkMoney(truth: ShopTruth, state: ShopState): readonly Violation[] {
  const confirmed = state.orders.filter(({ status }) => status === 'confirmed');
  const spent = sumBy(
    confirmed,
    ({ customer_id }) => customer_id,
    ({ total_cents }) => Number(total_cents),
  );
  return state.accounts
    .flatMap(({ customer_id: customer, balance_cents: balance, deposits }) => {
      const [opening = '0', ...later] = deposits;
      const told = [...(truth.deposits.get(customer) ?? [])].map(String);
      const wanted = [opening, ...told].reduce((sum, cents) => sum + Number(cents), 0) - (spent.get(customer) ?? 0);
      return [
        ...(Number(balance) === wanted ? [] : [`account ${customer} has ${balance} cents; its orders leave ${wanted}`]),
        ...(sortedText(later) === sortedText(told)
          ? []
          : [`account ${customer} has deposits ${sortedText(later)}; paid in were ${sortedText(told)}`]),
      ];
    })
    .map((text) => ({ kind: 'money', text }));
}

/** Every committed event of a service in its topic, in the order of its key, as it was committed; and nothing else. */
export function checkTopic(service: Service, state: ShopState, records: readonly ConsumedRecord[]): DeliveryVerdict {
  return checkDeliveries(state.events[service].map(toCommitted), records, { source: service, route: service });
}

function toCommitted({ id, key, version, position, type, payload, headers }: StoredEvent): CommittedEvent {
  return { id, key, version, position, type, payload, headers };
}

/** Every accepted adjustment and count is there once; nothing else is, but for what an article began with. */
function movementProblems(truth: ShopTruth, { movements }: ShopState): string[] {
  const left = new Map([...truth.adjustments].map(([reason, wanted]) => [reason, { ...wanted, isSure: true }]));
  const countKey = (sku: string, version: number | string): string => `count of ${sku} to version ${version}`;
  truth.counts.forEach((wanted) => left.set(countKey(wanted.sku, wanted.version), { ...wanted, isSure: true }));
  truth.unsureCounts.forEach((wanted) => left.set(countKey(wanted.sku, wanted.version), { ...wanted, isSure: false }));
  const problems: string[] = [];
  for (const { sku, version, quantity, reason } of movements) {
    const isOpening = reason === 'counted' && version === '1';
    const key = reason === 'counted' ? countKey(sku, version) : reason;
    const wanted = left.get(key);
    if (!isOpening && (wanted?.sku !== sku || wanted.quantity !== Number(quantity))) {
      problems.push(`article ${sku} has a movement of ${quantity} (${key}) that nobody asked for, or twice`);
    }
    left.delete(key);
  }
  const missing = [...left].filter(([, { isSure }]) => isSure);
  return [...problems, ...missing.map(([key, { sku, quantity }]) => `${key}, ${quantity} of ${sku}, is missing`)];
}

function confirmedLines(truth: ShopTruth, state: ShopState): { readonly sku: string; readonly quantity: number }[] {
  return state.orders
    .filter(({ status }) => status === 'confirmed')
    .flatMap(({ id }) => truth.orders.get(id)?.body.lines ?? []);
}

function totalOf(lines: readonly { readonly quantity: number; readonly unitPriceCents: number }[]): number {
  return lines.reduce((sum, { quantity, unitPriceCents }) => sum + quantity * unitPriceCents, 0);
}

function sumBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  amountOf: (item: Item) => number,
): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const item of items) {
    sums.set(keyOf(item), (sums.get(keyOf(item)) ?? 0) + amountOf(item));
  }
  return sums;
}

function sortedText(amounts: readonly string[]): string {
  return amounts
    .map(Number)
    .sort((a, b) => a - b)
    .join(' ');
}
