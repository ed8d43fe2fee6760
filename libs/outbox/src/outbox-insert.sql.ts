/**
 * One event, the usual case: planned in half the time of the form below. `offset 0` keeps the lock in a subquery of its
 * own, which has to give its row before the default draws the position.
 */
export const INSERT_EVENT = `
insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers)
select $1::uuid, $2::text, $3::text, $4::text, $5::bigint, $6::integer, $7::jsonb, $8::jsonb
from (select case when $9::boolean then pg_advisory_xact_lock(hashtextextended($2 || ':' || $3, 0)) end offset 0) lock
returning id, position::text as position`;

/**
 * Many events. The keys' advisory locks are taken first, sorted, by a materialized CTE that every row is joined
 * with; positions are drawn above the sort, hence in the order of the arrays, and only once the locks are held.
 */
export const INSERT_EVENTS = `
with event as materialized (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::integer[], $7::text[],
    $8::text[], $9::boolean[]) with ordinality
    as e (id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers, is_serialized, ord)
), lock as materialized (
  select count(pg_advisory_xact_lock(k.key)) as taken
  from (select distinct hashtextextended(aggregatetype || ':' || aggregateid, 0) as key
        from event where is_serialized order by 1) k
)
insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers)
select e.id, e.aggregatetype, e.aggregateid, e.type, e.aggregateversion, e.schemaversion, e.payload::jsonb,
  e.headers::jsonb
from event e cross join lock
where lock.taken >= 0
order by e.ord
returning id, position::text as position`;

/** For more than one chunk: all locks before the first insert, so that two such calls cannot wait for each other. */
export const LOCK_KEYS = `
select count(pg_advisory_xact_lock(k.key)) as taken
from (select distinct hashtextextended(e.aggregatetype || ':' || e.aggregateid, 0) as key
      from unnest($1::text[], $2::text[]) as e (aggregatetype, aggregateid) order by 1) k`;
