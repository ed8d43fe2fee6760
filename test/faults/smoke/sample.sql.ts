import { type Service } from '../../harness/shop.js';

/*
 * One statement for each database, so one snapshot: rows that break a rule, each as a text. A state and the events that
 * tell of it are committed together, so their numbers agree in every snapshot.
 */

const ORDER = `
with told as (
  select count(*) filter (where type = 'order.placed') as placed,
         count(*) filter (where type = 'order.confirmed') as confirmed,
         count(*) filter (where type = 'order.rejected') as rejected,
         count(*) filter (where type = 'order.cancelled') as cancelled,
         count(*) filter (where type = 'order.refund-requested') as refunds
  from millrace.outbox
), kept as (
  select count(*) as placed,
         count(*) filter (where status = 'confirmed') as confirmed,
         count(*) filter (where status = 'rejected') as rejected,
         count(*) filter (where status = 'cancelled') as cancelled,
         count(*) filter (where is_refund_requested) as refunds
  from orders
)
select format('orders %s and events %s', kept, told) as problem
from told, kept where told::text <> kept::text`;

const INVENTORY = `
with moved as (
  select sku, sum(quantity) as pieces from stock_movement group by sku
), promised as (
  select sku, sum(quantity) filter (where status = 'reserved') as reserved,
         sum(quantity) filter (where status = 'sold') as sold
  from reservation_line join reservation using (order_id) group by sku
), told as (
  select count(*) filter (where type = 'stock.reserved') as reserved,
         count(*) filter (where type = 'stock.refused') as refused,
         count(*) filter (where type = 'stock.sold') as sold,
         count(*) filter (where type = 'stock.released') as released
  from millrace.outbox
), kept as (
  select count(*) filter (where status in ('reserved', 'sold', 'released')) as reserved,
         count(*) filter (where status = 'refused') as refused,
         count(*) filter (where status = 'sold') as sold,
         count(*) filter (where status = 'released') as released
  from reservation
)
select format('article %s: received %s of %s, reserved %s of %s, sold %s of %s', sku, received, moved.pieces,
              stock.reserved, promised.reserved, stock.sold, promised.sold) as problem
from stock left join moved using (sku) left join promised using (sku)
where least(received, stock.reserved, stock.sold, received - stock.sold - stock.reserved) < 0
   or received <> coalesce(moved.pieces, 0)
   or stock.reserved <> coalesce(promised.reserved, 0)
   or stock.sold <> coalesce(promised.sold, 0)
union all
select format('reservations %s and events %s', kept, told) from told, kept where told::text <> kept::text`;

const PAYMENT = `
with booked as (
  select customer_id, sum(amount_cents) as cents from account_entry group by customer_id
), money as (
  select (select coalesce(sum(amount_cents), 0) from account_entry where kind = 'deposit') as deposits,
         (select coalesce(sum(balance_cents), 0) from account) as balances,
         (select coalesce(sum(amount_cents), 0) from payment where status <> 'declined') as captured,
         (select coalesce(sum(amount_cents), 0) from payment where status = 'refunded') as refunded
), told as (
  select count(*) filter (where type = 'payment.captured') as captured,
         count(*) filter (where type = 'payment.declined') as declined,
         count(*) filter (where type = 'payment.refunded') as refunded
  from millrace.outbox
), kept as (
  select count(*) filter (where status <> 'declined') as captured,
         count(*) filter (where status = 'declined') as declined,
         count(*) filter (where status = 'refunded') as refunded
  from payment
)
select format('account %s: %s cents of %s', customer_id, balance_cents, booked.cents) as problem
from account left join booked using (customer_id)
where balance_cents < 0 or balance_cents <> coalesce(booked.cents, 0)
union all
select format('money %s', money) from money where deposits <> balances + captured - refunded
union all
select format('payments %s and events %s', kept, told) from told, kept where told::text <> kept::text`;

/** What must give no row, in any snapshot. */
export const SAMPLE_SQL: Readonly<Record<Service, string>> = { order: ORDER, inventory: INVENTORY, payment: PAYMENT };
