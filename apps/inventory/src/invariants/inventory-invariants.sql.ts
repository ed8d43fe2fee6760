import { inventoryFiguresSchema, STOCK_AGGREGATE } from '@millrace/contracts';
import { type InvariantCheck, type ServiceInvariants } from '@millrace/service';

import { RESERVATION_STATUSES } from '../reservations/reservation.entity.js';

const STATUS_LIST = RESERVATION_STATUSES.map((status) => `'${status}'`).join(', ');

const FIGURES = `
with tally as (
  select status, count(*) as count, sum(total_cents) as cents from reservation group by status
), reservations as (
  select json_object_agg(
    status, json_build_object('count', coalesce(count, 0), 'cents', coalesce(cents, 0)::text)
  ) as figures
  from unnest(array[${STATUS_LIST}]) as known (status) left join tally using (status)
), units as (
  select json_build_object(
    'received', coalesce(sum(received), 0)::text,
    'onHand', coalesce(sum(received - sold), 0)::text,
    'reserved', coalesce(sum(reserved), 0)::text,
    'sold', coalesce(sum(sold), 0)::text
  ) as figures
  from stock
)
select json_build_object('reservations', reservations.figures, 'units', units.figures) as figures
from reservations, units`;

/** Articles that an operator looks at first. */
const WORST_MAX = 10;

/** The worst of `compared (sku, is_broken, badness)` by name, as a JSON array. */
const WORST = `
  coalesce((
    select json_agg(sku order by badness desc, sku)
    from (select sku, badness from compared where is_broken order by badness desc, sku limit ${WORST_MAX}) as worst
  ), '[]')::text as "worstSkus"`;

const NEVER_NEGATIVE: InvariantCheck = {
  name: 'stock-never-negative',
  rule: 'For each article: received, reserved, sold and available = received - sold - reserved are not negative.',
  sql: `
with compared as (
  select sku, received - sold - reserved as available,
         least(received, reserved, sold, received - sold - reserved) < 0 as is_broken,
         -least(received, reserved, sold, received - sold - reserved) as badness
  from stock
)
select count(*) filter (where is_broken) = 0 as holds,
  count(*) as skus,
  coalesce(sum(available), 0) as available,
  count(*) filter (where is_broken) as "brokenSkus",${WORST}
from compared`,
};

/** That a column of `stock` equals, article by article, what `counted (sku, pieces)` adds up from other rows. */
function sameBySku(name: string, rule: string, column: string, counted: string): InvariantCheck {
  return {
    name,
    rule,
    sql: `
with counted as (
  ${counted}
), compared as (
  select coalesce(stock.sku, counted.sku) as sku, coalesce(${column}, 0) as noted, coalesce(pieces, 0) as counted,
         coalesce(${column}, 0) <> coalesce(pieces, 0) as is_broken,
         abs(coalesce(${column}, 0) - coalesce(pieces, 0)) as badness
  from stock full join counted on counted.sku = stock.sku
)
select count(*) filter (where is_broken) = 0 as holds,
  coalesce(sum(noted), 0) as noted,
  coalesce(sum(counted), 0) as counted,
  count(*) filter (where is_broken) as "brokenSkus",${WORST}
from compared`,
  };
}

function linesOf(status: 'reserved' | 'sold'): string {
  return `select sku, sum(quantity) as pieces from reservation_line join reservation using (order_id)
  where status = '${status}' group by sku`;
}

/**
 * Retention takes the oldest events away, so a reservation may have only its later ones, or none when all that is kept
 * is younger than it. One minute is longer than any transaction of the service may last.
 */
const EVENTS: InvariantCheck = {
  name: 'reservation-events',
  rule:
    'The outbox holds, as far as it is kept, exactly one event per version of each reservation, of the type of that ' +
    'change; none for a tombstone.',
  reads: 'millrace.outbox',
  sql: `
with event as (
  select aggregateid, type, aggregateversion as version from millrace.outbox where aggregatetype = '${STOCK_AGGREGATE}'
), by_order as (
  select order_id, reservation.version, status, created_at,
    count(event.version) as events,
    count(distinct event.version) as versions,
    min(event.version) as first_version,
    max(event.version) as last_version,
    bool_and(event.type = 'stock.' || case event.version when reservation.version then status else 'reserved' end)
      as is_typed
  from reservation left join event on aggregateid = order_id::text
  group by order_id
), kept as (
  select occurred_at + interval '1 minute' as since from millrace.outbox order by position limit 1
), judged as (
  select events,
    case
      when status = 'tombstone' then events > 0
      when events = 0 then created_at > (select since from kept)
      else not (is_typed and events = versions and last_version = version and events = version - first_version + 1)
    end as is_wrong
  from by_order
)
select not coalesce(bool_or(is_wrong), false)
    and (select count(*) from event) = coalesce(sum(events), 0) as holds,
  coalesce(sum(events), 0) as "eventsOfReservations",
  (select count(*) from event) as "eventsInOutbox",
  count(*) filter (where is_wrong) as "reservationsThatDiffer"
from judged`,
};

/** What `GET /invariants` of the inventory tells. Sums over all rows, by the database. */
export const inventoryInvariants: ServiceInvariants = {
  figures: { schema: inventoryFiguresSchema, sql: FIGURES },
  checks: [
    NEVER_NEGATIVE,
    sameBySku(
      'received-is-its-movements',
      'For each article: received is the sum of its movements.',
      'received',
      'select sku, sum(quantity) as pieces from stock_movement group by sku',
    ),
    sameBySku(
      'reserved-is-its-reservations',
      'For each article: reserved is the sum of the lines of all reservations that are reserved.',
      'reserved',
      linesOf('reserved'),
    ),
    sameBySku(
      'sold-is-its-sales',
      'For each article: sold is the sum of the lines of all reservations that are sold.',
      'sold',
      linesOf('sold'),
    ),
    EVENTS,
  ],
};
