import { type Migration } from '../migration.js';

/**
 * A route that is divided has a ledger per shard: `r/1` to `r/N`, each with its own lease and epoch. `shards` and
 * `fence` stand on the ledger row, so that the statement that wins the epoch tells them: who claims with another number
 * in mind gets nothing, and nobody sends an event of a shard that is no more.
 */
const SHARDS = `
alter table millrace.ledger
  add column shard_of text,
  add column shards integer not null default 1,
  add column fence bigint,
  add column is_drained boolean not null default false;
comment on column millrace.ledger.shard_of is 'the route, of which this is one shard; null for the ledger of a whole route';
comment on column millrace.ledger.shards is 'the shards of the route: this one has the sink partitions p with p % shards = its number - 1';
comment on column millrace.ledger.fence is 'set while the number of shards changes: nothing above it is sent or settled';
comment on column millrace.ledger.is_drained is 'its owner knows the fence, has settled all up to it, and has no slot any more';

create table millrace.route_shards (
  route text constraint route_shards_pk primary key,
  shards integer not null,
  wanted integer,
  changed_at timestamptz not null default clock_timestamp(),
  constraint route_shards_number_check check (shards between 1 and 64 and wanted between 1 and 64)
);
comment on column millrace.route_shards.shards is 'ledgers that the route has';
comment on column millrace.route_shards.wanted is 'set while the number changes: the next one';
insert into millrace.route_shards (route, shards) select l.route, 1 from millrace.ledger l;

create function millrace.shard_names(in_route text, in_shards integer) returns setof text
language sql immutable set search_path = pg_catalog, pg_temp as $body$
  select case when in_shards = 1 then in_route else in_route || '/' || n end from generate_series(1, in_shards) n
$body$;
`;

/**
 * The change of the number. All ledgers of the route get one fence: the highest position that any of them has settled.
 * The copies that a repair after a fail-over has made are for a ledger by its name, so they lie below the fence as
 * well. The epochs grow, so that nobody writes by what he knew before; the leases stay, so that nobody else sends
 * before they have run out.
 */
const SET_SHARDS = `
create function millrace.fence_of(in_route text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  highest bigint;
  is_repaired boolean;
begin
  select max(l.high), bool_or(l.fork_base is not null) into highest, is_repaired
  from millrace.ledger l where in_route in (l.route, l.shard_of);
  if is_repaired then
    select greatest(highest, max(o.position)) into highest from millrace.outbox o
    where o.position > highest and o.headers ? 'millrace-only-route';
  end if;
  return highest;
end
$body$;

create function millrace.set_shards(in_route text, in_shards integer, in_actor text, in_reason text,
  out verdict text, out shards integer, out wanted integer, out fence bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s' as $body$
declare
  known millrace.route_shards;
  ledgers record;
begin
  perform millrace.require_read_committed();
  if in_shards is null or in_shards not between 1 and 64 or coalesce(in_actor, '') = '' then
    raise exception 'set_shards: a number of shards from 1 to 64 and an actor are needed'
      using errcode = 'invalid_parameter_value';
  end if;
  insert into millrace.route_shards (route, shards)
  select l.route, 1 from millrace.ledger l where l.route = in_route and l.shard_of is null
  on conflict (route) do nothing;
  select * into known from millrace.route_shards s where s.route = in_route for update;
  if known.route is null then
    verdict := 'unknown_route';
    return;
  end if;
  perform from millrace.ledger l where in_route in (l.route, l.shard_of) order by l.route for update;
  select count(*) as number, max(l.fence) as fence, bool_or(l.expired_at is not null) as is_expired
    into ledgers from millrace.ledger l where in_route in (l.route, l.shard_of);
  shards := known.shards;
  wanted := known.wanted;
  fence := ledgers.fence;
  if in_shards = coalesce(known.wanted, known.shards) then
    verdict := 'unchanged';
    return;
  elsif known.wanted is not null and in_shards = known.shards then
    update millrace.ledger l set fence = null, is_drained = false, epoch = l.epoch + 1, updated_at = clock_timestamp()
    where in_route in (l.route, l.shard_of);
    verdict := 'cancelled';
    wanted := null;
    fence := null;
  elsif known.wanted is not null then
    verdict := 'draining';
    wanted := in_shards;
  elsif ledgers.is_expired then
    verdict := 'route_expired';
    return;
  elsif ledgers.number <> known.shards then
    verdict := 'ledger_missing';
    return;
  else
    fence := millrace.fence_of(in_route);
    update millrace.ledger l set fence = set_shards.fence, epoch = l.epoch + 1, updated_at = clock_timestamp()
    where in_route in (l.route, l.shard_of);
    verdict := 'draining';
    wanted := in_shards;
  end if;
  update millrace.route_shards s set wanted = set_shards.wanted, changed_at = clock_timestamp() where s.route = in_route;
  insert into millrace.audit (actor, action, target, reason, details)
  values (in_actor, 'route.shards', in_route, in_reason,
    jsonb_build_object('verdict', verdict, 'shards', shards, 'wanted', wanted, 'fence', fence));
end
$body$;
`;

/**
 * One shard is done: all up to the fence is settled. It must be told by an owner who claimed the shard after the fence
 * was set: whoever had it before has given up by then, or lost his lease. When all have told it the ledgers of the next
 * number take their place and begin at the fence. A repair meanwhile may have moved the fence: then they drain up to
 * the new one. Their epochs lie above all that the route has had, so a name that comes back never goes back. Retention
 * is kept out meanwhile: it sees either the old ledgers or the new ones.
 */
const FINISH = `
create function millrace.finish_resharding(in_route text, in_ledger text, in_epoch bigint, out verdict text, out shards integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s' as $body$
declare
  known millrace.route_shards;
  next millrace.ledger;
  ledgers record;
  name text;
begin
  perform millrace.require_read_committed();
  verdict := 'draining';
  update millrace.ledger l set is_drained = true
  where l.route = in_ledger and l.epoch = in_epoch and l.low >= l.fence and not l.is_drained;
  if exists (select from millrace.ledger l where in_route in (l.route, l.shard_of) and not (l.is_drained and l.low >= l.fence)) then
    return;
  end if;
  perform pg_advisory_xact_lock_shared(hashtextextended('millrace.retention', 0));
  select * into known from millrace.route_shards s where s.route = in_route for update;
  shards := known.shards;
  if known.wanted is null then
    verdict := 'settled';
    return;
  end if;
  perform from millrace.ledger l where in_route in (l.route, l.shard_of) order by l.route for update;
  select count(*) filter (where l.is_drained and l.low >= l.fence and l.expired_at is null
      and l.system_identifier = (select c.system_identifier::text from pg_control_system() c)
      and l.timeline = ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint) as drained,
    count(*) as number, max(l.fence) as fence, max(l.epoch) as epoch, bool_or(l.is_paused) as is_paused, max(l.exempt_until) as exempt_until, max(l.fork_base) as fork_base
  into ledgers from millrace.ledger l where in_route in (l.route, l.shard_of);
  if ledgers.drained <> known.shards or ledgers.number <> known.shards then
    return;
  end if;
  if millrace.fence_of(in_route) > ledgers.fence then
    update millrace.ledger l set fence = millrace.fence_of(in_route), is_drained = false, epoch = l.epoch + 1, updated_at = clock_timestamp()
    where in_route in (l.route, l.shard_of);
    return;
  end if;
  select * into next from millrace.ledger l where in_route in (l.route, l.shard_of) order by l.route limit 1;
  delete from millrace.ledger_leaf c using millrace.shard_names(in_route, greatest(known.shards, known.wanted)) n
  where c.route in (n, in_route || '/1', in_route);
  delete from millrace.ledger_gap g using millrace.ledger l where g.route = l.route and in_route in (l.route, l.shard_of);
  delete from millrace.ledger l where in_route in (l.route, l.shard_of);
  next.low := next.fence;
  next.high := next.fence;
  next.counted_from := next.fence + 1;
  next.epoch := ledgers.epoch + 1;
  next.is_paused := ledgers.is_paused;
  next.exempt_until := ledgers.exempt_until;
  next.shards := known.wanted;
  next.fence := null;
  next.is_drained := false;
  next.fork_base := ledgers.fork_base;
  next.owner := null;
  next.expires := null;
  next.leaf_lo := null;
  next.leaf_rows := 0;
  next.updated_at := clock_timestamp();
  for name in select millrace.shard_names(in_route, known.wanted) loop
    next.route := name;
    next.shard_of := nullif(in_route, name);
    insert into millrace.ledger select next.*;
  end loop;
  update millrace.route_shards s set shards = known.wanted, wanted = null, changed_at = clock_timestamp()
  where s.route = in_route;
  insert into millrace.audit (actor, action, target, details)
  values ('relay', 'route.shards.done', in_route,
    jsonb_build_object('before', known.shards, 'shards', known.wanted, 'fence', next.low, 'epoch', next.epoch));
  verdict := 'finished';
  shards := known.wanted;
end
$body$;
`;

/**
 * Shards of routes. Locks: an exclusive one on the ledger for the catalog changes, for which relays wait a moment; the
 * outbox is not touched. The way back is refused while a route is divided: its shards would be lost.
 */
export const shardsMigration: Migration = {
  version: 7,
  name: 'shards',
  up: SHARDS + SET_SHARDS + FINISH,
  down: `do $check$
begin
  if exists (select from millrace.route_shards s where s.shards > 1 or s.wanted is not null) then
    raise exception 'a route is divided into shards: bring each back to one first';
  end if;
end
$check$;
drop function millrace.finish_resharding(text, text, bigint), millrace.set_shards(text, integer, text, text), millrace.fence_of(text),
  millrace.shard_names(text, integer);
drop table millrace.route_shards;
alter table millrace.ledger drop column shard_of, drop column shards, drop column fence, drop column is_drained;`,
};
