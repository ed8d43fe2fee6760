/**
 * Slots are dropped, and their readers ended, only by who has the route at this moment: the epoch on the ledger row is
 * asked for in the same statement, and the row is held until it is done, so that a take-over waits for it or comes
 * before it. $1 route, $2 epoch.
 */
const OWNED = `owned as (select epoch from millrace.ledger where route = $1 and epoch = $2::bigint for share)`;

/** Drops slots that nobody reads. $3 names. */
export const DROP_SLOTS_SQL = `with ${OWNED},
dropped as materialized (
  select pg_drop_replication_slot(s.slot_name) from pg_replication_slots s cross join owned
  where s.slot_name = any($3::text[]) and s.active_pid is null
)
select (select count(*) from owned)::text as owned, (select count(*) from dropped)::text as done`;

/** Ends the backends that read or make slots whose names begin with $3, but for pid $4. */
export const END_READERS_SQL = `with ${OWNED},
ended as materialized (
  select pg_terminate_backend(s.active_pid) from pg_replication_slots s cross join owned
  where starts_with(s.slot_name::text, $3) and s.active_pid <> $4::integer
)
select (select count(*) from owned)::text as owned, (select count(*) from ended)::text as done`;

export const ENSURE_PUBLICATION_SQL = 'select millrace.ensure_publication()';

/** $1 name. Up to 16 there are no failover slots. */
export const CREATE_SLOT_SQL = `select pg_create_logical_replication_slot($1, 'pgoutput', false, false)`;

/** $1 name. With failover the slot is copied to standbys that ask for it; without such standbys it costs nothing. */
export const CREATE_FAILOVER_SLOT_SQL = `select pg_create_logical_replication_slot($1, 'pgoutput', false, false, true)`;
