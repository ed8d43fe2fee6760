/**
 * $1 order, $2 customer, $3 cents, $4 SKUs, $5 quantities. No row when the order has a reservation; an open transaction
 * that makes one is waited for. Locks: the new row.
 */
export const INSERT_RESERVATION = `
with reservation as (
  insert into reservation (order_id, customer_id, status, total_cents, version) values ($1, $2, 'reserved', $3, 1)
  on conflict on constraint reservation_pk do nothing
  returning order_id
), line as (
  insert into reservation_line (order_id, sku, quantity)
  select order_id, sku, quantity from reservation, unnest($4::text[], $5::bigint[]) as wanted (sku, quantity)
)
select from reservation`;

/** $1 order. No row when it has one. */
export const INSERT_TOMBSTONE = `
insert into reservation (order_id, status, version) values ($1, 'tombstone', 1)
on conflict on constraint reservation_pk do nothing
returning version`;

/** $1 order. */
export const LOCK_RESERVATION = `
select status, customer_id, total_cents::text, version from reservation where order_id = $1 for no key update`;

/** $1 order, $2 reason. Right after its insertion, in the same transaction. */
export const REFUSE_RESERVATION = `
update reservation set status = 'refused', reason = $2 where order_id = $1`;

/** $1 order, $2 customer, $3 cents, $4 SKUs, $5 quantities, $6 reason. Only while it is locked and `tombstone`. */
export const REFUSE_TOMBSTONE = `
with reservation as (
  update reservation set status = 'refused', reason = $6, customer_id = $2, total_cents = $3, version = version + 1
  where order_id = $1
  returning order_id, version
), line as (
  insert into reservation_line (order_id, sku, quantity)
  select order_id, sku, quantity from reservation, unnest($4::text[], $5::bigint[]) as wanted (sku, quantity)
)
select version from reservation`;

/** $1 order, $2 `sold` or `released`. No row, and no change, when it is not `reserved`. Locks: the row. */
export const END_RESERVATION = `
with reservation as (
  update reservation set status = $2, version = version + 1 where order_id = $1 and status = 'reserved'
  returning version
)
select version from reservation`;

/**
 * Rows that are updated after they were locked in the same statement get all their columns from `locked`. PostgreSQL
 * makes the new row of the statement's snapshot first, and checks its constraints, before it notices that the row has
 * changed since and does it again: what is right under the lock would be refused for what the row once was.
 */
const AS_LOCKED = 'received = locked.received, version = locked.version + 1';

/**
 * $1 SKUs, each once, $2 quantities. Reserves all or none and says which: `reserved`, `unknown-sku`, `out-of-stock`.
 * Locks: the stock rows in the order of their SKUs, so that two orders with the same articles cannot deadlock; what is
 * available is read under these locks. One statement, as the rows of articles that sell well stay locked from here to
 * the commit.
 */
export const RESERVE_STOCK = `
with wanted as materialized (
  select sku, quantity from unnest($1::text[], $2::bigint[]) as wanted (sku, quantity)
), locked as materialized (
  select stock.sku, stock.received, stock.reserved, stock.sold, stock.version, wanted.quantity
  from wanted join stock on stock.sku = wanted.sku
  order by stock.sku
  for no key update of stock
), verdict as materialized (
  select case
    when count(*) < (select count(*) from wanted) then 'unknown-sku'
    when bool_or(received - sold - reserved < quantity) then 'out-of-stock'
    else 'reserved'
  end as outcome
  from locked
), taken as (
  update stock set reserved = locked.reserved + locked.quantity, sold = locked.sold, ${AS_LOCKED}
  from locked
  where stock.sku = locked.sku and (select outcome from verdict) = 'reserved'
)
select outcome from verdict`;

const LOCK_LINES = `
with locked as materialized (
  select stock.sku, stock.received, stock.reserved, stock.sold, stock.version, reservation_line.quantity
  from reservation_line join stock on stock.sku = reservation_line.sku
  where reservation_line.order_id = $1
  order by stock.sku
  for no key update of stock
)`;

/** $1 order. What it has reserved is sold. Locks: the stock rows in the order of their SKUs. */
export const SELL_STOCK = `${LOCK_LINES}
update stock
set reserved = locked.reserved - locked.quantity, sold = locked.sold + locked.quantity, ${AS_LOCKED}
from locked where stock.sku = locked.sku`;

/** $1 order. What it has reserved is available again. Locks: the stock rows in the order of their SKUs. */
export const RELEASE_STOCK = `${LOCK_LINES}
update stock set reserved = locked.reserved - locked.quantity, sold = locked.sold, ${AS_LOCKED}
from locked where stock.sku = locked.sku`;
