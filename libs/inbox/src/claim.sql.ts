/**
 * Claims a batch: one statement, sorted by id, so that twins never deadlock. A twin's row is waited for and then seen.
 *
 * The floor is compared here and not only in memory: a member that was frozen may hold an event whose row was removed
 * meanwhile. `is_fresh` is taken after the unique check: rows are removed only below a floor that was visible for 10 s, so a
 * claim that was done within 5 s of its start found the floor or the row.
 *
 * $1 consumer; by arrival: $2 id, $3 position, $4 topic, $5 partition, $6 source, $7 route (both null: claimed by id
 * alone), $8 key.
 */
export const CLAIM = `with arrival as (
  select a.*, a.source is null as is_by_id, f.floor_id, f.floor
  from unnest($2::uuid[], $3::bigint[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[]) with ordinality
    as a (id, position, topic, partition, source, route, key, ordinal)
  left join millrace.inbox_floor f on f.consumer = $1 and f.topic = a.topic and f.partition = a.partition
    and f.source = a.source and f.route = a.route
), claimed as (
  insert into millrace.inbox (consumer, id, floor_id, position, kept_until)
  select $1, a.id, a.floor_id, case when not a.is_by_id then a.position end,
    case when a.is_by_id then statement_timestamp() + interval '30 days' end
  from arrival a
  where a.is_by_id or a.position > a.floor
  order by a.id
  on conflict (consumer, id) do nothing
  returning id, clock_timestamp() < statement_timestamp() + interval '5 seconds' as is_fresh
), held as (
  select h.topic, h.key from millrace.inbox_held_key h
  where h.consumer = $1 and (h.topic, h.key) in (select a.topic, a.key from arrival a)
  for share
)
select a.ordinal::integer, coalesce(c.is_fresh, true) as is_fresh,
  case
    when c.id is null and a.floor_id is null and not a.is_by_id then 'stream unknown'
    when c.id is null then 'duplicate'
    when h.key is null then 'new'
    else 'key held'
  end as finding
from arrival a left join claimed c on c.id = a.id left join held h on h.topic = a.topic and h.key = a.key`;

/** Which of the keys are held, for a snapshot that is younger than the claims' waits. $1 consumer, $2 topic, $3 key. */
export const HELD_KEYS = `select h.topic, h.key from millrace.inbox_held_key h
where h.consumer = $1 and (h.topic, h.key) in (select k.topic, k.key from unnest($2::text[], $3::text[]) as k (topic, key))
for share`;

/** Makes the row with which a stream's claims compare. $1 consumer; by stream: $2 topic, $3 partition, $4 source, $5 route. */
export const ADD_STREAMS = `insert into millrace.inbox_floor (consumer, topic, partition, source, route)
select distinct $1, s.topic, s.partition, s.source, s.route
from unnest($2::text[], $3::integer[], $4::text[], $5::text[]) as s (topic, partition, source, route)
order by 2, 3, 4, 5
on conflict on constraint inbox_floor_stream_key do nothing`;
