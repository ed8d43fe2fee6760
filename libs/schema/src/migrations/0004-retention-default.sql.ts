/**
 * `ensure_leaves` as before, but for the size of the default partition above which no leaf is made. ATTACH scans it
 * under a lock: while new rows land in it producers would wait for the scan, so it may be small only. While a leaf
 * takes the new rows and another lies ahead, only readers wait, and without new leaves the default partition would be
 * needed again before its rows are old enough to go. Somebody who accepts the pause sets `millrace.default_bytes_max`
 * for his session.
 */
export const LEAVES_BESIDE_DEFAULT = `
-- Whether new rows go to a leaf, and will for a while.
create or replace function millrace.is_default_idle() returns boolean
language sql volatile set search_path = pg_catalog, pg_temp as $body$
  select millrace.leaves_ahead() > 0 and exists (select from millrace.outbox_leaf l
    where l.lo <= millrace.last_position() + 1 and l.hi > millrace.last_position() + 1)
$body$;

create or replace function millrace.ensure_leaves(ahead integer default 10, width bigint default 1000000) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $body$
declare
  default_bytes_max constant bigint := coalesce(nullif(current_setting('millrace.default_bytes_max', true), '')::bigint,
    case when millrace.is_default_idle() then 1024 else 8 end * 1024::bigint * 1024);
  missing integer;
  first_lo bigint;
  lo bigint;
  leaf text;
begin
  if ahead not between 1 and 1000 or width not between 10 and 1000000000 then
    raise exception 'ensure_leaves: ahead must be 1 to 1000 and width 10 to 1000000000'
      using errcode = 'invalid_parameter_value';
  end if;
  if millrace.leaves_ahead() >= ahead or not pg_try_advisory_xact_lock(hashtextextended('millrace.ensure_leaves', 0)) then
    return millrace.leaves_ahead();
  end if;
  begin
    if pg_relation_size('millrace.outbox_default') > default_bytes_max then
      return millrace.leaves_ahead();
    end if;
    missing := ahead - millrace.leaves_ahead();
    first_lo := millrace.next_leaf_lo(width);
    for n in 0 .. missing - 1 loop
      perform millrace.make_leaf(format('outbox_p%s', first_lo + n * width));
    end loop;
    for n in 0 .. missing - 1 loop
      lo := first_lo + n * width;
      leaf := format('millrace.outbox_p%s', lo);
      execute format('alter table millrace.outbox attach partition %s for values from (%s) to (%s)', leaf, lo, lo + width);
      insert into millrace.outbox_leaf (leaf, lo, hi) values (leaf::regclass, lo, lo + width);
    end loop;
  exception when lock_not_available or check_violation then
    -- an open transaction writes to the default partition: the caller sees the number and comes again
    null;
  end;
  return millrace.leaves_ahead();
end
$body$;
`;
