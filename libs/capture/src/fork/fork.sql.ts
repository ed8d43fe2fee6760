/** When the oldest event was sent that the ledger may not have settled, with room for clocks. $1 route. */
export const SINCE_SQL = `select floor(extract(epoch from
  unsettled_since - interval '10 minutes') * 1000)::bigint::text as since_ms
from millrace.ledger where route = $1`;

/** Renews the lease under the epoch; no row: another owner has the route. $1 route, $2 epoch, $3 ttl in ms. */
export const RENEW_SQL = `update millrace.ledger set expires = clock_timestamp() + $3::bigint * interval '1 millisecond'
where route = $1 and epoch = $2 returning route`;

/** Forgets what an earlier repair has kept, that did not come to its end. Parameters as of `RENEW_SQL`. */
export const BEGIN_SQL = `with l as (${RENEW_SQL}), forgotten as (
  delete from millrace.fork_record r using l where r.route = l.route
)
select route from l`;

/** $1 to $3 as of `RENEW_SQL`, $4 positions, $5 ids, $6 topics, $7 partitions, $8 offsets, $9 own. */
export const KEEP_SQL = `with l as (${RENEW_SQL}), kept as (
  insert into millrace.fork_record (route, position, id, topic, partition, "offset", is_own)
  select l.route, r.position, r.id, r.topic, r.partition, r.at, r.is_own
  from l cross join unnest($4::bigint[], $5::uuid[], $6::text[], $7::integer[], $8::bigint[], $9::boolean[])
    r(position, id, topic, partition, at, is_own)
  on conflict on constraint fork_record_pk do nothing
  returning route
)
select route, (select count(*) from kept)::text as kept from l`;

/** Everything from the block of positions on is one transaction, which may wait and judge for long. */
export const OPEN_SQL = `begin; set local statement_timeout = '2min'`;

/** $1 route, $2 epoch, $3 timeline, $4 wanted types or null, $5 the highest position seen, $6 records kept. */
export const RESERVE_SQL = `select verdict, base::text as base, room::text as room
from millrace.fork_reserve($1, $2::bigint, $3::bigint, $4::text[], $5::bigint, $6::bigint)`;

/** To be asked after the block was reserved, outside its transaction: who holds a position below it has a lower xid. */
export const BOUND_SQL = `select pg_current_xact_id()::text as bound`;

/** $1 route, $2 epoch, $3 wanted types or null, $4 the highest position seen, $5 base of the block, $6 its room. */
export const COMPLETE_SQL = `select verdict, sent::text as found, moved::text as moved, lost::text as lost, incident::text as incident
from millrace.fork_complete($1, $2::bigint, $3::text[], $4::bigint, $5::bigint, $6::bigint)`;
