/**
 * Presence: one statement on the database's clock. Renews the row of the relay that asks, or lets it join anew when its
 * presence had run out; clears away members that have been gone for a minute, but waits for nobody; returns who is
 * alive, in the order in which they joined.
 *
 * $1 owner, $2 ttl in ms, $3 config version, $4 wants, $5 stopped, $6 source.
 */
export const JOIN_SQL = `with gone as (
  delete from millrace.relay_member where ctid in (
    select g.ctid from millrace.relay_member g
    where g.expires < clock_timestamp() - interval '1 minute' and (g.owner, g.source) <> ($1, $6)
    for update skip locked
  )
), me as (
  insert into millrace.relay_member as m (source, owner, expires, config_version, wants, stopped)
  values ($6, $1, clock_timestamp() + $2::bigint * interval '1 millisecond', $3, $4::text[], $5::text[])
  on conflict (source, owner) do update set
    joined_at = case when m.expires < clock_timestamp() then clock_timestamp() else m.joined_at end,
    seen_at = clock_timestamp(), expires = excluded.expires, config_version = excluded.config_version,
    wants = excluded.wants, stopped = excluded.stopped
  returning owner, joined_at, seen_at, config_version, wants, stopped
)
select a.owner, a.config_version, array_to_json(a.wants)::text as wants, array_to_json(a.stopped)::text as stopped,
  greatest(0, floor(extract(epoch from a.seen_at - a.joined_at) * 1000))::bigint::text as member_for_ms
from (
  select * from me
  union all
  select o.owner, o.joined_at, o.seen_at, o.config_version, o.wants, o.stopped
  from millrace.relay_member o where o.source = $6 and o.owner <> $1 and o.expires >= clock_timestamp()
) a
order by a.joined_at, a.owner`;

/** $1 owner, $2 source. */
export const LEAVE_SQL = `delete from millrace.relay_member where owner = $1 and source = $2`;
