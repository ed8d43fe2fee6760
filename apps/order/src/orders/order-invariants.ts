import { orderFiguresSchema } from '@millrace/contracts';
import { type InvariantCheck, type ServiceInvariants } from '@millrace/service';

/** One row; a status without orders counts 0. */
const FIGURES = `
with by_status as (
  select status, count(*) as orders, sum(total_cents) as cents from orders group by status
)
select json_build_object(
  'orders', (
    select json_object_agg(
      status,
      json_build_object('count', coalesce(orders, 0), 'cents', coalesce(cents, 0)::text)
    )
    from unnest(array['pending', 'confirmed', 'rejected', 'cancelled']) as known (status)
    left join by_status using (status)
  ),
  'refundsRequested', (
    select json_build_object('count', count(*), 'cents', coalesce(sum(total_cents), 0)::text)
    from orders where is_refund_requested
  )
) as figures`;

const TOTALS: InvariantCheck = {
  name: 'order-totals',
  rule: 'The total of every order is the sum of its lines.',
  sql: `
with line_sum as (
  select order_id, sum(quantity::numeric * unit_price_cents) as cents from order_line group by order_id
)
select count(*) filter (where total_cents is distinct from cents) = 0 as holds,
  coalesce(sum(total_cents), 0) as "totalCents",
  coalesce(sum(cents), 0) as "linesCents",
  count(*) filter (where total_cents is distinct from cents) as "ordersThatDiffer"
from orders left join line_sum on order_id = id`,
};

const VERSIONS: InvariantCheck = {
  name: 'order-versions',
  rule: 'An order was changed exactly as often as its state says: pending 0, ended 1, refund requested 2 times.',
  sql: `
select count(*) filter (where version <> expected) = 0 as holds,
  coalesce(sum(version), 0) as versions,
  coalesce(sum(expected), 0) as expected,
  count(*) filter (where version <> expected) as "ordersThatDiffer"
from (
  select version, case when status = 'pending' then 1 when is_refund_requested then 3 else 2 end as expected from orders
) as state`,
};

/**
 * Retention takes the oldest events away, so an order may have only its later ones, or none when all that is kept is
 * younger than it. One minute is longer than any transaction of the service may last.
 */
const EVENTS: InvariantCheck = {
  name: 'order-events',
  rule: 'The outbox holds, as far as it is kept, exactly one event per version of each order, of the type of that change.',
  reads: 'millrace.outbox',
  sql: `
with event as (
  select aggregateid, type, aggregateversion as version from millrace.outbox where aggregatetype = 'order'
),
by_order as (
  select orders.id, orders.version, orders.created_at,
    count(event.version) as events,
    count(distinct event.version) as versions,
    min(event.version) as first_version,
    max(event.version) as last_version,
    bool_and(event.type = case event.version
      when 1 then 'order.placed'
      when 2 then 'order.' || orders.status
      else 'order.refund-requested'
    end) as is_typed
  from orders left join event on aggregateid = orders.id::text
  group by orders.id
),
kept as (select occurred_at + interval '1 minute' as since from millrace.outbox order by position limit 1),
judged as (
  select events, version - first_version + 1 as expected,
    case when events = 0 then created_at > (select since from kept)
    else not (is_typed and events = versions and last_version = version and events = version - first_version + 1)
    end as is_wrong
  from by_order
)
select not coalesce(bool_or(is_wrong), false)
    and (select count(*) from event) = coalesce(sum(events), 0) as holds,
  coalesce(sum(events), 0) as "eventsOfOrders",
  (select count(*) from event) as "eventsInOutbox",
  coalesce(sum(expected), 0) as "eventsExpected",
  count(*) filter (where is_wrong) as "ordersThatDiffer"
from judged`,
};

/** What `GET /invariants` of the order service tells. */
export const orderInvariants: ServiceInvariants = {
  figures: { schema: orderFiguresSchema, sql: FIGURES },
  checks: [TOTALS, VERSIONS, EVENTS],
};
