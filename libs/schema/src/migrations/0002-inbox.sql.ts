import { type Migration } from '../migration.js';

/**
 * Up to where each stream of a partition is applied. `floor` is compared by every claim; rows of the inbox are removed
 * only up to `sealed_floor`, which is a floor that was visible for longer than any claim can run: a claim whose
 * snapshot is older than the floor would otherwise find neither the floor nor the row. A floor becomes `candidate` in a
 * later statement than the one that wrote it, so `candidate_since` is never earlier than its commit.
 */
const PROGRESS = `
create table millrace.inbox_partition (
  consumer text not null,
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  hole_from bigint,
  hole_to bigint,
  frozen_at timestamptz,
  thawed_to bigint,
  constraint inbox_partition_pk primary key (consumer, topic, partition),
  constraint inbox_partition_hole_check check (
    (hole_from is null) = (hole_to is null) and (hole_from is null) = (frozen_at is null) and hole_from <= hole_to)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.inbox_partition.next_offset is 'first offset that is not done; never behind what the broker was told';
comment on column millrace.inbox_partition.hole_from is 'first offset that was never delivered: the floors stand still until somebody thaws them';
comment on column millrace.inbox_partition.hole_to is 'last offset of the hole';
comment on column millrace.inbox_partition.thawed_to is 'holes up to here were accepted by a person';

create table millrace.inbox_floor (
  floor_id bigint generated always as identity constraint inbox_floor_pk primary key,
  consumer text not null,
  topic text not null,
  partition integer not null,
  source text not null,
  route text not null,
  floor bigint not null default 0,
  candidate bigint not null default 0,
  candidate_since timestamptz not null default clock_timestamp(),
  sealed_floor bigint not null default 0,
  constraint inbox_floor_stream_key unique (consumer, topic, partition, source, route),
  constraint inbox_floor_order_check check (sealed_floor <= candidate and candidate <= floor)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.inbox_floor.floor is 'every event of the stream at or below it was applied; what comes again is a duplicate';
comment on column millrace.inbox_floor.sealed_floor is 'claims at or below it may be removed';
`;

/**
 * One row per claimed event. Not partitioned: partitions by time would need the time in the unique key, and a twin on
 * the other side of midnight would be claimed again. Rows live for seconds, so vacuum must come often and not be
 * throttled; it does not give pages back, for that takes a lock that claims would wait for, and the pages are needed
 * again at once.
 */
const CLAIMS = `
create table millrace.inbox (
  consumer text not null,
  id uuid not null,
  floor_id bigint,
  position bigint,
  kept_until timestamptz,
  constraint inbox_pk primary key (consumer, id),
  constraint inbox_end_check check ((floor_id is null) = (kept_until is not null) and (floor_id is null) = (position is null))
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = false);
comment on column millrace.inbox.floor_id is 'the stream whose sealed floor removes the row; null for a row that is kept by time';
comment on column millrace.inbox.kept_until is 'infinity while the event is set aside';

create index inbox_floor_position_idx on millrace.inbox (floor_id, position) where floor_id is not null;
create index inbox_kept_until_idx on millrace.inbox (kept_until) where kept_until is not null;
`;

/**
 * Events that are set aside, in chains by key. The row of the key is the lock between arrivals (for share) and release
 * (for update). The foreign key keeps a chain from losing its key, and with it its events.
 *
 * Names of headers are bytes, as the record had them: a text could not hold every name, and what cannot be stored would
 * stop its partition.
 */
const SET_ASIDE = `
create table millrace.inbox_held_key (
  consumer text not null,
  topic text not null,
  key text not null,
  status text not null,
  attempts integer not null default 0,
  next_try timestamptz,
  code text not null,
  reason text not null,
  since timestamptz not null default clock_timestamp(),
  constraint inbox_held_key_pk primary key (consumer, topic, key),
  constraint inbox_held_key_status_check check (status in ('held', 'parked')),
  constraint inbox_held_key_next_try_check check ((status = 'held') = (next_try is not null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.inbox_held_key.status is 'held: tried again at next_try; parked: waits for a person';
comment on column millrace.inbox_held_key.attempts is 'failed tries of the first event of the chain';

create index inbox_held_key_due_idx on millrace.inbox_held_key (consumer, next_try) where next_try is not null;

create table millrace.inbox_held (
  consumer text not null,
  id uuid not null,
  topic text not null,
  key text not null,
  partition integer not null,
  record_offset bigint not null,
  source text,
  route text,
  position bigint not null,
  type text not null,
  timestamp_ms bigint not null,
  record_key bytea,
  record_value bytea,
  header_names bytea[] not null,
  header_values bytea[] not null,
  held_at timestamptz not null default clock_timestamp(),
  constraint inbox_held_pk primary key (consumer, id),
  constraint inbox_held_key_fk foreign key (consumer, topic, key) references millrace.inbox_held_key,
  constraint inbox_held_stream_check check ((source is null) = (route is null)),
  constraint inbox_held_headers_check check (cardinality(header_names) = cardinality(header_values))
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index inbox_held_chain_idx on millrace.inbox_held (consumer, topic, key, partition, record_offset);
`;

/** What a consumer remembers: claims, floors, progress, and events that are set aside. Locks: creates objects only. */
export const inboxMigration: Migration = {
  version: 2,
  name: 'inbox',
  up: PROGRESS + CLAIMS + SET_ASIDE,
  down: `drop table millrace.inbox_held, millrace.inbox_held_key, millrace.inbox, millrace.inbox_floor, millrace.inbox_partition;`,
};
