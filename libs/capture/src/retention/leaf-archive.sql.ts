/**
 * Rows of one leaf as lines of JSON, by position, cut by number and by bytes; at least one row if there is one. A range
 * of the parent reads its leaf alone and finds nothing once that is gone. $1 after this position, $2 last position, $3
 * rows, $4 bytes.
 */
export function archiveRowsSql(isDefault: boolean): string {
  return `select m.position::text as position, m.line
from (
  select position, line, sum(octet_length(line)) over (order by position rows between unbounded preceding and 1 preceding) as octets_before
  from (
    select r.position, json_build_object('position', r.position::text, 'id', r.id, 'aggregatetype', r.aggregatetype,
      'aggregateid', r.aggregateid, 'type', r.type, 'aggregateversion', r.aggregateversion::text,
      'schemaversion', r.schemaversion,
      'occurred_at', to_char(r.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'headers', r.headers, 'payload', r.payload)::text as line
    from (select * from ${isDefault ? 'only millrace.outbox_default' : 'millrace.outbox'} o
      where o.position > $1::bigint and o.position <= $2::bigint order by o.position limit $3) r
    offset 0
  ) printed
) m
where m.octets_before is null or m.octets_before < $4::bigint
order by m.position`;
}
