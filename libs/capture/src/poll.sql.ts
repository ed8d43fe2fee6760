import { TIMELINE } from './ledger.sql.js';

/**
 * The poll: one statement, one snapshot. The first row (position null) carries the snapshot, the WAL positions and the
 * timeline, so that an empty page has them too; volatile functions run after the snapshot was taken. Rows of gaps and
 * rows above `high` are united, ordered, cut by number, printed once (`offset 0` keeps the planner from printing them
 * twice) and cut by bytes. Payloads of unwanted rows stay in the database. Literal bounds let the planner open only the
 * leaves that can hold the positions asked for; the single positions themselves are hidden from it in a subquery: with
 * 10,000 of them it would take longer to plan, or choose to read all rows between, than to look them up.
 *
 * $1 rows, $2 bytes, then: above, reach, single gap positions, their lowest and highest, wide gaps' lo and hi, their
 * lowest and highest, aggregate types, event types, and name and values of each header that is asked for.
 */
export interface PollShape {
  readonly hasAbove: boolean;
  readonly hasReach: boolean;
  readonly hasSingles: boolean;
  readonly hasRanges: boolean;
  readonly hasAggregateTypes: boolean;
  readonly hasEventTypes: boolean;
  /** How many headers must have one of some values. */
  readonly headers: number;
}

const COLUMNS =
  'o.position, o.id, o.aggregatetype, o.aggregateid, o.type, o.aggregateversion, o.schemaversion, o.payload, o.headers, o.occurred_at';

const SNAPSHOT_ROW = `select null::bigint as position, pg_snapshot_xmin(pg_current_snapshot())::text as id,
    pg_current_wal_insert_lsn()::text as aggregatetype, pg_current_wal_flush_lsn()::text as aggregateid,
    (select case when is_called then last_value else 0 end from millrace.position)::text as type,
    ${TIMELINE} as aggregateversion, null::integer as schemaversion, null::text as payload, null::text as headers,
    null::timestamptz as occurred_at, 0 as octets`;

/**
 * Headers as an object of texts: a string is itself, anything else as PostgreSQL prints it (JSON's null is `null`), so
 * that nobody parses a number or a depth that he cannot hold. Most headers are strings only; to see that costs 0.6 us a
 * row, to build the object anew 5 us.
 */
export const HEADERS = `case when headers @? 'strict $.* ? (@.type() != "string")'
      then (select jsonb_object_agg(key, coalesce(value, 'null')) from jsonb_each_text(headers)) else headers end::text`;

/** The poll's text and which values go to which parameter, for one shape of request. */
export function pollSql(shape: PollShape): string {
  let parameter = 2;
  const next = (): string => `$${++parameter}`;
  const branches: string[] = [];
  if (shape.hasAbove) {
    const above = next();
    const reach = shape.hasReach ? ` and o.position <= ${above}::bigint + ${next()}::bigint` : '';
    branches.push(
      `(select ${COLUMNS} from millrace.outbox o where o.position > ${above}::bigint${reach} order by o.position limit $1)`,
    );
  }
  if (shape.hasSingles) {
    branches.push(
      `(select ${COLUMNS} from millrace.outbox o where o.position = any((select ${next()}::bigint[])::bigint[])
        and o.position between ${next()}::bigint and ${next()}::bigint order by o.position limit $1)`,
    );
  }
  if (shape.hasRanges) {
    branches.push(
      `(select r.* from unnest(${next()}::bigint[], ${next()}::bigint[]) g(lo, hi) cross join lateral (
        select ${COLUMNS} from millrace.outbox o where o.position between g.lo and g.hi
        and o.position between ${next()}::bigint and ${next()}::bigint order by o.position limit $1) r
        order by r.position limit $1)`,
    );
  }
  const isWanted = wantedSql(shape, next);
  const wanted = (printed: string, column: string): string =>
    `${isWanted === '' ? printed : `case when ${isWanted} then ${printed} end`} as ${column}`;
  return `${SNAPSHOT_ROW}
union all
select position, id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers, occurred_at, octets
from (
  select *, coalesce(octet_length(payload), 0) + coalesce(octet_length(headers), 0) as octets,
    sum(coalesce(octet_length(payload), 0) + coalesce(octet_length(headers), 0))
      over (order by position rows between unbounded preceding and 1 preceding) as octets_before
  from (
    select position, ${wanted('id::text', 'id')}, aggregatetype, aggregateid, type, aggregateversion, schemaversion,
      ${wanted('payload::text', 'payload')}, ${wanted(HEADERS, 'headers')}, occurred_at
    from (select * from (${branches.join('\n union all ')}) candidates order by position limit $1) cut_by_rows
    offset 0
  ) printed
) measured
where octets_before is null or octets_before < $2::bigint`;
}

/** The conditions of the filter; empty without any. JSON's null is the text `null`, as in `HEADERS`. */
function wantedSql({ hasAggregateTypes, hasEventTypes, headers }: PollShape, next: () => string): string {
  const conditions: string[] = [];
  if (hasAggregateTypes) {
    conditions.push(`aggregatetype = any(${next()}::text[])`);
  }
  if (hasEventTypes) {
    conditions.push(`type = any(${next()}::text[])`);
  }
  for (let header = 0; header < headers; header += 1) {
    const name = `${next()}::text`;
    conditions.push(`headers ? ${name} and coalesce(headers ->> ${name}, 'null') = any(${next()}::text[])`);
  }
  return conditions.join(' and ');
}

/** Every shape has a name of its own, so that each is prepared once per connection. */
export function pollName(shape: PollShape): string {
  const { hasAbove, hasReach, hasSingles, hasRanges, hasAggregateTypes, hasEventTypes, headers } = shape;
  const flags = [hasAbove, hasReach, hasSingles, hasRanges, hasAggregateTypes, hasEventTypes].map(Number).join('');
  return `millrace_poll_${flags}_${headers}`;
}

/**
 * Transactions that hold the lock of an inserter on the outbox, with their xids (32 bits) and a 64-bit xid near them
 * to complete the number. A holder without an xid shows null. The asking session is none of them.
 */
export const WRITERS_SQL = `select x.transactionid::text as xid, pg_snapshot_xmax(pg_current_snapshot())::text as near,
  l.pid, extract(epoch from clock_timestamp() - coalesce(p.prepared, a.xact_start))::bigint as age_s, a.application_name, p.gid
from pg_locks l
left join pg_locks x on x.virtualtransaction = l.virtualtransaction and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
left join pg_stat_activity a on a.pid = l.pid
left join pg_prepared_xacts p on p.transaction = x.transactionid
where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
  and l.relation = 'millrace.outbox'::regclass and l.pid is distinct from pg_backend_pid()`;

export const SEQUENCE_SQL = `select s.seqcache::text as cache, s.seqincrement::text as increment, s.seqcycle as is_cycling,
  (select case when is_called then last_value else 0 end from millrace.position)::text as last_position,
  millrace.leaves_ahead()::text as leaves_ahead
from pg_sequence s where s.seqrelid = 'millrace.position'::regclass`;

export const FLUSHED_SQL = 'select pg_current_wal_flush_lsn()::text as lsn';

/** A transactional message writes WAL under an xid, so its synchronous commit flushes all WAL before it. */
export const FORCE_FLUSH_SQL = `select pg_logical_emit_message(true, 'millrace', '')`;

/** Two statements in one message are one implicit transaction: the limit ends with it, also behind a pooler. */
export const ENSURE_LEAVES_SQL = `set local statement_timeout = '2s'; select millrace.ensure_leaves()`;
