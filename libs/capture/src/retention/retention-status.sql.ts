/** Every table of rows: the leaves by position, then the default partition with a `lo` of 0. */
export const LEAVES_SQL = `select l.leaf::text as table_name, l.lo::text as lo, (l.hi - 1)::text as last,
  p.last::text as last_position, l.emptied_at is not null as is_emptied,
  coalesce(pg_total_relation_size(l.leaf), 0)::text as bytes, coalesce(pg_stat_get_live_tuples(l.leaf), 0)::text as rows
from millrace.outbox_leaf l cross join (select millrace.last_position() as last) p
order by l.lo`;

/** As `LEAVES_SQL`; no row when the default partition has none. */
export const DEFAULT_LEAF_SQL = `select d.leaf::text as table_name, '0' as lo, e.last::text as last,
  e.last::text as last_position, false as is_emptied, pg_total_relation_size(d.leaf)::text as bytes,
  pg_stat_get_live_tuples(d.leaf)::text as rows
from (select 'millrace.outbox_default'::regclass as leaf) d,
  (select max(position) as last from only millrace.outbox_default) e
where e.last is not null`;

/**
 * Age in ms of the oldest and of the newest row of a leaf; positions are drawn a moment before `occurred_at`, so they
 * are among the first and last rows. A range of the parent reads its leaf alone, and nothing once that is gone.
 */
export function leafAgesSql(isDefault: boolean): string {
  const end = (direction: 'asc' | 'desc'): string =>
    `(select o.occurred_at from ${isDefault ? 'only millrace.outbox_default' : 'millrace.outbox'} o
      where o.position >= $1::bigint and o.position <= $2::bigint order by o.position ${direction} limit 1000)`;
  const age = (time: string): string => `floor(extract(epoch from clock_timestamp() - ${time}) * 1000)::bigint::text`;
  return `select ${age('(select min(f.occurred_at) from ' + end('asc') + ' f)')} as oldest,
  ${age('(select max(n.occurred_at) from ' + end('desc') + ' n)')} as newest`;
}
