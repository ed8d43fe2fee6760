/** Tables of the inbox on which the user lacks a right. */
export const MISSING_RIGHTS = `select t.name from unnest(array[
    'millrace.inbox', 'millrace.inbox_floor', 'millrace.inbox_partition', 'millrace.inbox_held', 'millrace.inbox_held_key'
  ]) as t (name)
where not (has_table_privilege(t.name, 'select') and has_table_privilege(t.name, 'insert')
  and has_table_privilege(t.name, 'update') and has_table_privilege(t.name, 'delete'))`;

/** The limits of this session in milliseconds; 0 is none. */
export const SESSION_LIMITS = `select name, setting::float8 as limit_ms from pg_settings
where name in ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout') order by name`;
