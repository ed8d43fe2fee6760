/**
 * The rules of both claims.
 *
 * A twin's row is waited for and then seen. The floor is compared here and not only in memory: a member that was frozen
 * may hold an event whose row was removed meanwhile. `is_fresh` is taken after the unique check: rows are removed only
 * below a floor that was visible for 10 s, so a claim that was done within 5 s of its start found the floor or the row.
 */
const IS_FRESH = `clock_timestamp() < statement_timestamp() + interval '5 seconds' as is_fresh`;
const KEPT_UNTIL = `statement_timestamp() + interval '30 days'`;

/**
 * Claims one event, which most transactions do: half the work of a batch of one.
 *
 * $1 consumer, $2 id, $3 position, $4 topic, $5 partition, $6 source, $7 route (both null: claimed by id alone), $8 key.
 */
export const CLAIM_ONE = `with floor as (
  select f.floor_id, f.floor from millrace.inbox_floor f
  where f.consumer = $1 and f.topic = $4 and f.partition = $5 and f.source = $6 and f.route = $7
), claimed as (
  insert into millrace.inbox (consumer, id, floor_id, position, kept_until)
  select $1, $2, f.floor_id, case when $6::text is not null then $3::bigint end,
    case when $6::text is null then ${KEPT_UNTIL} end
  from (select) as arrival left join floor f on true
  where $6::text is null or $3 > f.floor
  on conflict (consumer, id) do nothing
  returning ${IS_FRESH}
)
select 1 as ordinal, (select c.is_fresh from claimed c) as is_fresh,
  $6::text is not null and not exists (select from floor) as is_stream_unknown,
  exists (
    select from millrace.inbox_held_key h where h.consumer = $1 and h.topic = $4 and h.key = $8 for share
  ) as is_key_held`;

/**
 * Claims a batch in one statement, sorted by id, so that twins never deadlock. The arrays are compared with the indexes'
 * columns first, as a join alone would read every floor and every held key of the consumer.
 *
 * $1 consumer; by arrival: $2 id, $3 position, $4 topic, $5 partition, $6 source, $7 route, $8 key, as above.
 */
export const CLAIM_BATCH = `with arrival as (
  select a.*, a.source is null as is_by_id, f.floor_id, f.floor
  from unnest($2::uuid[], $3::bigint[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[]) with ordinality
    as a (id, position, topic, partition, source, route, key, ordinal)
  left join millrace.inbox_floor f on f.consumer = $1 and f.topic = any ($4) and f.partition = any ($5)
    and f.topic = a.topic and f.partition = a.partition and f.source = a.source and f.route = a.route
), claimed as (
  insert into millrace.inbox (consumer, id, floor_id, position, kept_until)
  select $1, a.id, a.floor_id, case when not a.is_by_id then a.position end, case when a.is_by_id then ${KEPT_UNTIL} end
  from arrival a
  where a.is_by_id or a.position > a.floor
  order by a.id
  on conflict (consumer, id) do nothing
  returning id, ${IS_FRESH}
), held as (
  select h.topic, h.key from millrace.inbox_held_key h
  where h.consumer = $1 and h.topic = any ($4) and h.key = any ($8)
  for share
)
select a.ordinal::integer, c.is_fresh, a.floor_id is null and not a.is_by_id as is_stream_unknown,
  h.key is not null as is_key_held
from arrival a left join claimed c on c.id = a.id left join held h on h.topic = a.topic and h.key = a.key`;

/**
 * Which of the keys are held, for a snapshot that is younger than the claims' waits; the caller compares the pairs.
 * $1 consumer, $2 topics, $3 keys.
 */
export const HELD_KEYS = `select h.topic, h.key from millrace.inbox_held_key h
where h.consumer = $1 and h.topic = any ($2) and h.key = any ($3)
for share`;

/** Makes the row with which a stream's claims compare. $1 consumer; by stream: $2 topic, $3 partition, $4 source, $5 route. */
export const ADD_STREAMS = `insert into millrace.inbox_floor (consumer, topic, partition, source, route)
select distinct $1, s.topic, s.partition, s.source, s.route
from unnest($2::text[], $3::integer[], $4::text[], $5::text[]) as s (topic, partition, source, route)
order by 2, 3, 4, 5
on conflict on constraint inbox_floor_stream_key do nothing`;
