/**
 * A sign of life: the member is there, and every partition of the topics has a place of the consumer. Returns all members
 * that are there. Members that have been gone for a while are removed, past those that somebody else removes.
 *
 * $1 consumer, $2 member, $3 lease in ms, $4 topics.
 */
export const BEAT_SQL = `with me as (
  insert into millrace.delivery_member as known (consumer, member, expires)
  values ($1, $2, clock_timestamp() + $3::bigint * interval '1 millisecond')
  on conflict (consumer, member) do update set expires = excluded.expires
  returning known.member
), gone as (
  delete from millrace.delivery_member m using (
    select o.consumer, o.member from millrace.delivery_member o
    where o.consumer = $1 and o.member <> $2 and o.expires < clock_timestamp() - interval '1 minute'
    order by o.member for update skip locked
  ) o where m.consumer = o.consumer and m.member = o.member
), places as (
  insert into millrace.delivery_place (consumer, partition_id)
  select $1, p.partition_id from millrace.delivery_partition p
  where p.topic = any($4::text[]) and not exists (
    select from millrace.delivery_place known where known.consumer = $1 and known.partition_id = p.partition_id)
  on conflict do nothing
)
select member::text from me
union
select m.member::text from millrace.delivery_member m where m.consumer = $1 and m.expires >= clock_timestamp()`;

/** $1 topics. */
export const TOPIC_PARTITIONS_SQL = `select p.partition_id, p.topic, p.partition from millrace.delivery_partition p
where p.topic = any($1::text[]) order by p.topic, p.partition`;

/**
 * Takes or keeps partitions for a member: those that it has, and those that nobody has. What somebody else is at takes
 * its place in a later call.
 *
 * $1 consumer, $2 member, $3 lease in ms, $4 partitions.
 */
export const CLAIM_SQL = `update millrace.delivery_place pl
set member = $2, expires = clock_timestamp() + $3::bigint * interval '1 millisecond'
from (
  select o.partition_id from millrace.delivery_place o
  where o.consumer = $1 and o.partition_id = any($4::integer[])
    and (o.member is null or o.member = $2 or o.expires < clock_timestamp())
  order by o.partition_id for update skip locked
) free
where pl.consumer = $1 and pl.partition_id = free.partition_id
returning pl.partition_id, pl.next_offset::text as next_offset`;

/** Only where the member still has the partition. $1 consumer, $2 member, $3 partitions, $4 offsets. */
export const COMMIT_SQL = `update millrace.delivery_place pl set next_offset = w.next_offset
from unnest($3::integer[], $4::bigint[]) w(partition_id, next_offset)
where pl.consumer = $1 and pl.partition_id = w.partition_id and pl.member = $2
returning pl.partition_id`;

/** $1 consumer, $2 member, $3 partitions. */
export const GIVE_BACK_SQL = `update millrace.delivery_place pl set member = null, expires = null
where pl.consumer = $1 and pl.member = $2 and pl.partition_id = any($3::integer[])`;

/** $1 consumer, $2 member. */
export const LEAVE_SQL = `with places as (
  update millrace.delivery_place pl set member = null, expires = null where pl.consumer = $1 and pl.member = $2
)
delete from millrace.delivery_member m where m.consumer = $1 and m.member = $2`;
