/** One tally of payments: how many of a status, and their cents as text. */
const tallyOf = (status: string): string => `json_build_object(
    'count', count(*) filter (where status = '${status}'),
    'cents', coalesce(sum(amount_cents) filter (where status = '${status}'), 0)::text)`;

/** `PaymentFigures`. */
export const FIGURES = `
select json_build_object(
  'depositsCents', (select coalesce(sum(amount_cents), 0)::text from account_entry where kind = 'deposit'),
  'balancesCents', (select coalesce(sum(balance_cents), 0)::text from account),
  'capturedCents', coalesce(sum(amount_cents) filter (where status <> 'declined'), 0)::text,
  'refundedCents', coalesce(sum(amount_cents) filter (where status = 'refunded'), 0)::text,
  'payments', json_build_object(
    'captured', ${tallyOf('captured')},
    'declined', ${tallyOf('declined')},
    'refunded', ${tallyOf('refunded')},
    'tombstone', json_build_object(
      'count', (select count(*) from cancelled_order
                where not exists (select from payment where payment.order_id = cancelled_order.order_id)),
      'cents', '0'))) as figures
from payment`;

/** What is left of the deposits is on the accounts or was captured for orders. */
export const MONEY_IS_CONSERVED = `
with money as (
  select (select coalesce(sum(amount_cents), 0) from account_entry where kind = 'deposit') as "depositsCents",
         (select coalesce(sum(balance_cents), 0) from account) as "balancesCents",
         coalesce(sum(amount_cents) filter (where status <> 'declined'), 0) as "capturedCents",
         coalesce(sum(amount_cents) filter (where status = 'refunded'), 0) as "refundedCents"
  from payment
)
select "depositsCents" = "balancesCents" + "capturedCents" - "refundedCents" as holds, money.* from money`;

/** Each account against the sum of its entries; the accounts that are off by most come first. */
export const BALANCES_ARE_PROVED = `
with proof as (
  select account.customer_id,
         account.balance_cents - coalesce(sum(entry.amount_cents), 0) as off_by,
         account.deposited_cents - coalesce(sum(entry.amount_cents) filter (where entry.kind = 'deposit'), 0) as deposits_off_by,
         account.version - count(entry.entry_number) as entries_off_by
  from account left join account_entry entry on entry.customer_id = account.customer_id
  group by account.customer_id
), wrong as (
  select * from proof where (off_by, deposits_off_by, entries_off_by) <> (0, 0, 0)
)
select not exists (select from wrong) as holds,
       (select count(*) from proof) as accounts,
       (select count(*) from wrong) as "accountsThatDiffer",
       (select coalesce(sum(abs(off_by)), 0) from wrong) as "centsThatDiffer",
       array(select customer_id from wrong order by abs(off_by) desc, customer_id limit 10) as offenders`;

/** Each entry against the sum of the entries up to it: what the balance was at every moment. */
export const BALANCES_NEVER_NEGATIVE = `
with step as (
  select customer_id, entry_number, balance_cents, sum(amount_cents) over steps as running_cents,
         row_number() over steps as expected_number
  from account_entry
  window steps as (partition by customer_id order by entry_number rows unbounded preceding)
), wrong as (
  select * from step where running_cents < 0 or running_cents <> balance_cents or entry_number <> expected_number
)
select not exists (select from wrong) as holds,
       (select count(*) from step) as entries,
       (select coalesce(min(running_cents), 0) from step) as "lowestCents",
       (select count(*) from wrong) as "entriesThatDiffer",
       array(select customer_id from wrong group by customer_id order by min(running_cents), customer_id limit 10) as offenders`;

/** Each payment against the entries that moved its money: one capture unless declined, one refund where refunded. */
export const PAYMENTS_ARE_BOOKED = `
with booked as (
  select payment_id, min(customer_id) as first_customer, max(customer_id) as last_customer,
         sum(amount_cents) filter (where kind = 'capture') as captured,
         sum(amount_cents) filter (where kind = 'refund') as refunded
  from account_entry where payment_id is not null group by payment_id
), wrong as (
  select payment.order_id, payment.amount_cents
  from payment left join booked on booked.payment_id = payment.id
  where booked.captured is distinct from case when payment.status <> 'declined' then -payment.amount_cents end
     or booked.refunded is distinct from case when payment.status = 'refunded' then payment.amount_cents end
     or booked.first_customer <> payment.customer_id
     or booked.last_customer <> payment.customer_id
)
select not exists (select from wrong) as holds,
       (select count(*) from payment) as payments,
       (select count(*) from wrong) as "paymentsThatDiffer",
       array(select order_id::text from wrong order by amount_cents desc, order_id limit 10) as offenders`;

/**
 * Each payment against its events. Retention takes the oldest events away, so a payment may have only its later ones, or
 * none when all that is kept is younger than it. One minute is longer than any transaction of the service may last.
 */
export const PAYMENTS_ARE_TOLD = `
with event as (
  select aggregateid, type, aggregateversion as version from millrace.outbox where aggregatetype = 'payment'
), told as (
  select payment.order_id, payment.version, payment.amount_cents, payment.created_at,
         count(event.version) as events,
         count(distinct event.version) as versions,
         min(event.version) as first_version,
         max(event.version) as last_version,
         bool_and(event.type = case
           when event.version = 2 then 'payment.refunded'
           when payment.status = 'declined' then 'payment.declined'
           else 'payment.captured'
         end) as is_typed
  from payment left join event on event.aggregateid = payment.order_id::text
  group by payment.id
), kept as (
  select occurred_at + interval '1 minute' as since from millrace.outbox order by position limit 1
), wrong as (
  select * from told
  where case when events = 0 then created_at > (select since from kept)
             else not (is_typed and events = versions and last_version = version and events = version - first_version + 1)
        end
)
select not exists (select from wrong) and (select count(*) from event) = (select coalesce(sum(events), 0) from told) as holds,
       (select count(*) from event) as "eventsInOutbox",
       (select coalesce(sum(events), 0) from told) as "eventsOfPayments",
       (select count(*) from wrong) as "paymentsThatDiffer",
       array(select order_id::text from wrong order by amount_cents desc, order_id limit 10) as offenders`;
