import { type Migration } from '../migration.js';
import { LEAF_RETENTION } from './0004-retention-leaves.sql.js';

/**
 * Events that a sink refuses for good, and behind each the later ones of its key. They are settled in the ledger by the
 * statement that writes them here. `route` is the route as a whole: which of its shards has a key follows from the key,
 * so that nothing moves when the number of shards changes.
 *
 * The row of the outbox is the event for as long as it lives; the columns from `type` on are its copy, which retention
 * makes before it empties the leaf. Only who has the epoch of a ledger adds events and takes keys away. A person's act
 * raises `held_revision` in its own transaction, by which the relay that runs the route learns of it.
 */
const TABLES = `
create table millrace.held (
  route text not null,
  position bigint not null,
  aggregatetype text not null,
  aggregateid text not null,
  id uuid not null,
  status text not null,
  code text,
  reason text,
  attempts integer not null default 0,
  bytes bigint not null,
  held_at timestamptz not null default clock_timestamp(),
  type text,
  aggregateversion bigint,
  schemaversion integer,
  payload jsonb,
  headers jsonb,
  occurred_at timestamptz,
  constraint held_pk primary key (route, position),
  constraint held_status_check check (status in ('held', 'skipped')),
  constraint held_reason_check check ((code is null) = (reason is null))
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.held.status is 'held: of the chain of its key; skipped: left out for good, unless a person says otherwise';
comment on column millrace.held.code is 'why it was refused; null: it waits behind an earlier event of its key';
comment on column millrace.held.attempts is 'how often it was refused';
comment on column millrace.held.bytes is 'of its record, about';
comment on column millrace.held.payload is 'null while the row of the outbox is there';

create index held_chain_idx on millrace.held (route, aggregatetype, aggregateid, position);
create index held_id_idx on millrace.held (route, id);

create table millrace.held_key (
  route text not null,
  aggregatetype text not null,
  aggregateid text not null,
  status text not null,
  attempts integer not null default 0,
  next_try timestamptz,
  code text not null,
  reason text not null,
  since timestamptz not null default clock_timestamp(),
  constraint held_key_pk primary key (route, aggregatetype, aggregateid),
  constraint held_key_status_check check (status in ('held', 'parked')),
  constraint held_key_next_try_check check ((status = 'held') = (next_try is not null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.held_key.status is 'held: tried again at next_try; parked: waits for a person';
comment on column millrace.held_key.attempts is 'refusals of the first event of the chain';

alter table millrace.ledger add column held_revision bigint not null default 0;
comment on column millrace.ledger.held_revision is 'grows when a person has changed the held events of the route';
`;

/**
 * Held events outlive their leaf as copies; skipped ones go with it. Called in the transaction that empties the leaf,
 * under its lock.
 */
const KEEP = `
create function millrace.keep_held_of(in_leaf regclass, out kept bigint, out forgotten bigint)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $body$
begin
  execute format('update millrace.held h set type = o.type, aggregateversion = o.aggregateversion,
      schemaversion = o.schemaversion, payload = o.payload, headers = o.headers, occurred_at = o.occurred_at
    from only %s o where o.position = h.position and o.id = h.id and h.status = ''held'' and h.payload is null', in_leaf);
  get diagnostics kept = row_count;
  execute format('delete from millrace.held h using only %s o
    where o.position = h.position and h.status = ''skipped''', in_leaf);
  get diagnostics forgotten = row_count;
end
$body$;
`;

const EMPTY_START = LEAF_RETENTION.indexOf('create function millrace.empty_leaf(');
const EMPTY_END = LEAF_RETENTION.indexOf('$body$;', EMPTY_START) + '$body$;'.length;
const EMPTY_LEAF = LEAF_RETENTION.slice(EMPTY_START, EMPTY_END).replace(
  'create function',
  'create or replace function',
);
const BEFORE_TRUNCATE = `      perform set_config('millrace.retention', 'on', true);`;

/** `empty_leaf` of step 4, which keeps what is held first. */
const EMPTY_LEAF_KEEPING_HELD = EMPTY_LEAF.replace(
  BEFORE_TRUNCATE,
  `      perform millrace.keep_held_of(leaf);\n${BEFORE_TRUNCATE}`,
);

/**
 * Held events. Locks: ACCESS EXCLUSIVE on the ledger for a moment, for the new column, for which relays wait; the outbox
 * is not touched. The way back is refused while events are held: they would be lost.
 */
export const heldMigration: Migration = {
  version: 9,
  name: 'held events',
  up: `${TABLES}${KEEP}\n${EMPTY_LEAF_KEEPING_HELD}\n`,
  down: `do $check$
begin
  if exists (select from millrace.held h where h.status = 'held') then
    raise exception 'events are held: publish or discard them first';
  end if;
end
$check$;
${EMPTY_LEAF}
drop function millrace.keep_held_of(regclass);
alter table millrace.ledger drop column held_revision;
drop table millrace.held_key, millrace.held;`,
};
