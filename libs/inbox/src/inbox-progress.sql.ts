/** A hole that nobody has thawed yet; null, and so false, where there is none. */
const IS_NEWS = 'excluded.hole_to > coalesce(p.thawed_to, -1)';

/**
 * Writes how far partitions are applied; nothing moves back. A hole stops the floors of its partition until somebody
 * thaws it; a hole that was thawed meanwhile is no news.
 *
 * A stream is inserted only when it is new: an insert draws a number for its row even if the row is there. Floors are
 * touched under the lock of their partition, and partitions are locked in order, so two savers never deadlock.
 *
 * $1 consumer; by partition: $2 topic, $3 partition, $4 next offset, $5 hole from, $6 hole to; by stream: $7 topic,
 * $8 partition, $9 source, $10 route, $11 floor.
 */
export const SAVE_PROGRESS = `with saved as (
  insert into millrace.inbox_partition as p (consumer, topic, partition, next_offset, hole_from, hole_to, frozen_at)
  select $1, n.topic, n.partition, n.next_offset, n.hole_from, n.hole_to,
    case when n.hole_from is not null then clock_timestamp() end
  from unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[])
    as n (topic, partition, next_offset, hole_from, hole_to)
  order by n.topic, n.partition
  on conflict (consumer, topic, partition) do update set
    next_offset = greatest(p.next_offset, excluded.next_offset),
    hole_from = case when ${IS_NEWS} then least(p.hole_from, excluded.hole_from) else p.hole_from end,
    hole_to = case when ${IS_NEWS} then greatest(p.hole_to, excluded.hole_to) else p.hole_to end,
    frozen_at = case when ${IS_NEWS} then coalesce(p.frozen_at, excluded.frozen_at) else p.frozen_at end
  returning p.topic, p.partition, p.frozen_at is not null as is_frozen
), given as (
  select n.topic, n.partition, n.source, n.route, case when s.is_frozen then 0 else n.floor end as floor
  from unnest($7::text[], $8::integer[], $9::text[], $10::text[], $11::bigint[]) as n (topic, partition, source, route, floor)
  join saved s on s.topic = n.topic and s.partition = n.partition
), moved as (
  update millrace.inbox_floor f set floor = g.floor from given g
  where f.consumer = $1 and f.topic = g.topic and f.partition = g.partition and f.source = g.source and f.route = g.route
    and f.floor < g.floor
)
insert into millrace.inbox_floor as f (consumer, topic, partition, source, route, floor)
select $1, g.topic, g.partition, g.source, g.route, g.floor
from given g
where not exists (
  select from millrace.inbox_floor k
  where k.consumer = $1 and k.topic = g.topic and k.partition = g.partition and k.source = g.source and k.route = g.route
)
order by g.topic, g.partition, g.source, g.route
on conflict on constraint inbox_floor_stream_key do update set floor = greatest(f.floor, excluded.floor)`;

/** $1 consumer, $2 topic, $3 partition. */
export const READ_PARTITION = `select p.next_offset::text, p.hole_from::text, p.hole_to::text
from millrace.inbox_partition p where p.consumer = $1 and p.topic = $2 and p.partition = $3`;

/** $1 consumer, $2 topic, $3 partition. */
export const READ_FLOORS = `select f.source, f.route, f.floor::text
from millrace.inbox_floor f where f.consumer = $1 and f.topic = $2 and f.partition = $3 and f.floor > 0`;

/**
 * Seals floors that were candidates for 10 s, and makes the floors of now the next candidates: this statement sees them,
 * so every claim that starts after `candidate_since` does too. Rows that another member is at are left to it.
 *
 * $1 consumer.
 */
export const SEAL_FLOORS = `update millrace.inbox_floor f
set sealed_floor = f.candidate, candidate = f.floor, candidate_since = clock_timestamp()
from (
  select d.floor_id from millrace.inbox_floor d
  where d.consumer = $1 and d.sealed_floor < d.floor
    and (d.candidate = d.sealed_floor or d.candidate_since <= clock_timestamp() - interval '10 seconds')
  for update skip locked
) due
where f.floor_id = due.floor_id`;

/** Removes claims at or below the sealed floors. $1 consumer, $2 how many at most. */
export const PRUNE_SEALED = `delete from millrace.inbox where ctid = any (array(
  select i.ctid from millrace.inbox_floor f
  cross join lateral (
    select c.ctid from millrace.inbox c
    where c.floor_id = f.floor_id and c.position <= f.sealed_floor
    order by c.position limit $2
    for update skip locked
  ) i
  where f.consumer = $1 and f.sealed_floor > 0
  limit $2))`;

/**
 * Removes claims whose time is over. By the statement's time: an index is searched for no value that could change meanwhile.
 *
 * $1 consumer, $2 how many at most.
 */
export const PRUNE_EXPIRED = `delete from millrace.inbox where ctid = any (array(
  select c.ctid from millrace.inbox c
  where c.consumer = $1 and c.kept_until < statement_timestamp()
  limit $2
  for update skip locked))`;
