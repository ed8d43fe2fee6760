import { type Migration } from '../migration.js';

/**
 * `position` draws its number only after the transaction has an xid: the bound of a gap is an xid, and a writer whose
 * xid came after its number could slip past it. `pg_current_xact_id()` is stable and `nextval` volatile, so the CASE
 * is evaluated per row and never folded. The checks refuse what no sink can carry, whoever the producer is.
 */
const OUTBOX = `
create sequence millrace.position as bigint increment 1 minvalue 1 start 1 cache 1 no cycle;

create table millrace.outbox (
  position bigint not null default (case when pg_current_xact_id() is not null then nextval('millrace.position') end),
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  aggregateversion bigint,
  schemaversion integer not null default 1,
  payload jsonb not null,
  headers jsonb,
  occurred_at timestamptz not null default clock_timestamp(),
  constraint outbox_pk primary key (position),
  constraint outbox_aggregatetype_check check (aggregatetype ~ '^[a-zA-Z0-9._-]{1,200}$'),
  constraint outbox_aggregateid_check check (aggregateid <> '' and octet_length(aggregateid) <= 1024),
  constraint outbox_type_check check (type <> '' and octet_length(type) <= 1024),
  constraint outbox_schemaversion_check check (schemaversion >= 1),
  constraint outbox_headers_check check (headers is null or jsonb_typeof(headers) = 'object')
) partition by range (position);

-- last resort only: rows land here when no leaf covers their position; never moved (retention empties it)
create table millrace.outbox_default partition of millrace.outbox default;

create table millrace.outbox_leaf (
  leaf regclass constraint outbox_leaf_pk primary key,
  lo bigint not null constraint outbox_leaf_lo_key unique,
  hi bigint not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint outbox_leaf_range_check check (lo < hi)
);
comment on column millrace.outbox_leaf.lo is 'first position of the leaf';
comment on column millrace.outbox_leaf.hi is 'first position after the leaf';
`;

const LEDGER = `
create table millrace.ledger (
  route text constraint ledger_pk primary key,
  low bigint not null,
  high bigint not null,
  epoch bigint not null,
  owner text,
  expires timestamptz,
  is_paused boolean not null default false,
  system_identifier text not null,
  timeline bigint not null,
  config_version text,
  updated_at timestamptz not null default clock_timestamp(),
  constraint ledger_low_check check (low <= high)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create table millrace.ledger_gap (
  route text not null,
  lo bigint not null,
  hi bigint not null,
  bound xid8 not null,
  constraint ledger_gap_pk primary key (route, lo),
  constraint ledger_gap_range_check check (lo <= hi)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create table millrace.audit (
  id bigint generated always as identity constraint audit_pk primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  target text not null,
  reason text,
  details jsonb
);
`;

/**
 * Rows are immutable outside retention. The row trigger is cloned to each leaf at ATTACH; a statement trigger is not,
 * so `ensure_leaves` makes the truncate trigger with the leaf.
 */
const IMMUTABILITY = `
create function millrace.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  if current_setting('millrace.retention', true) = 'on' then
    return case tg_op when 'UPDATE' then new when 'DELETE' then old end;
  end if;
  raise exception '% of % is refused: events are immutable', lower(tg_op), tg_relid::regclass
    using errcode = 'restrict_violation',
      hint = 'Only retention removes events. Publish a new event instead of changing an old one.';
end
$body$;

create trigger outbox_immutable before update or delete on millrace.outbox
  for each row execute function millrace.refuse_change();
create trigger outbox_no_truncate before truncate on millrace.outbox
  for each statement execute function millrace.refuse_change();
create trigger outbox_default_no_truncate before truncate on millrace.outbox_default
  for each statement execute function millrace.refuse_change();
`;

/**
 * Leaves are made by LIKE + ATTACH: ATTACH takes SHARE UPDATE EXCLUSIVE on the parent, which producers do not conflict
 * with, and ACCESS EXCLUSIVE on the default partition alone; CREATE TABLE ... PARTITION OF and DROP would queue every
 * producer behind the oldest open transaction. All tables are built first, so the default partition is locked for the
 * catalog updates only. ANALYZE makes the planner see an empty leaf as empty.
 *
 * ATTACH scans the default partition under that lock: while it is big no leaf is made, and rows go on landing in it,
 * which works, rather than wait for the scan.
 *
 * Where a position without a leaf was already given out, its row is or will be in the default partition, and ATTACH of
 * that range would fail: the next leaf then starts above, with a tenth of a leaf between for statements that run now.
 */
const LEAVES = `
create function millrace.last_position() returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select case when is_called then last_value else last_value - 1 end from millrace.position
$body$;

create function millrace.leaves_ahead() returns integer
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select count(*)::integer from millrace.outbox_leaf where lo > millrace.last_position()
$body$;

create function millrace.next_leaf_lo(width bigint) returns bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $body$
declare
  taken bigint;
  covered_to bigint;
begin
  select greatest(millrace.last_position(), (select max(position) from millrace.outbox_default)) into taken;
  select coalesce(max(hi), 1) into covered_to from millrace.outbox_leaf;
  if taken < covered_to then
    return covered_to;
  end if;
  return ((taken + width / 10) / width + 1) * width + 1;
end
$body$;

create function millrace.make_leaf(leaf text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  execute format('create table millrace.%I (like millrace.outbox including all)', leaf);
  execute format('create trigger %I before truncate on millrace.%I for each statement execute function millrace.refuse_change()',
    leaf || '_no_truncate', leaf);
  execute format('analyze millrace.%I', leaf);
  if to_regrole('millrace_relay') is not null then
    execute format('grant select on millrace.%I to millrace_relay', leaf);
  end if;
end
$body$;

-- Makes leaves until so many lie wholly ahead of the sequence, and returns how many do. Never waits longer than
-- lock_timeout and never raises for contention: fewer than asked for means that an open transaction holds the default
-- partition, that it is too big, or that another caller is at work, so call again later. To be called outside of a
-- longer transaction.
create function millrace.ensure_leaves(ahead integer default 10, width bigint default 1000000) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $body$
declare
  -- each ATTACH scans the default partition while producers wait for it: milliseconds up to here, seconds per gigabyte
  default_bytes_max constant bigint := 8 * 1024 * 1024;
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

/**
 * The outbox, its leaves, the relay's ledger and the audit trail. Locks: creates objects only; nothing that exists is
 * locked.
 */
export const outboxMigration: Migration = {
  version: 1,
  name: 'outbox and ledger',
  up: OUTBOX + LEDGER + IMMUTABILITY + LEAVES,
  down: `drop schema millrace cascade;`,
};
