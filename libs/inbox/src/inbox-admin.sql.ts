/**
 * Which chains are meant; a null means any. $1 consumer, $2 topic, $3 key, $4 id of an event in it, $5 code, $6 status,
 * $7 set aside since, $8 attempts at least.
 */
const CHOSEN = `k.consumer = $1 and ($2::text is null or k.topic = $2) and ($3::text is null or k.key = $3)
  and ($4::uuid is null or (k.topic, k.key) in (select e.topic, e.key from millrace.inbox_held e where e.consumer = $1 and e.id = $4))
  and ($5::text is null or k.code = $5) and ($6::text is null or k.status = $6)
  and ($7::timestamptz is null or k.since >= $7) and ($8::integer is null or k.attempts >= $8)`;

/** Events in the order of their chains, longest set aside first; never their contents. $9 how many at most. */
export const LIST = `select h.id, h.topic, h.key, h.partition, h.record_offset::text as "offset", h.type, h.source,
  h.position::text as position, k.status, k.attempts, k.code, k.reason, k.since, k.next_try, h.place = 1 as is_head,
  h.chain_length
from millrace.inbox_held_key k
join lateral (
  select e.*, row_number() over (order by e.partition, e.record_offset)::integer as place,
    count(*) over ()::integer as chain_length
  from millrace.inbox_held e where e.consumer = k.consumer and e.topic = k.topic and e.key = k.key
) h on true
where ${CHOSEN} and ($4::uuid is null or h.id = $4)
order by k.since, k.topic, k.key, h.place
limit $9`;

/** Who has read here, or has something set aside. */
export const CONSUMERS = `select p.consumer from millrace.inbox_partition p
union select k.consumer from millrace.inbox_held_key k order by consumer limit 1000`;

/** Waits for arrivals and releases of these keys, so that what is read next is what is there. */
export const LOCK_CHOSEN = `select k.topic, k.key from millrace.inbox_held_key k where ${CHOSEN}
order by k.topic, k.key for update`;

/** Tried again at once, from the head on. $1 consumer, by chain: $2 topic, $3 key. */
export const MAKE_DUE = `update millrace.inbox_held_key k
set status = 'held', attempts = 0, next_try = clock_timestamp()
from unnest($2::text[], $3::text[]) as c (topic, key)
where k.consumer = $1 and k.topic = c.topic and k.key = c.key`;

/** The heads of the locked chains, or the one event of them that is asked for. $1 consumer, $2 topics, $3 keys, $4 id. */
export const CHOOSE_EVENTS = `select h.id, h.topic, h.key, h.type, h.partition, h.record_offset::text as "offset",
  h.position::text as position, h.source, h.place = 1 as is_head
from unnest($2::text[], $3::text[]) as c (topic, key)
join lateral (
  select e.*, row_number() over (order by e.partition, e.record_offset) as place
  from millrace.inbox_held e where e.consumer = $1 and e.topic = c.topic and e.key = c.key
) h on ($4::uuid is null and h.place = 1) or h.id = $4
order by h.topic, h.key`;

/** Their claims stay for 30 days, so that they do not come again. $1 consumer, $2 ids. */
export const REMOVE_EVENTS = `with kept as (
  update millrace.inbox set kept_until = clock_timestamp() + interval '30 days' where consumer = $1 and id = any ($2::uuid[])
)
delete from millrace.inbox_held where consumer = $1 and id = any ($2::uuid[])`;

/** $1 consumer, by chain: $2 topic, $3 key. */
export const REMOVE_EMPTY_KEYS = `delete from millrace.inbox_held_key k
using unnest($2::text[], $3::text[]) as c (topic, key)
where k.consumer = $1 and k.topic = c.topic and k.key = c.key and not exists (
  select from millrace.inbox_held e where e.consumer = $1 and e.topic = c.topic and e.key = c.key)`;

/**
 * Accepts the hole of a partition: its floors follow the applied offsets again. A member that still tells of this hole is
 * not believed any more. $1 consumer, $2 topic, $3 partition.
 */
export const THAW = `update millrace.inbox_partition p
set hole_from = null, hole_to = null, frozen_at = null, thawed_to = old.hole_to
from (
  select o.hole_from, o.hole_to, o.frozen_at from millrace.inbox_partition o
  where o.consumer = $1 and o.topic = $2 and o.partition = $3 and o.frozen_at is not null for update
) old
where p.consumer = $1 and p.topic = $2 and p.partition = $3
returning old.hole_from::text as "from", old.hole_to::text as "to"`;

/** $1 actor, $2 action, $3 target, $4 reason, $5 details. */
export const AUDIT = `insert into millrace.audit (actor, action, target, reason, details) values ($1, $2, $3, $4, $5)`;
