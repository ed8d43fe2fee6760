/** How a held event stands: of the chain of a key that is tried by itself, or waits for a person, or left out. */
const STATE = `case when h.status = 'skipped' then 'skipped' else coalesce(k.status, 'held') end`;

const WITH_KEY = `millrace.held h left join millrace.held_key k
  on k.route = h.route and k.aggregatetype = h.aggregatetype and k.aggregateid = h.aggregateid`;

const TIME = `at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;

/** Refused events by position. $1 route, $2 after this position, $3 state or null, $4 code or null, $5 how many. */
export const PARKED_SQL = `select h.position::text, h.id::text, h.aggregatetype, h.aggregateid, ${STATE} as state, h.code, h.reason,
  h.attempts::text, to_char(h.held_at ${TIME}) as held_at, to_char(k.next_try ${TIME}) as next_try
from ${WITH_KEY}
where h.route = $1 and h.code is not null and h.position > $2::bigint
  and ($3::text is null or ${STATE} = $3) and ($4::text is null or h.code = $4)
order by h.position limit $5`;

/** $1 route. */
export const PARKED_CODES_SQL = `select h.code, ${STATE} as state, count(*)::text as events, to_char(min(h.held_at) ${TIME}) as held_at
from ${WITH_KEY} where h.route = $1 and h.code is not null group by 1, 2 order by 1, 2`;

/** Keys by name. $1 route, $2 and $3 after this key (null: from the first), $4 how many. */
export const KEYS_PAGE_SQL = `select k.aggregatetype, k.aggregateid, k.status as state, k.code, k.reason, k.attempts::text,
  to_char(k.since ${TIME}) as held_at, to_char(k.next_try ${TIME}) as next_try, c.events::text, c.bytes::text, c.first::text
from (
  select * from millrace.held_key p
  where p.route = $1 and ($2::text is null or (p.aggregatetype, p.aggregateid) > ($2, $3::text))
  order by p.aggregatetype, p.aggregateid limit $4
) k cross join lateral (
  select count(*) as events, coalesce(sum(h.bytes), 0) as bytes, min(h.position) as first from millrace.held h
  where h.route = k.route and h.aggregatetype = k.aggregatetype and h.aggregateid = k.aggregateid and h.status = 'held'
) c order by k.aggregatetype, k.aggregateid`;

/** $1 route, $2 ids or null, $3 aggregate type or null, $4 aggregate id or null, $5 state or null, $6 code or null. */
const PICKED = `select h.* from ${WITH_KEY}
  where h.route = $1 and ($2::uuid[] is null or h.id = any($2::uuid[]))
    and ($3::text is null or (h.aggregatetype = $3 and h.aggregateid = $4::text))
    and ($5::text is null or ${STATE} = $5) and ($6::text is null or h.code = $6)`;

/** What an action would take. Parameters of `PICKED`. */
export const PICK_SQL = `select count(*)::text as events, count(distinct (p.aggregatetype, p.aggregateid))::text as keys,
  exists (select from millrace.ledger l where coalesce(l.shard_of, l.route) = $1) as is_known
from (${PICKED}) p`;

/**
 * The ledger row first, as who runs the route takes it: so neither waits for the other while he has what the other needs,
 * and the next write of the ledger tells the relay that something has changed. Nothing is done when other events are
 * picked than a person was shown. $7 so many as he was shown or null, $8 actor, $9 reason, $10 action.
 */
const actionSql = (effect: string): string => `with l as (
  update millrace.ledger set held_revision = held_revision + 1 where coalesce(shard_of, route) = $1 returning route
), candidates as (
  ${PICKED} and exists (select from l)
), picked as (
  select c.* from candidates c where $7::bigint is null or $7::bigint = (select count(*) from candidates)
), ${effect}, audited as (
  insert into millrace.audit (actor, action, target, reason, details)
  select $8, $10, $1, $9, jsonb_build_object('events', count(*), 'keys', count(distinct (p.aggregatetype, p.aggregateid)),
    'first', (select jsonb_agg(f.id) from (select id from picked order by position limit 100) f))
  from picked p having count(*) > 0
)
select (select count(*) from candidates)::text as events,
  (select count(distinct (c.aggregatetype, c.aggregateid)) from candidates c)::text as keys,
  (select count(*) from picked)::text as done, exists (select from l) as is_known`;

/** Chains of the picked events are due now; what was left out joins its chain. */
export const RETRY_SQL = actionSql(`again as (
  update millrace.held h set status = 'held' from picked p
  where h.route = p.route and h.position = p.position and h.status = 'skipped'
), due as (
  insert into millrace.held_key (route, aggregatetype, aggregateid, status, attempts, next_try, code, reason)
  select distinct on (p.aggregatetype, p.aggregateid) p.route, p.aggregatetype, p.aggregateid, 'held', 0, clock_timestamp(),
    coalesce(p.code, 'held'), coalesce(p.reason, 'An earlier event of its key was refused.')
  from picked p order by p.aggregatetype, p.aggregateid, p.position
  on conflict on constraint held_key_pk do update set status = 'held', attempts = 0, next_try = excluded.next_try
)`);

/**
 * The picked events are no more. Where the first one of a chain is among them, the chain is due now; the relay that runs
 * the route takes the key away when it finds nothing.
 */
export const DISCARD_SQL = actionSql(`gone as (
  delete from millrace.held h using picked p where h.route = p.route and h.position = p.position
  returning h.route, h.aggregatetype, h.aggregateid, h.position, h.status
), due as (
  update millrace.held_key k set status = 'held', attempts = 0, next_try = clock_timestamp()
  from (
    select g.aggregatetype, g.aggregateid, min(g.position) as first from gone g where g.status = 'held'
    group by g.aggregatetype, g.aggregateid
  ) g
  where k.route = $1 and k.aggregatetype = g.aggregatetype and k.aggregateid = g.aggregateid
    and not exists (select from millrace.held h where h.route = k.route and h.aggregatetype = k.aggregatetype
      and h.aggregateid = k.aggregateid and h.status = 'held' and h.position < g.first)
)`);
