import { type Migration } from '../migration.js';

/**
 * Topics that a relay delivers into this database, as Kafka has them: partitions of records with offsets. Offsets are
 * given under the lock of the partition's row, which is held to the commit: who sees an offset sees all below it. Records
 * have no foreign key: it would be looked at for each of them, and functions alone write here.
 */
const TOPICS = `
create table millrace.delivery_topic (
  topic text constraint delivery_topic_pk primary key,
  topic_id uuid not null default gen_random_uuid(),
  partitions integer not null,
  made_at timestamptz not null default clock_timestamp(),
  constraint delivery_topic_name_check check (topic ~ '^[a-zA-Z0-9._-]{1,249}$'),
  constraint delivery_topic_partitions_check check (partitions between 1 and 1000)
);

comment on column millrace.delivery_topic.topic_id is 'a topic made anew under the same name has another one';

create table millrace.delivery_partition (
  partition_id integer generated always as identity constraint delivery_partition_pk primary key,
  topic text not null constraint delivery_partition_topic_fk references millrace.delivery_topic on delete cascade,
  partition integer not null,
  first_offset bigint not null default 0,
  next_offset bigint not null default 0,
  removed_at timestamptz,
  constraint delivery_partition_number_key unique (topic, partition),
  constraint delivery_partition_offsets_check check (first_offset <= next_offset)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.delivery_partition.first_offset is 'everything below it was removed';
comment on column millrace.delivery_partition.removed_at is 'when the newest of the removed records was delivered';

create table millrace.delivery (
  partition_id integer not null,
  record_offset bigint not null,
  delivered_at timestamptz not null default clock_timestamp(),
  record_key bytea not null,
  record_value bytea not null,
  headers bytea not null,
  constraint delivery_pk primary key (partition_id, record_offset)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = false);
comment on column millrace.delivery.headers is 'each name and value in turn, its length before it in four bytes, big-endian';
`;

/**
 * What this database has of a route: all positions at or below the floor, and those in delivery_settled. It is written in
 * the transaction that takes the records, so what was taken once is never taken again, whoever sends it. The floor is
 * the route's own low, as its records tell it. Shards count as their route: a partition has one of them at a time.
 */
const SETTLED = `
create table millrace.delivery_stream (
  stream_id bigint generated always as identity constraint delivery_stream_pk primary key,
  partition_id integer not null constraint delivery_stream_partition_fk references millrace.delivery_partition on delete cascade,
  source text not null,
  route text not null,
  epoch bigint not null,
  floor bigint not null default 0,
  forgotten bigint not null default 0,
  constraint delivery_stream_route_key unique (partition_id, source, route)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.delivery_stream.epoch is 'the highest that has delivered; whoever has a lower one is refused';
comment on column millrace.delivery_stream.floor is 'every event of the route for this partition at or below it was taken';
comment on column millrace.delivery_stream.forgotten is 'positions at or below it were removed from delivery_settled; it follows the floor';

create table millrace.delivery_settled (
  stream_id bigint not null,
  position bigint not null,
  kept_until timestamptz,
  constraint delivery_settled_pk primary key (stream_id, position)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = false);
create index delivery_settled_kept_idx on millrace.delivery_settled (kept_until) where kept_until is not null;
comment on column millrace.delivery_settled.kept_until is 'of an event that came after its floor: the floor says nothing of it';
`;

/** Consumers: who is there, and up to where each has read which partition. */
const PLACES = `
create table millrace.delivery_member (
  consumer text not null,
  member uuid not null,
  expires timestamptz not null,
  constraint delivery_member_pk primary key (consumer, member)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create table millrace.delivery_place (
  consumer text not null,
  partition_id integer not null constraint delivery_place_partition_fk references millrace.delivery_partition on delete cascade,
  next_offset bigint,
  member uuid,
  expires timestamptz,
  constraint delivery_place_pk primary key (consumer, partition_id),
  constraint delivery_place_lease_check check ((member is null) = (expires is null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.delivery_place.next_offset is 'the first offset that is not done; null: nothing is';
comment on column millrace.delivery_place.member is 'who reads the partition now, until expires';
`;

/** Makes a topic where there is none; returns how many partitions it has. */
const OPEN_TOPIC = `
create function millrace.open_delivery_topic(in_topic text, in_partitions integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '5s' as $body$
declare
  known integer;
begin
  select t.partitions into known from millrace.delivery_topic t where t.topic = in_topic;
  if known is not null then
    return known;
  end if;
  insert into millrace.delivery_topic as t (topic, partitions) values (in_topic, in_partitions)
  on conflict (topic) do nothing returning t.partitions into known;
  if known is not null then
    insert into millrace.delivery_partition (topic, partition) select in_topic, n from generate_series(0, known - 1) n;
    return known;
  end if;
  return (select t.partitions from millrace.delivery_topic t where t.topic = in_topic);
end
$body$;
`;

/**
 * Takes a batch of one route for one partition, in order, and what was taken before not again: one call, one statement of
 * the relay, one transaction. All of it happens under the lock of the partition, and each statement within has a snapshot
 * of its own, so it sees all that earlier batches wrote.
 *
 * Kinds: 1 is taken once, by its position; 2 is an event that its route had held back, so the floor says nothing of it; 0
 * is taken as often as it comes (a replay, or no event of a route). in_starts is where each record's key, value and
 * headers begin in in_bytes, and where the last one's end is, counted from 1. A low may rise above no position of its own
 * batch: the floor that judges is the one before. What the floor has passed is forgotten 5,000 positions at a time, so that
 * no call is long when a low has stood still for hours, and never looked for again: what was removed stays in the index
 * for as long as any snapshot is old.
 */
const DELIVER = `
create function millrace.deliver(in_topic text, in_partition integer, in_source text, in_route text, in_epoch bigint, in_low bigint,
  in_positions bigint[], in_kinds smallint[], in_starts integer[], in_bytes bytea,
  out verdict text, out base_offset bigint, out stored bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '5s' as $body$
declare
  lane millrace.delivery_partition;
  stream millrace.delivery_stream;
  passed record;
begin
  perform millrace.require_read_committed();
  stored := 0;
  select * into lane from millrace.delivery_partition p
  where p.topic = in_topic and p.partition = in_partition for update;
  if lane.partition_id is null then
    verdict := 'topic_missing';
    return;
  end if;
  base_offset := lane.next_offset;
  if in_source is not null then
    select * into stream from millrace.delivery_stream s
    where s.partition_id = lane.partition_id and s.source = in_source and s.route = in_route;
    if stream.stream_id is null then
      insert into millrace.delivery_stream as s (partition_id, source, route, epoch)
      values (lane.partition_id, in_source, in_route, in_epoch) returning s.* into stream;
    elsif in_epoch < stream.epoch then
      verdict := 'fenced';
      return;
    end if;
  end if;
  with sent as (
    select r.n, r.position, r.kind from unnest(in_positions, in_kinds) with ordinality r(position, kind, n)
  ), taken as (
    insert into millrace.delivery_settled as s (stream_id, position, kept_until)
    select stream.stream_id, r.position, case when r.kind = 2 then clock_timestamp() + interval '30 days' end
    from sent r where r.kind = 2 or (r.kind = 1 and r.position > stream.floor)
    on conflict do nothing returning s.position
  ), once as (
    select min(r.n) as n from sent r join taken t on t.position = r.position where r.kind <> 0 group by r.position
  ), fresh as (
    select r.n, row_number() over (order by r.n) - 1 as above
    from sent r where r.kind = 0 or r.n in (select o.n from once o)
  )
  insert into millrace.delivery (partition_id, record_offset, record_key, record_value, headers)
  select lane.partition_id, lane.next_offset + f.above,
    substring(in_bytes from in_starts[3 * f.n - 2] for in_starts[3 * f.n - 1] - in_starts[3 * f.n - 2]),
    substring(in_bytes from in_starts[3 * f.n - 1] for in_starts[3 * f.n] - in_starts[3 * f.n - 1]),
    substring(in_bytes from in_starts[3 * f.n] for in_starts[3 * f.n + 1] - in_starts[3 * f.n])
  from fresh f order by f.n;
  get diagnostics stored = row_count;
  if stored > 0 then
    update millrace.delivery_partition p set next_offset = lane.next_offset + stored where p.partition_id = lane.partition_id;
  end if;
  if in_source is not null and (in_epoch > stream.epoch or in_low > stream.floor or stream.forgotten < stream.floor) then
    stream.floor := greatest(stream.floor, in_low);
    select count(*) as rows, max(x.position) as last into passed from (
      select s.position from millrace.delivery_settled s
      where s.stream_id = stream.stream_id and s.position > stream.forgotten and s.position <= stream.floor
      order by s.position limit 5000
    ) x;
    passed.last := case when passed.rows < 5000 then stream.floor else passed.last end;
    delete from millrace.delivery_settled s
    where s.stream_id = stream.stream_id and s.position > stream.forgotten and s.position <= passed.last and s.kept_until is null;
    update millrace.delivery_stream s set epoch = in_epoch, floor = stream.floor, forgotten = passed.last
    where s.stream_id = stream.stream_id;
  end if;
  verdict := 'taken';
end
$body$;
`;

/**
 * Removes records from the front of partitions: those that all consumers have read, after in_read_ms, and any after
 * in_keep_ms. What a route has settled goes by its floor; only what is kept beyond it is removed here when its time is
 * over. Returns how many records were removed: at most in_rows, so that no call is long and no partition locked for long;
 * the partitions with the oldest front first.
 */
const REMOVE = `
create function millrace.remove_delivered(in_keep_ms bigint, in_read_ms bigint, in_rows integer) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $body$
declare
  lane record;
  removed record;
  total bigint := 0;
begin
  perform millrace.require_read_committed();
  if not pg_try_advisory_xact_lock(hashtextextended('millrace.remove_delivered', 0)) then
    return 0;
  end if;
  delete from millrace.delivery_settled s using millrace.delivery_stream t
  where s.kept_until < clock_timestamp() and t.stream_id = s.stream_id and s.position <= t.floor;
  for lane in
    select p.partition_id, p.first_offset, coalesce(read.up_to, 0) as read_to
    from millrace.delivery_partition p
    join millrace.delivery d on d.partition_id = p.partition_id and d.record_offset = p.first_offset
    left join (select pl.partition_id, min(coalesce(pl.next_offset, 0)) as up_to from millrace.delivery_place pl
      group by pl.partition_id) read on read.partition_id = p.partition_id
    where d.delivered_at < clock_timestamp()
      - case when p.first_offset < read.up_to then in_read_ms else in_keep_ms end * interval '1 millisecond'
    order by p.removed_at nulls first, p.partition_id
  loop
    with front as (
      select x.record_offset, bool_and(x.delivered_at < clock_timestamp()
          - case when x.record_offset < lane.read_to then in_read_ms else in_keep_ms end * interval '1 millisecond')
        over (order by x.record_offset) as is_old
      from (select d.record_offset, d.delivered_at from millrace.delivery d
        where d.partition_id = lane.partition_id and d.record_offset >= lane.first_offset
        order by d.record_offset limit in_rows - total) x
    ), gone as (
      delete from millrace.delivery d using front
      where d.partition_id = lane.partition_id and d.record_offset = front.record_offset and front.is_old
      returning d.record_offset, d.delivered_at
    )
    select count(*) as rows, max(g.record_offset) + 1 as first_offset, max(g.delivered_at) as newest into removed from gone g;
    if removed.rows > 0 then
      update millrace.delivery_partition p set first_offset = removed.first_offset,
        removed_at = greatest(p.removed_at, removed.newest)
      where p.partition_id = lane.partition_id;
      total := total + removed.rows;
      exit when total >= in_rows;
    end if;
  end loop;
  return total;
end
$body$;
`;

/** Delivery into this database. Locks: creates objects only; nothing that exists is locked. */
export const deliveryMigration: Migration = {
  version: 11,
  name: 'delivery',
  up: TOPICS + SETTLED + PLACES + OPEN_TOPIC + DELIVER + REMOVE,
  down: `drop function millrace.remove_delivered(bigint, bigint, integer),
  millrace.deliver(text, integer, text, text, bigint, bigint, bigint[], smallint[], integer[], bytea),
  millrace.open_delivery_topic(text, integer);
drop table millrace.delivery_place, millrace.delivery_member, millrace.delivery_settled, millrace.delivery_stream,
  millrace.delivery, millrace.delivery_partition, millrace.delivery_topic;`,
};
