/**
 * Everything about the slots of a route and the publication, in one statement: one row for each slot whose name begins
 * with $1, or one row without a slot. Slot columns are taken out of JSON because each version of PostgreSQL has others:
 * what a server does not have is null. It runs on a standby too, and needs no rights but to connect; what
 * pg_stat_activity hides from the relay's role (the age of others' transactions) is null.
 *
 * `form` changes whenever the publication or its table is made anew or altered: catalog rows keep the xmin that wrote
 * them, also when they are frozen.
 *
 * Amazon RDS gives the right to replicate by membership of rds_replication instead of the attribute.
 *
 * A backend that makes a slot waits for the write transactions of the whole cluster, one after the other; `waiting_*`
 * is the one it waits for now.
 *
 * $1 prefix of the slots, $2 publication.
 */
export const SLOT_READING_SQL = `select
  current_setting('server_version_num') as server_version, pg_is_in_recovery()::text as is_standby,
  current_setting('wal_level') as wal_level,
  (select (rolreplication or rolsuper or coalesce(pg_has_role(current_user, to_regrole('rds_replication')::oid, 'member'), false))::text
    from pg_roles where rolname = current_user) as may_replicate,
  current_setting('max_replication_slots') as slots_max,
  (select count(*)::text from pg_replication_slots) as slots_used,
  (select setting from pg_settings where name = 'wal_sender_timeout') as wal_sender_timeout_ms,
  current_setting('synchronized_standby_slots', true) as synchronized_standby_slots,
  (select oid::text from pg_database where datname = current_database()) as database_oid,
  case when not pg_is_in_recovery() then pg_current_wal_lsn()::text end as wal_lsn,
  p.form, p.is_right::text as is_right,
  s.j ->> 'slot_name' as slot_name, s.j ->> 'plugin' as plugin, s.j ->> 'datoid' as slot_database_oid,
  s.j ->> 'temporary' as is_temporary, s.j ->> 'two_phase' as is_two_phase, s.j ->> 'active_pid' as active_pid,
  s.j ->> 'restart_lsn' as restart_lsn, s.j ->> 'confirmed_flush_lsn' as confirmed_flush_lsn,
  s.j ->> 'wal_status' as wal_status, s.j ->> 'safe_wal_size' as safe_wal_size,
  s.j ->> 'inactive_since' as inactive_since, s.j ->> 'conflicting' as is_conflicting,
  s.j ->> 'invalidation_reason' as invalidation_reason, s.j ->> 'failover' as is_failover, s.j ->> 'synced' as is_synced,
  case when not pg_is_in_recovery()
    then pg_wal_lsn_diff(pg_current_wal_lsn(), (s.j ->> 'restart_lsn')::pg_lsn)::bigint::text end as retained_bytes,
  d.spill_txns::text as spill_txns, d.spill_count::text as spill_count, d.spill_bytes::text as spill_bytes,
  d.total_txns::text as total_txns, d.total_bytes::text as total_bytes,
  r.application_name as reader_application, r.state as reader_state,
  r.sent_lsn::text as reader_sent_lsn, r.flush_lsn::text as reader_flush_lsn, r.reply_time::text as reader_reply_time,
  w.pid::text as waiting_pid, w.gid as waiting_gid, w.application_name as waiting_application, w.age_s as waiting_age_s,
  w.is_waiting::text as is_waiting
from (select 1) always
left join lateral (
  select concat_ws('.', pub.oid, pub.xmin, t.oid, t.xmin) as form,
    pub.pubinsert and not (pub.pubupdate or pub.pubdelete or pub.pubtruncate or pub.puballtables) and pub.pubviaroot
      and t.oid is not null and t.prqual is null and t.prattrs is null
      and not exists (select from pg_publication_rel o where o.prpubid = pub.oid and o.oid <> t.oid)
      and not exists (select from pg_publication_namespace n where n.pnpubid = pub.oid) as is_right
  from pg_publication pub
  left join pg_publication_rel t on t.prpubid = pub.oid and t.prrelid = to_regclass('millrace.outbox')
  where pub.pubname = $2
) p on true
left join lateral (
  select to_jsonb(slots) as j, slots.slot_name, slots.active_pid from pg_replication_slots slots
  where starts_with(slots.slot_name::text, $1)
) s on true
left join pg_stat_replication_slots d on d.slot_name = s.slot_name::text
left join pg_stat_replication r on r.pid = s.active_pid
left join lateral (
  select true as is_waiting, h.pid, x.gid, a.application_name,
    extract(epoch from clock_timestamp() - coalesce(x.prepared, a.xact_start))::bigint::text as age_s
  from pg_locks l
  left join pg_locks h on h.locktype = 'transactionid' and h.transactionid = l.transactionid and h.granted
  left join pg_stat_activity a on a.pid = h.pid
  left join pg_prepared_xacts x on x.transaction = l.transactionid
  where l.pid = s.active_pid and l.locktype = 'transactionid' and not l.granted
  limit 1
) w on true
order by s.slot_name`;
