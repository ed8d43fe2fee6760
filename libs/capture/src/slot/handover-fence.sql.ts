/** First: WAL on the server's disk. Everything that ends at or below it had its xid and its positions before this statement. */
export const FENCE_FLUSH_SQL = 'select pg_current_wal_flush_lsn()::text as flush_lsn';

/**
 * Second, in a statement of its own: an xid, above that of every transaction whose end lies at or below the first
 * statement's LSN, and the last position given out, at or above every position of theirs.
 */
export const FENCE_BOUND_SQL = `select pg_current_xact_id()::text as bound,
  (select case when is_called then last_value else 0 end from millrace.position)::text as last_position`;
