/** The functions check everything again under their locks: nothing here is trusted by them. */

/** Leaves that are written to their end, those with rows first, each by age. $1 how many. */
export const DRAWN_LEAVES_SQL = `select l.leaf::text as table_name, l.lo::text as lo, (l.hi - 1)::text as last,
  l.emptied_at is not null as is_emptied
from millrace.outbox_leaf l where l.hi - 1 <= millrace.last_position() 
order by l.emptied_at is not null, l.lo limit $1`;

/** One statement per leaf. $1 lo, $2 keep in ms. */
export const LEAF_VERDICT_SQL = `select v.verdict, v.leaf::text as table_name, v.last::text as last, v.route,
  v.rows_found::text as found, v.counted::text as counted
from millrace.leaf_verdict($1::bigint, $2::bigint) v`;

/** One transaction per leaf. $1 lo, $2 keep in ms, $3 rows that were copied, or null. */
export const EMPTY_LEAF_SQL = `select v.verdict, v.leaf::text as table_name, v.last::text as last, v.route,
  v.rows_found::text as found, v.counted::text as counted
from millrace.empty_leaf($1::bigint, $2::bigint, $3::bigint) v`;

/** $1 how many at most. */
export const DROP_EMPTY_LEAVES_SQL = `select d.verdict, d.dropped::text as dropped
from millrace.drop_empty_leaves($1::integer) d`;

/** Nothing that they tell of can be replayed any more. $1 keep in ms. */
export const FORGET_CHECKPOINTS_SQL = `delete from millrace.checkpoint
where at < clock_timestamp() - $1::bigint * interval '1 millisecond'`;

/** 0 when the default partition has no row. */
export const DEFAULT_BYTES_SQL = `select case when exists (select from millrace.outbox_default)
  then pg_total_relation_size('millrace.outbox_default') else 0 end::text as bytes`;

export const ROUTES_SQL = `select l.route, l.low::text as low, l.expired_at is not null as is_expired
from millrace.ledger l order by l.route`;

/** $1 route, $2 keep in ms. */
export const ROUTE_HOLDS_SQL = `select h.leaves::text as leaves, h.bytes::text as bytes,
  coalesce(floor(extract(epoch from clock_timestamp() - h.oldest) * 1000), 0)::bigint::text as age_ms
from millrace.route_holds($1, $2::bigint) h`;

/** $1 route, $2 keep in ms, $3 maximum age in ms, $4 maximum bytes, $5 the low that was seen a while ago. */
export const EXPIRE_ROUTE_SQL = `select e.verdict, e.low::text as low, e.leaves::text as leaves, e.bytes::text as bytes,
  e.age_ms::text as age_ms
from millrace.expire_route($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint) e`;

/** $1 route, $2 actor, $3 reason, $4 ms without expiry. */
export const LET_ROUTE_GO_ON_SQL = `select g.verdict, g.lost_from::text as lost_from, g.lost_to::text as lost_to
from millrace.let_route_go_on($1, $2, $3, $4::bigint) g`;

/** $1 lo, $2 actor, $3 reason, $4 the rows of the leaf. */
export const ACCEPT_LEAF_COUNT_SQL = `select a.verdict, a.leaf::text as table_name, a.route, a.routes::text as routes
from millrace.accept_leaf_count($1::bigint, $2, $3, $4::bigint) a`;

/**
 * What each route that counts has counted of a leaf, and what it has from the route's beginning on; without such a route
 * one row with the total alone. Most routes began before the leaf: they share one count. $1 lo.
 */
export function leafCountsSql(isDefault: boolean): string {
  const rows = isDefault
    ? 'only millrace.outbox_default o where true'
    : 'millrace.outbox o where o.position >= $1::bigint and o.position < (select l.hi from millrace.outbox_leaf l where l.lo = $1::bigint)';
  return `with leaf as materialized (select count(*) as total, min(o.position) as first from ${rows})
select leaf.total::text as total, r.route, r.counted::text as counted,
  case when leaf.first is null or r.counted_from <= leaf.first then leaf.total
    else (select count(*) from ${rows} and o.position >= r.counted_from) end::text as found
from leaf left join (
  select l.route, l.counted_from, coalesce(c.rows_read, 0) + case when l.leaf_lo = $1::bigint then l.leaf_rows else 0 end as counted
  from millrace.ledger l left join millrace.ledger_leaf c on c.route = l.route and c.leaf_lo = $1::bigint
  where l.counted_from is not null and l.expired_at is null
) r on true
order by r.route`;
}
