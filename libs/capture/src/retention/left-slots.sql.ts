/**
 * Nobody has the route, nor has had it for a minute: time enough for a relay that restarts, or for another one to claim.
 * An expired one is given to nobody.
 */
const IS_LEFT = `(l.expired_at is not null or coalesce(l.expires, l.updated_at) < clock_timestamp() - interval '1 minute')`;

/** One row for each route that nobody has and each slot of ours that nobody reads; which belong together the names tell. */
export const LEFT_SLOTS_SQL = `select l.route, l.expired_at is not null as is_expired, d.oid::text as database_oid,
  s.slot_name::text as slot_name, s.safe_wal_size::text as safe_wal_size,
  pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint::text as retained_bytes
from pg_replication_slots s
join pg_database d on d.datname = current_database() and d.oid = s.datoid
cross join millrace.ledger l
where starts_with(s.slot_name::text, 'millrace_') and s.active_pid is null and not s.temporary and ${IS_LEFT}
order by l.route, s.slot_name`;

/**
 * The row of the ledger is held until the slot is gone, so that whoever claims the route, or lets it go on, waits for it or
 * comes before it. $1 route, $2 slot.
 */
export const DROP_LEFT_SLOT_SQL = `with still_left as (
  select from millrace.ledger l where l.route = $1 and ${IS_LEFT} for share
), dropped as materialized (
  select pg_drop_replication_slot(s.slot_name) from pg_replication_slots s cross join still_left
  where s.slot_name = $2 and s.active_pid is null
)
select count(*)::text as dropped from dropped`;
