import { type Service, SERVICES } from '../../harness/shop.js';
import { withClient } from '../../harness/servers.js';
import { type StoryEvent } from './order-fate.js';

/** An event of an outbox. */
export interface StoredEvent extends StoryEvent {
  readonly key: string;
  readonly position: bigint;
  /** As PostgreSQL prints it. */
  readonly payload: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly occurredAt: Date;
}

export interface StoredOrder {
  readonly id: string;
  readonly customer_id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly is_refund_requested: boolean;
  readonly total_cents: string;
}

export interface StoredReservation {
  readonly order_id: string;
  readonly status: string;
}

export interface StoredPayment {
  readonly order_id: string;
  readonly customer_id: string;
  readonly status: string;
  readonly amount_cents: string;
}

export interface StoredStock {
  readonly sku: string;
  readonly received: string;
  readonly reserved: string;
  readonly sold: string;
}

export interface StoredMovement {
  readonly sku: string;
  readonly version: string;
  readonly quantity: string;
  readonly reason: string;
}

export interface StoredAccount {
  readonly customer_id: string;
  readonly balance_cents: string;
  /** The first is what the account was opened with. */
  readonly deposits: readonly string[];
}

/** All that the three databases hold after a run. */
export interface ShopState {
  readonly orders: readonly StoredOrder[];
  readonly reservations: readonly StoredReservation[];
  readonly payments: readonly StoredPayment[];
  readonly stock: readonly StoredStock[];
  readonly movements: readonly StoredMovement[];
  readonly accounts: readonly StoredAccount[];
  /** By the position of each. */
  readonly events: Readonly<Record<Service, readonly StoredEvent[]>>;
  /** Positions that were drawn by transactions that did not commit. */
  readonly rolledBack: number;
  /** What a consumer has set aside, or has not got to: a line each. */
  readonly leftovers: readonly string[];
}

interface EventRow {
  readonly id: string;
  readonly aggregatetype: string;
  readonly aggregateid: string;
  readonly type: string;
  readonly aggregateversion: string | null;
  readonly position: string;
  readonly payload: string;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly occurred_at: Date;
}

const EVENTS_SQL = `select id, aggregatetype, aggregateid, type, aggregateversion::text, position::text,
  payload::text as payload, headers, occurred_at from millrace.outbox o order by o.position`;
const ROLLED_BACK_SQL = `select (case when is_called then last_value else 0 end - (select count(*) from millrace.outbox))::text
  as positions from millrace.position`;
const LEFTOVERS_SQL = `
select format('key %s of %s is %s (%s: %s, %s tries)', key, topic, status, code, reason, attempts) as problem
from millrace.inbox_held_key
union all
select format('event %s (%s) of key %s is set aside', id, type, key) from millrace.inbox_held
union all
select format('partition %s/%s has a hole from %s to %s', topic, partition, hole_from, hole_to)
from millrace.inbox_partition where hole_from is not null`;

/** Reads all of it, database by database; nothing is at work any more. */
export async function readShopState(databaseUrls: Readonly<Record<Service, string>>): Promise<ShopState> {
  const read = async <Row extends object>(service: Service, sql: string): Promise<Row[]> =>
    withClient(databaseUrls[service], async (client) => (await client.query<Row>(sql)).rows);
  const everywhere = async <Row extends object>(sql: string): Promise<Readonly<Record<Service, Row[]>>> => ({
    order: await read<Row>('order', sql),
    inventory: await read<Row>('inventory', sql),
    payment: await read<Row>('payment', sql),
  });
  const events = await everywhere<EventRow>(EVENTS_SQL);
  const leftovers = await everywhere<{ problem: string }>(LEFTOVERS_SQL);
  const rolledBack = await everywhere<{ positions: string }>(ROLLED_BACK_SQL);
  return {
    orders: await read(
      'order',
      'select id, customer_id, status, reason, is_refund_requested, total_cents::text from orders order by id',
    ),
    reservations: await read('inventory', 'select order_id, status from reservation'),
    payments: await read('payment', 'select order_id, customer_id, status, amount_cents::text from payment'),
    stock: await read('inventory', 'select sku, received::text, reserved::text, sold::text from stock order by sku'),
    movements: await read(
      'inventory',
      'select sku, version::text, quantity::text, reason from stock_movement order by sku, version',
    ),
    accounts: await read(
      'payment',
      `select customer_id, balance_cents::text, array(
         select amount_cents::text from account_entry entry
         where entry.customer_id = account.customer_id and kind = 'deposit' order by entry_number
       ) as deposits from account order by customer_id`,
    ),
    events: {
      order: events.order.map(toStoredEvent),
      inventory: events.inventory.map(toStoredEvent),
      payment: events.payment.map(toStoredEvent),
    },
    rolledBack: SERVICES.reduce((sum, service) => sum + Number(rolledBack[service][0]?.positions), 0),
    leftovers: SERVICES.flatMap((service) => leftovers[service].map(({ problem }) => `${service}: ${problem}`)),
  };
}

function toStoredEvent(row: EventRow): StoredEvent {
  const headers = row.headers ?? {};
  return {
    id: row.id,
    aggregatetype: row.aggregatetype,
    type: row.type,
    version: Number(row.aggregateversion),
    causedBy: headers['causation-id'],
    key: row.aggregateid,
    position: BigInt(row.position),
    payload: row.payload,
    headers,
    occurredAt: row.occurred_at,
  };
}
