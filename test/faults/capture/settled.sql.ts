/**
 * Whether all routes have settled all committed events up to a position. $1: the position; $2: how many routes there are
 * at least.
 */
export const IS_SETTLED_SQL = `select (select count(*) from millrace.ledger) >= $2 and not exists (
  select from millrace.outbox o cross join millrace.ledger l
  where o.position <= $1 and o.position > l.low and (o.position > l.high or exists (
    select from millrace.ledger_gap g where g.route = l.route and o.position between g.lo and g.hi))) as is_settled`;

/** The highest position that is committed now. */
export const LAST_COMMITTED_SQL = 'select coalesce(max(position), 0)::text as position from millrace.outbox';
