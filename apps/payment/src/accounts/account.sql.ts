/** $1 customer. The lock under which a balance is read and changed; foreign keys may still point at the row. */
export const LOCK_ACCOUNT = `
select customer_id, balance_cents, deposited_cents, version from account where customer_id = $1 for no key update`;

/**
 * $1 customer, $2 cents. Opens the account with its first entry; no row comes back when it exists. A twin that is
 * opening it now is waited for.
 */
export const OPEN_ACCOUNT = `
with opened as (
  insert into account (customer_id, balance_cents, deposited_cents, version) values ($1, $2::bigint, $2, 1)
  on conflict on constraint account_pk do nothing
  returning customer_id, balance_cents, version
)
insert into account_entry (customer_id, entry_number, kind, amount_cents, balance_cents)
select customer_id, version, 'deposit', balance_cents, balance_cents from opened
returning entry_number as version, balance_cents`;

/** $1 customer, $2 cents (below zero to take), $3 kind, $4 payment or null. Changes the balance and says so, in one. */
export const MOVE_MONEY = `
with moved as (
  update account
  set balance_cents = balance_cents + $2::bigint,
      deposited_cents = deposited_cents + case when $3::text = 'deposit' then $2 else 0 end,
      version = version + 1
  where customer_id = $1
  returning customer_id, version, balance_cents
)
insert into account_entry (customer_id, entry_number, kind, amount_cents, balance_cents, payment_id)
select customer_id, version, $3, $2, balance_cents, $4 from moved
returning entry_number as version, balance_cents`;

/** $1 customer. What the account was opened with. */
export const FIND_OPENING = `
select account.version, account.balance_cents, opening.amount_cents as opening_cents
from account join account_entry opening on opening.customer_id = account.customer_id and opening.entry_number = 1
where account.customer_id = $1`;
