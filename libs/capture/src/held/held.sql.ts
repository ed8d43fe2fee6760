import { type LedgerPart } from '../offsets/offsets.sql.js';
import { HEADERS } from '../poll.sql.js';
import { type HeldChanges, isEmptyHeldChange } from './held-events.js';

/**
 * $1 route. The chains are counted in one pass; a key may have none yet, or no more. A chain whose key was taken away (another
 * shard found it empty while its own one added to it) is due.
 */
export const HELD_KEYS_SQL = `select coalesce(k.aggregatetype, c.aggregatetype) as aggregatetype,
  coalesce(k.aggregateid, c.aggregateid) as aggregateid, coalesce(k.attempts, 0)::text as attempts,
  coalesce(k.code, 'held') as code, coalesce(k.reason, 'An earlier event of its key was refused.') as reason,
  case when k.route is null then 0
    when k.next_try is not null then greatest(0, ceil(extract(epoch from k.next_try - clock_timestamp()) * 1000))
    end::bigint::text as due_in_ms,
  greatest(0, floor(extract(epoch from clock_timestamp() - coalesce(k.since, c.since)) * 1000))::bigint::text as age_ms,
  coalesce(c.events, 0)::text as events, coalesce(c.bytes, 0)::text as bytes
from (select * from millrace.held_key where route = $1) k full join (
  select h.aggregatetype, h.aggregateid, count(*) as events, sum(h.bytes) as bytes, min(h.held_at) as since
  from millrace.held h where h.route = $1 and h.status = 'held' group by h.aggregatetype, h.aggregateid
) c on c.aggregatetype = k.aggregatetype and c.aggregateid = k.aggregateid`;

/**
 * The first events of chains, as a poll prints them. The row of the outbox is the event while it is there, then its copy.
 * Of each key at least one,
 * if there is one. $1 route, $2 aggregate types, $3 aggregate ids, $4 events of each, $5 their bytes.
 */
export const CHAINS_SQL = `select position::text, id::text, aggregatetype, aggregateid, type, aggregateversion::text,
  schemaversion::text, payload::text, ${HEADERS} as headers, occurred_at::text, bytes::text
from (
  select h.position, h.id, h.aggregatetype, h.aggregateid, h.bytes,
    case when h.payload is null then o.type else h.type end as type,
    case when h.payload is null then o.aggregateversion else h.aggregateversion end as aggregateversion,
    case when h.payload is null then o.schemaversion else h.schemaversion end as schemaversion,
    case when h.payload is null then o.payload else h.payload end as payload,
    case when h.payload is null then o.headers else h.headers end as headers,
    case when h.payload is null then o.occurred_at else h.occurred_at end as occurred_at
  from unnest($2::text[], $3::text[]) k(aggregatetype, aggregateid)
  cross join lateral (
    select s.* from (
      select c.*, sum(c.bytes) over (order by c.position rows between unbounded preceding and 1 preceding) as bytes_before
      from (
        select f.* from millrace.held f
        where f.route = $1 and f.aggregatetype = k.aggregatetype and f.aggregateid = k.aggregateid and f.status = 'held'
        order by f.position limit $4
      ) c
    ) s where s.bytes_before is null or s.bytes_before < $5::bigint
  ) h
  left join millrace.outbox o on h.payload is null and o.position = h.position and o.id = h.id
) chain order by chain.position`;

/** The part of the ledger's statement that changes what is held; none without changes. */
export function heldParts(changes: HeldChanges | undefined): LedgerPart[] {
  return changes === undefined || isEmptyHeldChange(changes) ? [] : [heldPart(changes)];
}

function heldPart({ revision, events, refusedAgain, released, keys, closed }: HeldChanges): LedgerPart {
  return {
    name: 'held',
    sql: heldSql,
    values: [
      events.map(({ position }) => String(position)),
      events.map(({ aggregateType }) => aggregateType),
      events.map(({ aggregateId }) => aggregateId),
      events.map(({ id }) => id),
      events.map(({ status }) => status),
      events.map(({ refusal }) => refusal?.code ?? null),
      events.map(({ refusal }) => refusal?.reason ?? null),
      events.map(({ bytes }) => bytes),
      refusedAgain.map(({ position }) => String(position)),
      refusedAgain.map(({ status }) => status),
      refusedAgain.map(({ refusal }) => refusal.code),
      refusedAgain.map(({ refusal }) => refusal.reason),
      released.map(String),
      keys.map(({ aggregateType }) => aggregateType),
      keys.map(({ aggregateId }) => aggregateId),
      keys.map(({ attempts }) => attempts),
      keys.map(({ dueInMs }) => (dueInMs === null ? null : Math.ceil(dueInMs))),
      keys.map(({ refusal }) => refusal.code),
      keys.map(({ refusal }) => refusal.reason),
      closed.map(({ aggregateType }) => aggregateType),
      closed.map(({ aggregateId }) => aggregateId),
      String(revision),
    ],
  };
}

/** A key is not taken away while its chain has more than what this statement takes out: then the next claim finds it. */
function heldSql(first: number): string {
  const at = (offset: number, type: string): string => `$${first + offset}::${type}[]`;
  return `, held as (
  insert into millrace.held (route, position, aggregatetype, aggregateid, id, status, code, reason, attempts, bytes)
  select l.of_route, h.position, h.aggregatetype, h.aggregateid, h.id, h.status, h.code, h.reason,
    case when h.code is null then 0 else 1 end, h.bytes
  from l cross join unnest(${at(0, 'bigint')}, ${at(1, 'text')}, ${at(2, 'text')}, ${at(3, 'uuid')}, ${at(4, 'text')},
    ${at(5, 'text')}, ${at(6, 'text')}, ${at(7, 'bigint')}) h(position, aggregatetype, aggregateid, id, status, code, reason, bytes)
  on conflict on constraint held_pk do nothing
), refused_again as (
  update millrace.held h set status = r.status, code = r.code, reason = r.reason, attempts = h.attempts + 1
  from l cross join unnest(${at(8, 'bigint')}, ${at(9, 'text')}, ${at(10, 'text')}, ${at(11, 'text')}) r(position, status, code, reason)
  where h.route = l.of_route and h.position = r.position
), released as (
  delete from millrace.held h using l where h.route = l.of_route and h.position = any(${at(12, 'bigint')})
), held_keys as (
  insert into millrace.held_key (route, aggregatetype, aggregateid, status, attempts, next_try, code, reason)
  select l.of_route, k.aggregatetype, k.aggregateid, case when d.due_ms is null then 'parked' else 'held' end, k.attempts,
    clock_timestamp() + d.due_ms * interval '1 millisecond', k.code, k.reason
  from l cross join unnest(${at(13, 'text')}, ${at(14, 'text')}, ${at(15, 'integer')}, ${at(16, 'bigint')}, ${at(17, 'text')},
    ${at(18, 'text')}) k(aggregatetype, aggregateid, attempts, wait_ms, code, reason)
    cross join lateral (select case when l.held_revision = $${first + 21}::bigint then k.wait_ms else 0 end as due_ms) d
  on conflict on constraint held_key_pk do update set status = excluded.status, attempts = excluded.attempts,
    next_try = excluded.next_try, code = excluded.code, reason = excluded.reason
), closed as (
  delete from millrace.held_key k
  using l cross join unnest(${at(19, 'text')}, ${at(20, 'text')}) c(aggregatetype, aggregateid)
  where k.route = l.of_route and k.aggregatetype = c.aggregatetype and k.aggregateid = c.aggregateid
    and not exists (select from millrace.held h where h.route = k.route and h.aggregatetype = k.aggregatetype
      and h.aggregateid = k.aggregateid and h.status = 'held' and h.position <> all(${at(12, 'bigint')})
      and h.position <> all(${at(8, 'bigint')}))
)`;
}
