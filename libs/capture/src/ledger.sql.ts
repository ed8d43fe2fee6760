/** Which branch of the cluster's history the server writes. */
export const TIMELINE = `('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint`;

/** The server's identity: which cluster, and which branch of its history. */
const IDENTITY = `(select system_identifier::text from pg_control_system()) as system_identifier, ${TIMELINE} as timeline`;

export const IDENTITY_SQL = `select ${IDENTITY}`;

/**
 * Take-over: one statement on the database's clock. The epoch's upper half is the timeline, so that it grows over a
 * fail-over that took the row back to an older number.
 *
 * Who asks with a grace leaves a route that has become free to others for so long. `updated_at` lies ahead of now when
 * the clock was set back: no reason to wait. A route that has expired is given to nobody.
 *
 * $1 route, $2 owner, $3 ttl in ms, $4 grace in ms, $5 the number of shards that the route is thought to have.
 */
export const CLAIM_SQL = `update millrace.ledger
set epoch = greatest(epoch + 1, (now_at.timeline << 32) + 1), owner = $2, counted_from = coalesce(counted_from, high + 1),
  expires = clock_timestamp() + $3::bigint * interval '1 millisecond', updated_at = clock_timestamp()
from (select ${IDENTITY}) now_at
where route = $1 and shards = $5 and expired_at is null and (owner = $2 or case
  when expires is not null then expires + $4::bigint * interval '1 millisecond' < clock_timestamp()
  else $4::bigint = 0 or updated_at not between clock_timestamp() - $4::bigint * interval '1 millisecond' and clock_timestamp()
end)
returning ledger.ctid::text as ctid, epoch::text, low::text, high::text, fence::text, is_paused, capture,
  counted_from::text, leaf_lo::text, leaf_rows::text, held_revision::text, now_at.timeline::text as timeline,
  ledger.system_identifier = now_at.system_identifier and ledger.timeline = now_at.timeline as is_same_server`;

/** Who has the route, and when it is free and the grace of $2 ms over; no row when the route has no ledger yet. */
export const HOLDER_SQL = `select ctid::text as ctid, epoch::text, owner,
  greatest(0, ceil(extract(epoch from coalesce(expires, updated_at) - clock_timestamp()) * 1000 + $2::bigint))::bigint::text
    as expires_in_ms, expired_at is not null as is_expired, shards::text, timeline = ${TIMELINE} as is_same_timeline
from millrace.ledger where route = $1`;

/** $1 route: how many shards it has; no row before it has run. */
export const IN_FORCE_SQL = `select shards::text from millrace.route_shards where route = $1`;

/** `order by lo` alone would mean the text of the select list, in which 10 comes before 9. */
export const GAPS_SQL = `select g.lo::text, g.hi::text, g.bound::text from millrace.ledger_gap g where g.route = $1 order by g.lo`;

/** The last number given out; everything at or below it was drawn before this statement. */
export const LAST_POSITION_SQL = `select case when is_called then last_value else 0 end::text as last_position from millrace.position`;

/**
 * A position, at most $1, up to which everything was drawn by transactions that have ended: $1 itself when nobody
 * holds an inserter's lock, otherwise the last row that is older than every holder, with room for a clock that was set
 * back. 0 where a holder does not show when it began (a prepared one, or another user's without pg_read_all_stats).
 */
export const ENDED_UP_TO_SQL = `with writers as (
  select a.xact_start from pg_locks l left join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
    and l.relation = 'millrace.outbox'::regclass
)
select case
  when not exists (select from writers) then $1::bigint
  when exists (select from writers where xact_start is null) then 0
  else coalesce((select o.position from millrace.outbox o
    where o.position <= $1::bigint and o.occurred_at < (select min(xact_start) from writers) - interval '10 minutes'
    order by o.position desc limit 1), 0)
end::text as ended_up_to`;

/** For a route that begins now: positions above $2 up to $1 that are not visible, and so may still be committed. */
export const INVISIBLE_SQL = `select lo::text, hi::text from (
  select coalesce(lag(position) over (order by position), $2::bigint) + 1 as lo, position - 1 as hi
  from (
    select position from millrace.outbox where position > $2::bigint and position <= $1::bigint
    union all select $1::bigint + 1
  ) p
) between_rows where lo <= hi order by between_rows.lo`;

/**
 * The first ledgers of a route, one for each shard; what is left of earlier ones of their names is removed. The gaps' bound
 * is this statement's own xid: taken after $2 was read. Nothing is made when another relay was first, with whatever
 * number of shards.
 *
 * $1 route, $2 high, $3 and $4 the gaps' lo and hi, $5 low, $6 shards.
 */
export const CREATE_SQL = `with s as (
  insert into millrace.route_shards as known (route, shards) values ($1, $6::integer)
  on conflict (route) do update set shards = known.shards
  returning shards, wanted
), l as (
  insert into millrace.ledger (route, shard_of, shards, low, high, epoch, system_identifier, timeline, counted_from)
  select name, nullif($1, name), s.shards, $5::bigint, $2::bigint, 0, system_identifier, timeline, $2::bigint + 1
  from s cross join lateral millrace.shard_names($1, s.shards) name cross join (select ${IDENTITY}) now_at
  where s.shards = $6::integer and s.wanted is null
  on conflict (route) do nothing
  returning route, pg_current_xact_id() as xid
), forgotten as (
  delete from millrace.ledger_leaf c using l where c.route = l.route
), forgotten_lanes as (
  delete from millrace.ledger_offset o where o.route = $1 and exists (select from l)
)
insert into millrace.ledger_gap (route, lo, hi, bound)
select l.route, g.lo, g.hi, l.xid from l cross join unnest($3::bigint[], $4::bigint[]) g(lo, hi)`;

/**
 * The ledger write: row, lease, gap deltas and counters of rows by leaf in one autocommit statement, found by ctid (flat under old snapshots)
 * and guarded by the epoch on the same row. No row returned: the row has moved, another owner has it, or behind the same
 * address there is another server now: what was read before is not its history.
 *
 * $1 ctid, $2 route, $3 epoch, $4 low, $5 high, $6 ttl in ms, $7 leaf, $8 rows of it, $9 ms for which the oldest page has been unsettled,
 * $10 removed lo, $11 written lo, $12 hi, $13 bound (null: mine). `more` are further parts of the statement, with the
 * parameters from $14 on.
 */
export const saveSql = (more: string): string => `with l as (
  update millrace.ledger set low = $4, high = $5, expires = clock_timestamp() + $6::bigint * interval '1 millisecond',
    leaf_lo = $7, leaf_rows = $8, unsettled_since = clock_timestamp() - $9::bigint * interval '1 millisecond',
    updated_at = clock_timestamp()
  where ctid = $1::tid and route = $2 and epoch = $3 and timeline = ${TIMELINE}
  returning ctid, route, coalesce(shard_of, route) as of_route, is_paused, capture, held_revision, pg_current_xact_id() as xid
), removed as (
  delete from millrace.ledger_gap g using l where g.route = l.route and g.lo = any($10::bigint[])
), written as (
  insert into millrace.ledger_gap (route, lo, hi, bound)
  select l.route, w.lo, w.hi, coalesce(w.bound, l.xid)
  from l cross join unnest($11::bigint[], $12::bigint[], $13::text[]::xid8[]) w(lo, hi, bound)
  on conflict (route, lo) do update set hi = excluded.hi, bound = excluded.bound
)${more}
select ctid::text as ctid, is_paused, capture, held_revision::text, xid::text as xid from l`;

/** For a page with rows in another leaf than that of the ledger row: leaves, and rows to add to each. */
export const countedSql = (first: number): string => `, counted as (
  insert into millrace.ledger_leaf as kept (route, leaf_lo, rows_read)
  select l.route, c.leaf, c.rows_read from l cross join unnest($${first}::bigint[], $${first + 1}::bigint[]) c(leaf, rows_read)
  on conflict (route, leaf_lo) do update set rows_read = kept.rows_read + excluded.rows_read
)`;

/** The same write without gap deltas, of rows in the leaf of the ledger row: most pages are like that. */
export const SAVE_ROW_SQL = `update millrace.ledger set low = $4, high = $5,
  expires = clock_timestamp() + $6::bigint * interval '1 millisecond', leaf_lo = $7, leaf_rows = $8,
  unsettled_since = clock_timestamp() - $9::bigint * interval '1 millisecond', updated_at = clock_timestamp()
where ctid = $1::tid and route = $2 and epoch = $3 and timeline = ${TIMELINE}
returning ctid::text as ctid, is_paused, capture, held_revision::text, pg_current_xact_id()::text as xid`;

export const RELEASE_SQL = `update millrace.ledger set owner = null, expires = null, updated_at = clock_timestamp()
where route = $1 and epoch = $2`;

/** Pause mark and audit row in one statement. $1 route or shard, $2 paused, $3 actor, $4 reason. */
export const PAUSE_SQL = `with l as (
  update millrace.ledger set is_paused = $2, updated_at = clock_timestamp() where $1 in (route, shard_of) returning route
), a as (
  insert into millrace.audit (actor, action, target, reason)
  select $3, case when $2 then 'route.pause' else 'route.resume' end, $1, $4 where exists (select from l)
)
select count(*)::int as routes from l`;

/** Capture mode and audit row in one statement. $1 route or shard, $2 mode or null for what is configured, $3 actor, $4 reason. */
export const SET_CAPTURE_SQL = `with l as (
  update millrace.ledger set capture = $2, updated_at = clock_timestamp() where $1 in (route, shard_of) returning route
), a as (
  insert into millrace.audit (actor, action, target, reason)
  select $3, 'route.capture ' || coalesce($2, 'as configured'), $1, $4 where exists (select from l)
)
select count(*)::int as routes from l`;

/** $1 actor, $2 action, $3 target, $4 reason. */
export const AUDIT_SQL = `insert into millrace.audit (actor, action, target, reason) values ($1, $2, $3, $4)`;

/**
 * After a fail-over or restore that an operator has looked at: the ledger belongs to this server from now on. All ledgers
 * of the route that do not yet, or none: each must have been claimed here for its repair (its epoch says so where the
 * timeline has grown), be nobody's now, and be named as stopped by a relay that is present; where none is, the epoch alone
 * tells. $1 route or shard, $2 actor, $3 reason.
 */
export const ADOPT_SQL = `with asked as materialized (
  select l.route, l.system_identifier <> now_at.system_identifier or l.timeline <> now_at.timeline as is_foreign,
    l.epoch >> 32 >= now_at.timeline and (l.expires is null or l.expires < clock_timestamp()) and (
      exists (select from millrace.relay_member m where m.expires >= clock_timestamp() and l.route = any(m.stopped))
      or l.timeline < now_at.timeline and not exists (select from millrace.relay_member m where m.expires >= clock_timestamp())
    ) as is_stopped
  from millrace.ledger l cross join (select ${IDENTITY}) now_at where $1 in (l.route, l.shard_of) for update of l
), l as (
  update millrace.ledger set system_identifier = now_at.system_identifier, timeline = now_at.timeline, updated_at = clock_timestamp()
  from (select ${IDENTITY}) now_at, asked
  where ledger.route = asked.route and asked.is_foreign
    and not exists (select from asked other where other.is_foreign and not other.is_stopped)
  returning ledger.route, pg_current_xact_id() as xid
), g as (
  update millrace.ledger_gap gap set bound = l.xid from l where gap.route = l.route
), a as (
  insert into millrace.audit (actor, action, target, reason) select $2, 'route.adopt', l.route, $3 from l
)
select count(*)::text as ledgers, (select count(*) from l)::text as adopted,
  string_agg(a.route, ', ' order by a.route) filter (where a.is_foreign and not a.is_stopped) as repairable
from asked a`;
