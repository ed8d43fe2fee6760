/** A service puts these into its own migrations. Locks: makes and drops one table, touches nothing else. */
export const IDEMPOTENCY_KEY_DDL = {
  up: `
create table idempotency_key (
  scope text not null,
  key text not null,
  request_hash text not null,
  status smallint not null,
  headers json not null,
  body json,
  created_at timestamptz not null default clock_timestamp(),
  constraint idempotency_key_pk primary key (scope, key)
);
create index idempotency_key_created_at_idx on idempotency_key (created_at);`,
  down: `drop table idempotency_key;`,
} as const;

/** Held until the transaction ends, by commit, rollback or death. $1 scope, $2 key. */
export const TRY_LOCK = `
select pg_try_advisory_xact_lock(hashtextextended('millrace.idempotency ' || $1 || ' ' || $2, 0)) as is_locked`;

/** $1 scope, $2 key. `json`, not `jsonb`: the answer is given again with its fields in their order. */
export const FIND_ANSWER = `
select request_hash, status, headers, body from idempotency_key
where scope = $1 and key = $2 and created_at > clock_timestamp() - interval '24 hours'`;

/** $1 scope, $2 key, $3 request hash, $4 status, $5 headers, $6 body. Writes over an expired answer. */
export const STORE_ANSWER = `
insert into idempotency_key (scope, key, request_hash, status, headers, body) values ($1, $2, $3, $4, $5, $6)
on conflict on constraint idempotency_key_pk do update
set request_hash = excluded.request_hash, status = excluded.status, headers = excluded.headers,
    body = excluded.body, created_at = excluded.created_at`;

/** $1 how many rows at most. The statement's time, as an index is searched for no value that could change meanwhile. */
export const DELETE_EXPIRED = `
delete from idempotency_key where ctid = any (array(
  select ctid from idempotency_key where created_at < statement_timestamp() - interval '24 hours'
  order by created_at limit $1 for update skip locked))`;
