import { type Migration } from '../migration.js';

/**
 * The outbox, its leaves and the relay's ledger. Locks: creates objects only; nothing that exists is locked.
 *
 * `position` draws its number only after the transaction has an xid (HAZARD rule: the bound of a gap is an xid, and
 * a writer whose xid came after its number could slip past it). `pg_current_xact_id()` is stable and `nextval`
 * volatile, so the CASE is evaluated per row and never folded.
 */
export const outboxMigration: Migration = {
  version: 1,
  name: 'outbox and ledger',
  up: `
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
  constraint outbox_aggregatetype_check check (aggregatetype <> ''),
  constraint outbox_headers_check check (headers is null or jsonb_typeof(headers) = 'object')
) partition by range (position);

-- last resort only: rows land here when no leaf covers their position; never moved (retention empties it)
create table millrace.outbox_default partition of millrace.outbox default;

create table millrace.outbox_leaf (
  leaf regclass constraint outbox_leaf_pk primary key,
  lo bigint not null constraint outbox_leaf_lo_key unique,
  hi bigint not null,
  created_at timestamptz not null default clock_timestamp()
);

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
`,
  down: `drop schema millrace cascade;`,
};
