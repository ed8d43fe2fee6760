/**
 * A route that holds leaves longer than the policy allows stops counting. Its epoch grows, so that whoever runs it
 * cannot write its ledger any more: rows that are truncated then would look to it like positions that never came.
 */
export const ROUTE_RETENTION = `
-- The leaves that only this route and others like it keep: drawn to the end, older than the time to keep, with rows, and
-- not settled by it to the end although it could get on.
create function millrace.route_holds(in_route text, in_keep_ms bigint,
  out low bigint, out leaves integer, out bytes bigint, out oldest timestamptz, out oldest_leaf regclass)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  leaves_max constant integer := 10000;
  due constant timestamptz := clock_timestamp() - in_keep_ms * interval '1 millisecond';
  r record;
  newest timestamptz;
  is_behind boolean;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('millrace.leaves', 0));
  leaves := 0;
  bytes := 0;
  select l.low, millrace.is_behind(l.low, l.high) into low, is_behind from millrace.ledger l where l.route = in_route;
  if not is_behind then
    return;
  end if;
  for r in
    (select l.leaf from millrace.outbox_leaf l
      where l.hi - 1 > low and l.hi - 1 <= millrace.last_position() and l.emptied_at is null order by l.lo limit leaves_max)
    union all
    select 'millrace.outbox_default'::regclass from (select max(d.position) as last from millrace.outbox_default d) d
    where d.last > low
  loop
    newest := millrace.newest_of(r.leaf);
    if newest <= due then
      leaves := leaves + 1;
      bytes := bytes + pg_total_relation_size(r.leaf);
      if oldest is null or newest < oldest then
        oldest := newest;
        oldest_leaf := r.leaf;
      end if;
    end if;
  end loop;
end
$body$;

-- Ends a route's claim on old leaves when it is over a limit (null: no limit). in_low is what the caller saw a while ago:
-- a route that has moved since does not expire for age. An open writer in the oldest leaf holds it anyway.
create function millrace.expire_route(in_route text, in_keep_ms bigint, in_max_age_ms bigint, in_max_bytes bigint,
  in_low bigint, out verdict text, out low bigint, out leaves integer, out bytes bigint, out age_ms bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms' as $body$
declare
  route_row millrace.ledger;
  held record;
  is_over boolean;
begin
  perform millrace.require_read_committed();
  if in_keep_ms is null or in_low is null or in_max_age_ms < in_keep_ms or in_max_bytes < 0 then
    raise exception 'expire_route: a maximum age must not be below the time to keep'
      using errcode = 'invalid_parameter_value';
  end if;
  begin
    select * into route_row from millrace.ledger l where l.route = in_route for update;
    select h.* into held from millrace.route_holds(in_route, in_keep_ms) h;
  exception when lock_not_available then
    verdict := 'locked';
    return;
  end;
  if route_row.route is null then
    verdict := 'unknown_route';
  elsif route_row.expired_at is not null then
    verdict := 'already_expired';
  elsif route_row.exempt_until > clock_timestamp() then
    verdict := 'exempt';
  end if;
  if verdict is not null then
    return;
  end if;
  low := held.low;
  leaves := held.leaves;
  bytes := held.bytes;
  age_ms := floor(extract(epoch from clock_timestamp() - held.oldest) * 1000)::bigint;
  is_over := held.leaves > 0 and (coalesce(low = in_low and age_ms >= in_max_age_ms, false)
    or coalesce(bytes >= in_max_bytes, false));
  if not is_over then
    verdict := 'within_limits';
  elsif exists (select from pg_locks k where k.locktype = 'relation' and k.relation = held.oldest_leaf
      and k.mode = 'RowExclusiveLock' and k.granted
      and k.database = (select d.oid from pg_database d where d.datname = current_database())) then
    verdict := 'writer_open';
  else
    update millrace.ledger l set expired_at = clock_timestamp(), epoch = l.epoch + 1, owner = null, expires = null,
      updated_at = clock_timestamp() where l.route = in_route;
    insert into millrace.audit (actor, action, target, reason, details)
    values ('retention', 'route.expire', in_route,
      format('holds %s leaves, %s bytes, %s ms old', leaves, bytes, age_ms),
      jsonb_build_object('low', low, 'high', route_row.high, 'leaves', leaves, 'bytes', bytes, 'age_ms', age_ms,
        'max_age_ms', in_max_age_ms, 'max_bytes', in_max_bytes));
    verdict := 'expired';
  end if;
end
$body$;

-- A person's decision: the route goes on, and does not expire again for a while. Tells which positions were removed
-- while it was expired.
create function millrace.let_route_go_on(in_route text, in_actor text, in_reason text, in_exempt_ms bigint,
  out verdict text, out lost_from bigint, out lost_to bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  route_row millrace.ledger;
begin
  perform millrace.require_read_committed();
  if coalesce(in_actor, '') = '' or in_exempt_ms is null or in_exempt_ms < 0 then
    raise exception 'let_route_go_on: an actor and a time without expiry are needed'
      using errcode = 'invalid_parameter_value';
  end if;
  perform pg_advisory_xact_lock_shared(hashtextextended('millrace.retention', 0));
  select * into route_row from millrace.ledger l where l.route = in_route for update;
  if route_row.route is null then
    verdict := 'unknown_route';
    return;
  elsif route_row.expired_at is null then
    verdict := 'not_expired';
    return;
  end if;
  -- by the order of what was written down, which no clock that is set back changes
  select max((a.details ->> 'last')::bigint) into lost_to from millrace.audit a
  where a.action = 'leaf.empty' and a.details -> 'unsettled_by' ? in_route
    and a.id > coalesce((select max(e.id) from millrace.audit e where e.action = 'route.expire' and e.target = in_route), 0);
  lost_from := case when lost_to is not null then route_row.low + 1 end;
  update millrace.ledger l set expired_at = null, updated_at = clock_timestamp(),
    exempt_until = clock_timestamp() + in_exempt_ms * interval '1 millisecond' where l.route = in_route;
  insert into millrace.audit (actor, action, target, reason, details)
  values (in_actor, 'route.let_go_on', in_route, in_reason,
    jsonb_build_object('low', route_row.low, 'high', route_row.high, 'lost_from', lost_from, 'lost_to', lost_to));
  verdict := 'goes_on';
end
$body$;

-- A person's decision: the rows that a leaf has are right, whatever the routes have counted. Only for what is settled,
-- and only for so many rows as he was shown (null: any).
create function millrace.accept_leaf_count(in_lo bigint, in_actor text, in_reason text, in_rows bigint default null,
  out verdict text, out leaf regclass, out route text, out routes integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms' as $body$
declare
  changes jsonb := '[]';
  total bigint;
  rows_found bigint;
  last bigint;
  r record;
begin
  perform millrace.require_read_committed();
  if coalesce(in_actor, '') = '' then
    raise exception 'accept_leaf_count: an actor is needed' using errcode = 'invalid_parameter_value';
  end if;
  routes := 0;
  begin
    perform pg_advisory_xact_lock_shared(hashtextextended('millrace.retention', 0));
    select o.verdict, o.leaf, o.last, o.route into verdict, leaf, last, route from millrace.leaf_obstacle(in_lo, 0) o;
    if verdict in ('unknown_leaf', 'ahead', 'in_use', 'identity_changed', 'held') then
      return;
    end if;
    execute format('lock table only %s in share mode', leaf);
  exception when lock_not_available then
    verdict := 'locked';
    return;
  end;
  execute format('select count(*) from only %s', leaf) into total;
  if total <> in_rows then
    verdict := 'changed';
    return;
  end if;
  for r in select c.* from millrace.counts_of(in_lo) c where c.counted_from is not null and not c.is_expired loop
    execute format('select count(*) from only %s where position >= $1', leaf) into rows_found using r.counted_from;
    if rows_found <> r.counted then
      insert into millrace.ledger_leaf as kept (route, leaf_lo, rows_read) values (r.route, in_lo, rows_found - r.counted)
      on conflict on constraint ledger_leaf_pk do update set rows_read = kept.rows_read + excluded.rows_read;
      changes := changes || jsonb_build_object('route', r.route, 'counted', r.counted, 'found', rows_found);
      routes := routes + 1;
    end if;
  end loop;
  verdict := case when routes > 0 then 'accepted' else 'fits' end;
  if routes > 0 then
    insert into millrace.audit (actor, action, target, reason, details)
    values (in_actor, 'leaf.accept_count', leaf::text, in_reason, jsonb_build_object('lo', in_lo, 'routes', changes));
  end if;
end
$body$;
`;
