import pg from 'pg';
import { DEFINED_TYPES } from './adopted-event.sql.js';

/** The table and all its partitions, as oids; `$oid` is a number. */
const family = (oid: string): string =>
  `(select ${oid}::oid as oid union select relid::oid from pg_partition_tree(${oid}::oid::regclass))`;

/** One row, or none when there is no such table. A domain counts as the type that it is made of. */
export const tableSql = (table: string): string => `
select c.oid::text as oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name, c.relname as bare_name,
  n.nspname as schema, c.relkind::text as kind, c.relpersistence::text as persistence, c.relispartition as is_partition,
  c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = c.oid) as has_children,
  exists (select from pg_subscription_rel s where s.srrelid in ${family('c.oid')}) as is_subscribed,
  exists (select from pg_rewrite r where r.ev_class = c.oid and r.ev_type = '3') as has_insert_rule,
  row_security_active(c.oid) as hides_rows,
  case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partitioned_by,
  pg_has_role(c.relowner, 'usage') as is_owned, pg_get_userbyid(c.relowner)::text as owner,
  (select json_agg(json_build_object('name', a.attname, 'isNullable', not a.attnotnull,
    'type', format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null),
    'isDefined', a.atttypid >= ${DEFINED_TYPES}, 'isVirtual', a.attgenerated = 'v',
    'isUnique', exists (select from pg_index x where x.indrelid = c.oid and x.indkey[0] = a.attnum
      and x.indisunique and x.indisvalid and x.indnkeyatts = 1 and x.indpred is null),
    'leadsIndex', exists (select from pg_index x where x.indrelid = c.oid and x.indkey[0] = a.attnum)) order by a.attnum)
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass(${pg.escapeLiteral(table)})`;

/** What the statistics say of inserted and deleted rows since they were reset. */
export const statisticsSql = (oid: string): string => `
select coalesce(sum(n_tup_ins), 0)::float8 as inserted, coalesce(sum(n_tup_del), 0)::float8 as deleted
from pg_stat_all_tables where relid in ${family(oid)}`;

/** How the publication holds the table: by its name, or by a partition's or a schema's; no row: there is none. */
export const publicationSql = (oid: string, publication: string): string => `
select p.puballtables as is_for_all, pg_has_role(p.pubowner, 'usage') as is_owned,
  exists (select from pg_publication_rel r where r.prpubid = p.oid and r.prrelid = ${oid}::oid) as has_table,
  exists (select from pg_publication_rel r where r.prpubid = p.oid and r.prrelid <> ${oid}::oid and r.prrelid in ${family(oid)})
    or exists (select from pg_publication_namespace s join pg_class c on c.relnamespace = s.pnnspid
      where s.pnpubid = p.oid and c.oid in ${family(oid)}) as has_other
from pg_publication p where p.pubname = ${pg.escapeLiteral(publication)}`;

/** Whether the trigger is on the table and all its partitions, and always fires. */
const isComplete = (oid: string, trigger: string): string => `
  (select bool_and(coalesce(x.tgenabled = 'A', false)) from ${family(oid)} p
    left join pg_trigger x on x.tgrelid = p.oid and x.tgname = ${pg.escapeLiteral(trigger)})`;

/** The trigger of an adopted table, with the function that it calls. */
export const triggerSql = (oid: string, trigger: string): string => `
select f.proname as function_name, f.prosrc as source, ${isComplete(oid, trigger)} as is_complete
from pg_trigger t join pg_proc f on f.oid = t.tgfoid
where t.tgrelid = ${oid}::oid and t.tgname = ${pg.escapeLiteral(trigger)}`;

/** Adopted tables of which something is left to do; those that were dropped only if another one has their name now. */
export const unfinishedAdoptionsSql = (trigger: string): string => `
select n.name, n.is_complete, false as is_replaced from (
  select quote_ident(s.nspname) || '.' || quote_ident(c.relname) as name, a.state, ${isComplete('c.oid', trigger)} as is_complete
  from millrace.adoption a join pg_class c on c.oid = a.source::oid join pg_namespace s on s.oid = c.relnamespace
) n where n.state <> 'adopted' or n.is_complete is not true
union
select a.request ->> 'table', false, true from millrace.adoption a
where not exists (select from pg_class c where c.oid = a.source::oid) and to_regclass(a.request ->> 'table') is not null
  and not exists (select from millrace.adoption b where b.source = to_regclass(a.request ->> 'table'))
order by 1`;

/** Serialisable transactions note what they read as a lock that conflicts with none. */
const harmless = (keepsReadersOut: boolean): string =>
  keepsReadersOut ? `'SIReadLock'` : `'SIReadLock', 'AccessShareLock', 'RowShareLock'`;

/** Who holds a lock on the table that ours, which waits for writers and may wait for readers, too, would wait for. */
export const holdersSql = (oid: string, keepsReadersOut: boolean): string => `
select l.virtualtransaction || ' ' || coalesce(l.pid, 0) as holder, coalesce(l.pid, 0)::integer as pid,
  min(coalesce(nullif(a.application_name, ''), a.backend_type)) as program,
  min(floor(extract(epoch from clock_timestamp() - a.xact_start)))::text as seconds
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_backend_pid()
  and l.database = (select oid from pg_database where datname = current_database())
  and l.relation in ${family(oid)}
  and l.mode <> all (array[${harmless(keepsReadersOut)}])
group by 1, 2 order by min(a.xact_start), 1`;
