/** $1 topic, $2 partitions where it has to be made. */
export const OPEN_TOPIC_SQL = `select millrace.open_delivery_topic($1, $2)::text as partitions`;

/** The parameters are those of the function, in its order (migration 0011-delivery). */
export const DELIVER_SQL = `select verdict, base_offset::text, stored::text
from millrace.deliver($1, $2, $3, $4, $5, $6, $7::bigint[], $8::smallint[], $9::integer[], $10)`;

/** $1 keep, $2 keep what was read, $3 rows of each partition. */
export const REMOVE_SQL = `select millrace.remove_delivered($1, $2, $3)::text as removed`;

/** How records leave the table: offsets and times as text, so that nobody rounds them. */
const RECORD = `r.record_offset::text as record_offset, r.record_key, r.record_value, r.headers,
  floor(extract(epoch from r.delivered_at) * 1000)::text as at_ms`;

/**
 * For each partition where its log begins and ends, and its next records, cut by number and by bytes; one row without a
 * record where there are none. All in one snapshot: an end that is seen has all its records.
 *
 * $1 partitions, $2 offset for each, $3 records, $4 bytes.
 */
export const READ_SQL = `select p.partition_id, p.first_offset::text as first_offset, p.next_offset::text as next_offset, ${RECORD}
from unnest($1::integer[], $2::bigint[]) w(partition_id, at)
join millrace.delivery_partition p on p.partition_id = w.partition_id
left join lateral (
  select m.* from (
    select d.*, sum(octet_length(d.record_key) + octet_length(d.record_value) + octet_length(d.headers))
      over (order by d.record_offset rows between unbounded preceding and 1 preceding) as bytes_before
    from (select o.* from millrace.delivery o where o.partition_id = w.partition_id and o.record_offset >= w.at
      order by o.record_offset limit $3) d
  ) m where m.bytes_before is null or m.bytes_before < $4
) r on p.next_offset > w.at
order by p.partition_id, r.record_offset`;

/** Every partition there is; `removed_ms` is when the newest of its removed records was delivered. */
export const PARTITIONS_SQL = `select p.partition_id, p.topic, t.topic_id::text as topic_id, p.partition,
  p.first_offset::text as first_offset, p.next_offset::text as next_offset,
  floor(extract(epoch from p.removed_at) * 1000)::text as removed_ms
from millrace.delivery_partition p join millrace.delivery_topic t on t.topic = p.topic order by p.topic, p.partition`;
