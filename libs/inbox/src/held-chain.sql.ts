/** The conditions that name one chain. $1 consumer, $2 topic, $3 key. */
const CHAIN = 'consumer = $1 and topic = $2 and key = $3';

/**
 * Makes the key of a chain, or locks the one that is there. $1 consumer, $2 topic, $3 key, $4 status, $5 milliseconds
 * until the next try (null: parked), $6 code, $7 reason.
 */
export const ADD_KEY = `insert into millrace.inbox_held_key as k (consumer, topic, key, status, next_try, code, reason)
values ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 millisecond', $6, $7)
on conflict on constraint inbox_held_key_pk do update set status = k.status`;

/**
 * Appends a claimed event to the chain of its key, and keeps its claim while it is there. The key's row is locked by now.
 *
 * $1 consumer, $2 id, $3 topic, $4 key, $5 partition, $6 offset, $7 source, $8 route, $9 position, $10 type, $11 timestamp,
 * $12 record key, $13 record value, $14 header names, $15 header values.
 */
export const ADD_EVENT = `with kept as (
  update millrace.inbox set floor_id = null, position = null, kept_until = 'infinity' where consumer = $1 and id = $2
)
insert into millrace.inbox_held (consumer, id, topic, key, partition, record_offset, source, route, position, type,
  timestamp_ms, record_key, record_value, header_names, header_values)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`;

/** By the statement's time, for which the index can be searched. $1 consumer, $2 how many at most. */
export const DUE_KEYS = `select topic, key from millrace.inbox_held_key
where consumer = $1 and next_try <= statement_timestamp() order by next_try limit $2`;

/** $1 consumer. */
export const NEXT_DUE = `select extract(epoch from min(next_try) - clock_timestamp())::float8 * 1000 as due_in_ms
from millrace.inbox_held_key where consumer = $1 and next_try is not null`;

/** One release of a chain at a time, without waiting for another member's handler. $1 consumer, $2 topic, $3 key. */
export const TRY_CHAIN = `select pg_try_advisory_xact_lock(
  hashtextextended('millrace.inbox', 0) # hashtextextended(jsonb_build_array($1::text, $2::text, $3::text)::text, 0)) as is_ours`;

/** Arrivals hold the row for share from their claim to their commit: what they append is seen after this. */
export const LOCK_KEY = `select attempts from millrace.inbox_held_key
where ${CHAIN} and next_try <= clock_timestamp() for update`;

/**
 * The first event of a chain: by place in the topic, not by time of arrival. `order by record_offset` alone would mean the
 * text of the select list, in which 10 comes before 9.
 */
export const HEAD = `select id, topic, key, partition, record_offset::text, source, route, position::text, type,
  timestamp_ms::text, record_key, record_value, header_names, header_values
from millrace.inbox_held h where ${CHAIN} order by h.partition, h.record_offset limit 1`;

/** Takes an event out of its chain; its claim stays for 30 days. $1 consumer, $2 id. */
export const REMOVE_EVENT = `with kept as (
  update millrace.inbox set kept_until = clock_timestamp() + interval '30 days' where consumer = $1 and id = $2
)
delete from millrace.inbox_held where consumer = $1 and id = $2`;

/** Under the key's lock, after its last event is gone. */
export const REMOVE_KEY_IF_EMPTY = `delete from millrace.inbox_held_key
where ${CHAIN} and not exists (select from millrace.inbox_held where ${CHAIN})`;

/** The next event of the chain has not been tried yet. */
export const NEXT_HEAD = `update millrace.inbox_held_key
set status = 'held', attempts = 0, next_try = clock_timestamp() where ${CHAIN}`;

/** $1 to $3 chain, $4 status, $5 attempts, $6 milliseconds until the next try (null: parked), $7 code, $8 reason. */
export const HOLD_HEAD = `update millrace.inbox_held_key
set status = $4, attempts = $5, next_try = clock_timestamp() + $6::bigint * interval '1 millisecond', code = $7, reason = $8
where ${CHAIN}`;

/** $1 consumer. */
export const COUNT_SET_ASIDE = `select
  count(h.id) filter (where k.status = 'held')::integer as held,
  count(h.id) filter (where k.status = 'parked')::integer as parked,
  count(distinct (k.topic, k.key))::integer as held_keys
from millrace.inbox_held_key k
join millrace.inbox_held h on h.consumer = k.consumer and h.topic = k.topic and h.key = k.key
where k.consumer = $1`;

/** Rejected by a standby, and where the user may only read. */
export const PROBE = `select current_setting('transaction_read_only') = 'off' as is_writable`;
