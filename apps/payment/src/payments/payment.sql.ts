/**
 * $1 payment, $2 order, $3 customer, $4 cents. Makes the order's one payment, declined where the order was cancelled
 * before; no row comes back when there is one already. Its row is the lock: a twin of this statement waits for the end
 * of this transaction.
 */
export const OPEN_PAYMENT = `
insert into payment (id, order_id, customer_id, amount_cents, status, reason, version)
select $1, $2, $3, $4::bigint,
       case when tombstone.order_id is null then 'captured' else 'declined' end,
       case when tombstone.order_id is not null then 'order-cancelled' end,
       1
from (values ($2::uuid)) wanted (order_id) left join cancelled_order tombstone using (order_id)
on conflict on constraint payment_order_id_key do nothing
returning status`;

/** $1 order. Locks the payment until the transaction ends. */
export const LOCK_PAYMENT = `
select id, customer_id, amount_cents, status from payment where order_id = $1 for no key update`;

/** $1 payment, $2 reason. In the transaction that made it: nobody has seen it captured. */
export const DECLINE_PAYMENT = `update payment set status = 'declined', reason = $2 where id = $1`;

/** $1 payment. */
export const REFUND_PAYMENT = `update payment set status = 'refunded', version = version + 1 where id = $1`;

/** $1 order. */
export const BURY_ORDER = `
insert into cancelled_order (order_id) values ($1) on conflict on constraint cancelled_order_pk do nothing`;
