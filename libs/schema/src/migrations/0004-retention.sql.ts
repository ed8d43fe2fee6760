import { type Migration } from '../migration.js';
import { LEAVES_BESIDE_DEFAULT } from './0004-retention-default.sql.js';
import { LEAF_RETENTION } from './0004-retention-leaves.sql.js';
import { ROUTE_RETENTION } from './0004-retention-routes.sql.js';

/**
 * How many rows of each leaf a route has read. The counter of the leaf that is being read stands on the ledger row, so
 * that the write of a page costs nothing more, also under an old snapshot; the others are in `ledger_leaf`. Both are
 * parts of one sum and only ever added to, so the order of writers does not matter. Leaf 0 is the default partition.
 *
 * `counted_from` is null for a ledger of an older release until its route is claimed by this one.
 */
const COUNTERS = `
alter table millrace.ledger
  add column counted_from bigint,
  add column leaf_lo bigint,
  add column leaf_rows bigint not null default 0,
  add column expired_at timestamptz,
  add column exempt_until timestamptz;
comment on column millrace.ledger.counted_from is 'rows from this position on are counted by leaf';
comment on column millrace.ledger.leaf_lo is 'the leaf that leaf_rows belongs to';
comment on column millrace.ledger.leaf_rows is 'rows read of that leaf, on top of ledger_leaf';
comment on column millrace.ledger.expired_at is 'held more than retention allows: events that it has not settled may be gone';
comment on column millrace.ledger.exempt_until is 'let go on by a person: does not expire before';

create table millrace.ledger_leaf (
  route text not null,
  leaf_lo bigint not null,
  rows_read bigint not null,
  constraint ledger_leaf_pk primary key (route, leaf_lo)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

alter table millrace.outbox_leaf add column emptied_at timestamptz;
`;

/**
 * A new route counts from its first moment on: retention decides under the exclusive lock, a ledger row is made under
 * the shared one, so either retention sees the new route, or the route begins after what was removed.
 */
const NEW_ROUTES = `
create function millrace.wait_for_retention() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('millrace.retention', 0));
  return null;
end
$body$;

create trigger ledger_wait_for_retention before insert on millrace.ledger
  for each statement execute function millrace.wait_for_retention();
`;

/**
 * Retention: rows counted by leaf, the emptying of leaves, routes that expire. Locks: ACCESS EXCLUSIVE on
 * `millrace.ledger` and `millrace.outbox_leaf` for the catalog changes only; the outbox is not touched.
 */
export const retentionMigration: Migration = {
  version: 4,
  name: 'retention',
  up: COUNTERS + NEW_ROUTES + LEAVES_BESIDE_DEFAULT + LEAF_RETENTION + ROUTE_RETENTION,
  down: `drop function millrace.accept_leaf_count(bigint, text, text, bigint), millrace.let_route_go_on(text, text, text, bigint),
  millrace.expire_route(text, bigint, bigint, bigint, bigint), millrace.route_holds(text, bigint),
  millrace.drop_empty_leaves(integer), millrace.empty_leaf(bigint, bigint, bigint), millrace.leaf_verdict(bigint, bigint),
  millrace.leaf_miscount(bigint, regclass), millrace.leaf_obstacle(bigint, bigint), millrace.counts_of(bigint),
  millrace.is_behind(bigint, bigint), millrace.newest_of(regclass), millrace.require_read_committed();
create or replace function millrace.is_default_idle() returns boolean language sql as 'select false';
drop trigger ledger_wait_for_retention on millrace.ledger;
drop function millrace.wait_for_retention();
alter table millrace.outbox_leaf drop column emptied_at;
drop table millrace.ledger_leaf;
alter table millrace.ledger drop column counted_from, drop column leaf_lo, drop column leaf_rows,
  drop column expired_at, drop column exempt_until;`,
};
