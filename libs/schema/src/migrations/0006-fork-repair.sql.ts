import { type Migration } from '../migration.js';

/**
 * What a route published and its database knows nothing of any more is told as an incident, which stays. The other two
 * tables are empty but for the time of a repair, and a crash may empty them: the repair begins anew.
 */
const TABLES = `
create table millrace.incident (
  id bigint generated always as identity constraint incident_pk primary key,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  route text not null,
  count bigint not null,
  details jsonb not null
);

create unlogged table millrace.fork_record (
  route text not null,
  position bigint not null,
  id uuid not null,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  is_own boolean not null,
  constraint fork_record_pk primary key (route, position, id)
);
create index fork_record_by_id on millrace.fork_record (route, id);
comment on table millrace.fork_record is 'while a fork is repaired: what the route has in its topics and not in its ledger';

create unlogged table millrace.fork_row (
  route text not null,
  position bigint not null,
  id uuid not null,
  outcome text not null,
  constraint fork_row_pk primary key (route, position),
  constraint fork_row_outcome_check check (outcome in ('found', 'moved', 'unwanted'))
);
create index fork_row_by_id on millrace.fork_row (route, id);
comment on table millrace.fork_row is 'while a fork is repaired: what becomes of the rows that the ledger has not settled';

alter table millrace.ledger add column unsettled_since timestamptz not null default clock_timestamp(),
  add column fork_base bigint;
comment on column millrace.ledger.unsettled_since is 'nothing that is not settled was sent before';
comment on column millrace.ledger.fork_base is 'below the block of positions that the last complete fork repair has used; null: none';
`;

/**
 * Positions for copies: a block above all that was ever given out, here or before the fork, so that whatever is drawn
 * from now on lies above the block, and nobody waits for anybody. Between the last number and the block some are left
 * free for those that are drawn while this runs, before setval. Who drew a number below the block holds an inserter's
 * lock until its row is final, and had its xid before this function ended.
 *
 * To be called in the transaction that completes the repair, which is a writer like others: it has the lock and an xid
 * before the block exists, so no route takes the block for numbers that never come. One repair at a time: each block
 * lies above the last one, and each repair sees the copies of those before it.
 */
const RESERVE = `
create function millrace.fork_reserve(in_route text, in_epoch bigint, in_timeline bigint, in_types text[], in_seen bigint,
  in_kept bigint, out verdict text, out base bigint, out room bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $body$
declare
  drawn_meanwhile constant bigint := 100000;
  -- rows that are not visible yet; when there are more the repair reserves anew
  room_to_spare constant bigint := 10000;
  route_row millrace.ledger;
begin
  perform millrace.require_read_committed();
  if not pg_try_advisory_xact_lock(hashtextextended('millrace.fork', 0)) then
    verdict := 'queued';
    return;
  end if;
  select * into route_row from millrace.ledger l where l.route = in_route and l.epoch = in_epoch;
  if route_row.route is null then
    verdict := 'fenced';
    return;
  end if;
  -- a crash, or another server behind the same address, has emptied the unlogged table
  if in_timeline <> ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
    or in_kept <> (select count(*) from millrace.fork_record r where r.route = in_route) then
    verdict := 'forgotten';
    return;
  end if;
  lock table only millrace.outbox in row exclusive mode;
  perform pg_current_xact_id();
  base := greatest(in_seen, route_row.high, (select max(o.position) from millrace.outbox o), millrace.last_position())
    + drawn_meanwhile;
  perform millrace.fork_judge(route_row, in_types, in_seen, base);
  select count(*) + room_to_spare into room from millrace.fork_row f where f.route = in_route and f.outcome = 'moved';
  -- again: the judging may have taken long
  base := greatest(base, millrace.last_position() + drawn_meanwhile);
  perform setval('millrace.position', base + room);
  verdict := 'reserved';
end
$body$;
`;

/**
 * A ledger may stand far behind: the rows of its gaps are looked up gap by gap, and keys are compared by a hash, which
 * the case makes sure of (a join of tables without statistics becomes one of each row with each).
 */
const JUDGE = `
-- The rows in (in_above, in_to] that the ledger has not settled.
create function millrace.fork_open_rows(in_ledger millrace.ledger, in_above bigint, in_to bigint)
returns table (open_position bigint, event_id uuid, aggregate text, key text, only_route text)
language sql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $body$
  select o.position, o.id, o.aggregatetype, o.aggregateid, o.headers ->> 'millrace-only-route'
  from millrace.ledger_gap g join millrace.outbox o on o.position between g.lo and g.hi
  where g.route = in_ledger.route and g.hi > in_above and g.lo <= in_to and o.position > in_above and o.position <= in_to
  union all
  select o.position, o.id, o.aggregatetype, o.aggregateid, o.headers ->> 'millrace-only-route'
  from millrace.outbox o where o.position > greatest(in_ledger.high, in_above) and o.position <= in_to
$body$;

-- Judges the rows that the ledger has not settled: all up to the highest position that was published, and above it those
-- of keys of which an earlier event moves. The id decides: an event that is in a topic under whatever position was sent.
create function millrace.fork_judge(in_ledger millrace.ledger, in_types text[], in_seen bigint, in_base bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $body$
begin
  delete from millrace.fork_row f where f.route = in_ledger.route;
  insert into millrace.fork_row (route, position, id, outcome)
  select in_ledger.route, o.open_position, o.event_id, case
    when exists (select from millrace.fork_record r where r.route = in_ledger.route and r.id = o.event_id) then 'found'
    when (in_types is null or o.aggregate = any(in_types))
      and coalesce(o.only_route, in_ledger.route) = in_ledger.route then 'moved'
    else 'unwanted' end
  from millrace.fork_open_rows(in_ledger, in_ledger.low, in_seen) o;
  if not exists (select from millrace.fork_row f where f.route = in_ledger.route and f.outcome = 'moved') then
    return;
  end if;
  insert into millrace.fork_row (route, position, id, outcome)
  select in_ledger.route, o.open_position, o.event_id, case
    when exists (select from millrace.fork_record r where r.route = in_ledger.route and r.id = o.event_id) then 'found'
    else 'moved' end
  from millrace.fork_open_rows(in_ledger, in_seen, in_base) o
  where (in_types is null or o.aggregate = any(in_types))
    and coalesce(o.only_route, in_ledger.route) = in_ledger.route
    and case when (o.aggregate, o.key) in (
      select k.aggregatetype, k.aggregateid from millrace.fork_row f join millrace.outbox k on k.position = f.position
      where f.route = in_ledger.route and f.outcome = 'moved') then true else false end;
end
$body$;
`;

/** The copies are for this route alone: another one may have published the event under its first position. */
const MOVE = `
create function millrace.fork_move(in_ledger millrace.ledger, in_base bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $body$
begin
  insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload,
    headers, occurred_at)
  select in_base + row_number() over (order by o.position), o.id, o.aggregatetype, o.aggregateid, o.type,
    o.aggregateversion, o.schemaversion, o.payload,
    coalesce(o.headers, '{}') || jsonb_build_object('millrace-only-route', in_ledger.route), o.occurred_at
  from millrace.fork_row f join millrace.outbox o on o.position = f.position
  where f.route = in_ledger.route and f.outcome = 'moved';
end
$body$;
`;

/**
 * Everything up to the highest published position is settled: what has no row there will never have one. Rows that are
 * settled here are counted by leaf, as a page that is settled counts its rows; the copies are counted when they are
 * read. The columns of shards come with the next step, before which nothing of this runs.
 */
const SETTLE = `
create function millrace.fork_settle(in_ledger millrace.ledger, in_seen bigint, in_last_copy bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  settled_to constant bigint := greatest(in_ledger.high, in_seen);
  new_high bigint;
  lows bigint[];
  highs bigint[];
begin
  select greatest(settled_to, max(f.position)) into new_high from millrace.fork_row f where f.route = in_ledger.route;
  with open_ranges as (
    select greatest(g.lo, in_seen + 1) as lo, g.hi from millrace.ledger_gap g where g.route = in_ledger.route and g.hi > in_seen
    union all
    select settled_to + 1, new_high where new_high > settled_to
  ), ends as (
    select r.lo, f.position from open_ranges r
    join millrace.fork_row f on f.route = in_ledger.route and f.position between r.lo and r.hi
    union all
    select r.lo, r.hi + 1 from open_ranges r
  ), left_open as (
    select coalesce(lag(e.position) over (partition by e.lo order by e.position), e.lo - 1) + 1 as lo, e.position - 1 as hi
    from ends e
  )
  select array_agg(o.lo order by o.lo), array_agg(o.hi order by o.lo) into lows, highs from left_open o where o.lo <= o.hi;
  delete from millrace.ledger_gap g where g.route = in_ledger.route;
  insert into millrace.ledger_gap (route, lo, hi, bound)
  select in_ledger.route, o.lo, o.hi, pg_current_xact_id() from unnest(lows, highs) o (lo, hi);
  insert into millrace.ledger_leaf as kept (route, leaf_lo, rows_read)
  select in_ledger.route, coalesce(l.lo, 0), count(*)
  from millrace.fork_row f left join millrace.outbox_leaf l on f.position >= l.lo and f.position < l.hi
  where f.route = in_ledger.route and f.position >= in_ledger.counted_from
  group by coalesce(l.lo, 0)
  on conflict on constraint ledger_leaf_pk do update set rows_read = kept.rows_read + excluded.rows_read;
  update millrace.ledger l set high = new_high, low = coalesce(lows[1] - 1, new_high),
    system_identifier = (select s.system_identifier::text from pg_control_system() s),
    timeline = ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint,
    unsettled_since = clock_timestamp(), updated_at = clock_timestamp()
  where l.route = in_ledger.route;
  -- while the number of shards changes, all of them drain to one fence: what is settled and copied here lies below it
  update millrace.ledger l set fence = greatest(new_high, in_last_copy),
    epoch = l.epoch + case when l.route = in_ledger.route then 0 else 1 end
  where l.fence < greatest(new_high, in_last_copy)
    and coalesce(l.shard_of, l.route) = coalesce(in_ledger.shard_of, in_ledger.route);
end
$body$;

-- The events that are in the topics and not in the database, as an incident that lists the first ones; null: none are.
create function millrace.fork_tell_lost(in_ledger millrace.ledger, out lost bigint, out incident bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  listed_max constant integer := 1000;
begin
  select count(distinct r.id) into lost from millrace.fork_record r
  where r.route = in_ledger.route and r.is_own
    and not exists (select from millrace.fork_row f where f.route = r.route and f.id = r.id);
  if lost > 0 then
    insert into millrace.incident (kind, route, count, details)
    select 'events_lost_by_database', in_ledger.route, lost, jsonb_build_object(
      'wasOn', jsonb_build_object('systemIdentifier', in_ledger.system_identifier, 'timeline', in_ledger.timeline),
      'events', jsonb_agg(jsonb_build_object('position', e.position::text, 'id', e.id, 'topic', e.topic,
        'partition', e.partition, 'offset', e."offset"::text) order by e.position))
    from (
      select r.* from millrace.fork_record r
      where r.route = in_ledger.route and r.is_own
        and not exists (select from millrace.fork_row f where f.route = r.route and f.id = r.id)
      order by r.position limit listed_max
    ) e
    returning id into incident;
  end if;
end
$body$;
`;

/**
 * The whole repair, after the positions below the base have become final: only with it does the ledger belong to this
 * server. Otherwise nothing has changed: 'fenced', another relay has the route; 'crowded', more rows have to move than
 * the block has room for, so reserve anew.
 */
const COMPLETE = `
create function millrace.fork_complete(in_route text, in_epoch bigint, in_types text[], in_seen bigint, in_base bigint,
  in_room bigint, out verdict text, out sent bigint, out moved bigint, out lost bigint, out incident bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  route_row millrace.ledger;
begin
  perform millrace.require_read_committed();
  select * into route_row from millrace.ledger l where l.route = in_route and l.epoch = in_epoch for update;
  if route_row.route is null then
    verdict := 'fenced';
    return;
  end if;
  if in_base < in_seen or in_base + in_room > millrace.last_position()
    or not pg_try_advisory_xact_lock(hashtextextended('millrace.fork', 0)) then
    raise exception 'fork repair of route %: the block of positions does not fit', in_route
      using errcode = 'invalid_parameter_value';
  end if;
  perform millrace.fork_judge(route_row, in_types, in_seen, in_base);
  select count(*) filter (where f.outcome = 'found'), count(*) filter (where f.outcome = 'moved') into sent, moved
  from millrace.fork_row f where f.route = in_route;
  if moved > in_room then
    verdict := 'crowded';
    return;
  end if;
  perform millrace.fork_move(route_row, in_base);
  select t.lost, t.incident into lost, incident from millrace.fork_tell_lost(route_row) t;
  perform millrace.fork_settle(route_row, in_seen, case when moved > 0 then in_base + moved end);
  update millrace.ledger l set fork_base = in_base where l.route = in_route;
  insert into millrace.audit (actor, action, target, details)
  values ('relay', 'route.repair-fork', in_route, jsonb_build_object('epoch', in_epoch, 'seen', in_seen, 'base', in_base,
    'found', sent, 'moved', moved, 'lost', lost, 'incident', incident,
    'was_on', jsonb_build_object('system_identifier', route_row.system_identifier, 'timeline', route_row.timeline)));
  delete from millrace.fork_row f where f.route = in_route;
  delete from millrace.fork_record r where r.route = in_route;
  verdict := 'repaired';
end
$body$;
`;

/**
 * Repair after a fail-over, a restore or a move. Locks: ACCESS EXCLUSIVE on the ledger for a moment, for the new
 * column, for which relays wait; the outbox is not touched.
 */
export const forkRepairMigration: Migration = {
  version: 6,
  name: 'fork repair',
  up: TABLES + RESERVE + JUDGE + MOVE + SETTLE + COMPLETE,
  down: `drop function millrace.fork_complete(text, bigint, text[], bigint, bigint, bigint),
  millrace.fork_tell_lost(millrace.ledger), millrace.fork_settle(millrace.ledger, bigint, bigint),
  millrace.fork_move(millrace.ledger, bigint), millrace.fork_judge(millrace.ledger, text[], bigint, bigint),
  millrace.fork_open_rows(millrace.ledger, bigint, bigint), millrace.fork_reserve(text, bigint, bigint, text[], bigint, bigint);
alter table millrace.ledger drop column unsettled_since, drop column fork_base;
drop table millrace.fork_row, millrace.fork_record, millrace.incident;`,
};
