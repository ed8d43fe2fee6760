/**
 * What stands against emptying a leaf. `in_lo` is the leaf's first position, 0 the default partition. All of these see
 * what is committed when they look, so they are right in READ COMMITTED alone.
 */
const VERDICT = `
create function millrace.require_read_committed() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'retention must run in READ COMMITTED: an older snapshot does not see all rows'
      using errcode = 'invalid_transaction_state';
  end if;
end
$body$;

-- The time of the newest row; null without rows. Positions are drawn a moment before occurred_at, so the newest row is
-- among the last ones.
create function millrace.newest_of(in_leaf regclass) returns timestamptz
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $body$
declare
  newest timestamptz;
begin
  execute format('select max(occurred_at) from (select occurred_at from only %s order by position desc limit 1000) n', in_leaf)
    into newest;
  return newest;
end
$body$;

-- How many rows of the leaf each route has read.
create function millrace.counts_of(in_lo bigint)
returns table (route text, is_expired boolean, low bigint, counted_from bigint, counted bigint)
language sql set search_path = pg_catalog, pg_temp as $body$
  select l.route, l.expired_at is not null, l.low, l.counted_from,
    coalesce(c.rows_read, 0) + case when l.leaf_lo = in_lo then l.leaf_rows else 0 end
  from millrace.ledger l left join millrace.ledger_leaf c on c.route = l.route and c.leaf_lo = in_lo
  order by l.route
$body$;

-- Whether a route that runs would get on from here. Otherwise positions of which nothing came lie above its low, and no
-- row above them yet: a leaf that ends with them is kept until the next row, and nobody's fault.
create function millrace.is_behind(in_low bigint, in_high bigint) returns boolean
language sql set search_path = pg_catalog, pg_temp as $body$
  select in_high > in_low or exists (select from millrace.outbox o where o.position > in_low)
$body$;

-- What stands against emptying a leaf before its rows are counted; a verdict of null: nothing. Takes no lock that
-- anybody waits for.
create function millrace.leaf_obstacle(in_lo bigint, in_keep_ms bigint,
  out verdict text, out leaf regclass, out last bigint, out newest timestamptz, out route text)
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  if in_lo is null or in_keep_ms is null or in_keep_ms < 0 then
    raise exception 'retention: a leaf and a time to keep of 0 ms or more are needed'
      using errcode = 'invalid_parameter_value';
  end if;
  if in_lo = 0 then
    leaf := 'millrace.outbox_default'::regclass;
    select max(d.position) into last from millrace.outbox_default d;
  else
    select l.leaf, l.hi - 1 into leaf, last from millrace.outbox_leaf l where l.lo = in_lo;
  end if;
  if leaf is null then
    verdict := 'unknown_leaf';
  elsif last is null then
    verdict := 'empty';
  elsif in_lo <> 0 and last > millrace.last_position() then
    verdict := 'ahead';
  elsif in_lo = 0 and not millrace.is_default_idle() then
    verdict := 'in_use';
  elsif not exists (select from millrace.ledger) then
    verdict := 'no_route';
  end if;
  if verdict is not null then
    return;
  end if;
  select 'identity_changed', l.route into verdict, route
  from millrace.ledger l, pg_control_system() s
  where l.expired_at is null and (l.system_identifier <> s.system_identifier::text
    or l.timeline <> ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint)
  order by l.route limit 1;
  if verdict is null then
    select 'held', case when b.is_behind then l.route end into verdict, route
    from millrace.ledger l cross join lateral (select millrace.is_behind(l.low, l.high)) b(is_behind)
    where l.expired_at is null and l.low < last order by b.is_behind desc, l.low, l.route limit 1;
  end if;
  if verdict is null then
    newest := millrace.newest_of(leaf);
    verdict := case when newest > clock_timestamp() - in_keep_ms * interval '1 millisecond' then 'young' end;
  end if;
end
$body$;

-- The first route whose counter differs from the rows that the leaf has from its beginning of counting on; a route of
-- null: none, and rows_found is the number of all rows. counted is null for a route that does not count yet.
create function millrace.leaf_miscount(in_lo bigint, in_leaf regclass, out route text, out rows_found bigint, out counted bigint)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $body$
declare
  total bigint;
  first_position bigint;
  r record;
begin
  execute format('select count(*), min(position) from only %s', in_leaf) into total, first_position;
  for r in select c.* from millrace.counts_of(in_lo) c where not c.is_expired loop
    rows_found := total;
    if r.counted_from > first_position then
      execute format('select count(*) from only %s where position >= $1', in_leaf) into rows_found using r.counted_from;
    end if;
    if r.counted_from is null or rows_found <> r.counted then
      route := r.route;
      counted := case when r.counted_from is not null then r.counted end;
      return;
    end if;
  end loop;
  rows_found := total;
end
$body$;

-- Whether a leaf may be emptied; changes nothing. The lock keeps the leaf from being dropped meanwhile.
create function millrace.leaf_verdict(in_lo bigint, in_keep_ms bigint, out verdict text, out leaf regclass,
  out last bigint, out newest timestamptz, out route text, out rows_found bigint, out counted bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  perform millrace.require_read_committed();
  perform pg_advisory_xact_lock_shared(hashtextextended('millrace.leaves', 0));
  select o.verdict, o.leaf, o.last, o.newest, o.route into verdict, leaf, last, newest, route
  from millrace.leaf_obstacle(in_lo, in_keep_ms) o;
  if verdict is null then
    select m.route, m.rows_found, m.counted into route, rows_found, counted from millrace.leaf_miscount(in_lo, leaf) m;
    verdict := case
      when route is not null and counted is null then 'not_counted'
      when route is not null then 'miscounted'
      when rows_found = 0 then 'empty'
      else 'ready'
    end;
  end if;
end
$body$;
`;

/**
 * TRUNCATE and the counters in one transaction. SHARE keeps rows from coming while they are counted and disturbs no
 * reader; nobody writes to a leaf whose positions are all settled, so nobody waits for it either. What has emptied a
 * leaf takes its count away from each route's, so that a row that turns up later shows.
 *
 * `in_rows` is how many rows the caller has copied (null: he keeps no copy). A leaf that is ready with another number
 * of rows stays, and the verdict is still `ready`: it is to be copied again.
 */
const EMPTY = `
create function millrace.empty_leaf(in_lo bigint, in_keep_ms bigint, in_rows bigint default null,
  out verdict text, out leaf regclass, out last bigint, out newest timestamptz, out route text, out rows_found bigint, out counted bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms' as $body$
begin
  perform millrace.require_read_committed();
  if not pg_try_advisory_xact_lock(hashtextextended('millrace.retention', 0)) then
    verdict := 'busy';
    return;
  end if;
  select o.verdict, o.leaf, o.last, o.newest, o.route into verdict, leaf, last, newest, route
  from millrace.leaf_obstacle(in_lo, in_keep_ms) o;
  if verdict is not null then
    return;
  end if;
  begin
    execute format('lock table only %s in share mode', leaf);
    select v.* into verdict, leaf, last, newest, route, rows_found, counted from millrace.leaf_verdict(in_lo, in_keep_ms) v;
    if verdict = 'ready' and rows_found = coalesce(in_rows, rows_found) then
      perform set_config('millrace.retention', 'on', true);
      execute format('truncate only %s', leaf);
      perform set_config('millrace.retention', 'off', true);
      insert into millrace.audit (actor, action, target, details)
      values ('retention', 'leaf.empty', leaf::text, jsonb_build_object('lo', in_lo, 'last', last, 'rows', rows_found,
        'unsettled_by', (select coalesce(jsonb_agg(c.route), '[]') from millrace.counts_of(in_lo) c where c.low < last)));
      insert into millrace.ledger_leaf as kept (route, leaf_lo, rows_read)
      select c.route, in_lo, -c.counted from millrace.counts_of(in_lo) c where c.counted <> 0
      on conflict on constraint ledger_leaf_pk do update set rows_read = kept.rows_read + excluded.rows_read;
      delete from millrace.ledger_leaf c where c.rows_read = 0;
      verdict := 'emptied';
    end if;
    if verdict in ('emptied', 'empty') then
      update millrace.outbox_leaf l set emptied_at = clock_timestamp() where l.lo = in_lo and l.emptied_at is null;
    end if;
  exception when lock_not_available then
    verdict := 'locked';
  end;
end
$body$;

-- Removes leaves that were emptied; never needed, it keeps plans small. Takes the parent's lock for some milliseconds,
-- last of all that it needs, and only when nobody has held the outbox for longer than the time-out: who waits for that
-- lock, or for anything while he has it, makes all producers wait.
create function millrace.drop_empty_leaves(in_max integer, out verdict text, out dropped integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms' as $body$
declare
  wait_s constant double precision := 0.06;
  holders text[];
  leaves regclass[];
  doomed regclass;
  is_filled boolean;
begin
  perform millrace.require_read_committed();
  dropped := 0;
  verdict := 'nothing';
  select array_agg(e.leaf) into leaves from (
    select l.leaf from millrace.outbox_leaf l
    where l.emptied_at is not null and l.hi <= millrace.last_position()
      and l.hi < (select max(h.hi) from millrace.outbox_leaf h)
    order by l.lo limit in_max
  ) e;
  if leaves is null then
    return;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('millrace.retention', 0)) then
    verdict := 'busy';
    return;
  end if;
  select array_agg(k.virtualtransaction) into holders from pg_locks k
  where k.locktype = 'relation' and k.relation = 'millrace.outbox'::regclass and k.pid is distinct from pg_backend_pid()
    and k.database = (select d.oid from pg_database d where d.datname = current_database());
  if holders is not null then
    perform pg_sleep(wait_s);
    if exists (select from pg_locks k where k.locktype = 'relation' and k.relation = 'millrace.outbox'::regclass
        and k.database = (select d.oid from pg_database d where d.datname = current_database())
        and k.virtualtransaction = any(holders)) then
      verdict := 'locked';
      return;
    end if;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('millrace.leaves', 0)) then
    verdict := 'busy';
    return;
  end if;
  begin
    foreach doomed in array leaves loop
      execute format('lock table only %s in access exclusive mode nowait', doomed);
    end loop;
    lock table only millrace.outbox_default in access exclusive mode nowait;
    lock table only millrace.outbox in access exclusive mode;
    foreach doomed in array leaves loop
      execute format('select exists (select from only %s)', doomed) into is_filled;
      if not is_filled then
        execute format('alter table millrace.outbox detach partition %s', doomed);
        delete from millrace.outbox_leaf l where l.leaf = doomed;
        execute format('drop table %s', doomed);
        dropped := dropped + 1;
      end if;
    end loop;
    verdict := case when dropped > 0 then 'dropped' else 'nothing' end;
  exception when lock_not_available then
    verdict := 'locked';
    dropped := 0;
  end;
end
$body$;
`;

/** What decides of a leaf, empties it and removes it. */
export const LEAF_RETENTION = VERDICT + EMPTY;
