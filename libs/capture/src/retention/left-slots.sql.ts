import { SHARDS_MAX } from '../route-shards.js';

/**
 * Nobody has the route, nor has had it for a minute: time enough for a relay that restarts, or for another one to claim.
 * An expired one is given to nobody.
 */
const IS_LEFT = `(l.expired_at is not null or coalesce(l.expires, l.updated_at) < clock_timestamp() - interval '1 minute')`;

/** A shard that the route has no more, or the whole of one that is divided: what is left of it is nobody's. */
const isGone = (name: string): string => `${name} not in (select millrace.shard_names(r.route, r.shards))`;

/** One row for each route that nobody has and each slot of ours that nobody reads; which belong together the names tell. */
export const LEFT_SLOTS_SQL = `select l.route, l.has_to_go, d.oid::text as database_oid,
  s.slot_name::text as slot_name, s.safe_wal_size::text as safe_wal_size,
  pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint::text as retained_bytes
from pg_replication_slots s
join pg_database d on d.datname = current_database() and d.oid = s.datoid
cross join (
  select l.route, l.expired_at is not null as has_to_go from millrace.ledger l where ${IS_LEFT}
  union all
  select n.name, true from millrace.route_shards r
  cross join lateral (select r.route union all select r.route || '/' || i from generate_series(1, ${SHARDS_MAX}) i) n(name)
  where ${isGone('n.name')}
) l
where starts_with(s.slot_name::text, 'millrace_') and s.active_pid is null and not s.temporary
order by l.route, s.slot_name`;

/**
 * The row of the ledger is held until the slot is gone, so that whoever claims the route, or lets it go on, waits for it or
 * comes before it; of a shard that is no more the row that says so. $1 route, $2 slot.
 */
export const DROP_LEFT_SLOT_SQL = `with still_left as (
  select from millrace.ledger l where l.route = $1 and ${IS_LEFT} for share
), gone as (
  select from millrace.route_shards r
  where ($1 = r.route or starts_with($1, r.route || '/')) and ${isGone('$1')} for share
), dropped as materialized (
  select pg_drop_replication_slot(s.slot_name) from pg_replication_slots s
  cross join (select from still_left union all select from gone) l
  where s.slot_name = $2 and s.active_pid is null
)
select count(*)::text as dropped from dropped`;
