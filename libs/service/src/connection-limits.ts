/** Limits of a connection, in the driver's names; milliseconds, 0 for none. */
export interface ConnectionLimits {
  readonly statement_timeout: number;
  readonly lock_timeout: number;
  readonly idle_in_transaction_session_timeout: number;
  readonly query_timeout: number;
  /** How long a request waits for a connection of the pool, and a new connection for the server. */
  readonly connectionTimeoutMillis: number;
}

/**
 * A request gives up early and can be repeated. A crashed one must not keep its locks: the server ends a transaction
 * that nobody goes on with. `query_timeout` is the driver's, for a server that fell silent, so it comes last.
 */
export const REQUEST_LIMITS: ConnectionLimits = {
  statement_timeout: 5000,
  lock_timeout: 2000,
  idle_in_transaction_session_timeout: 10_000,
  query_timeout: 8000,
  connectionTimeoutMillis: 2000,
};

/** A migration may work for long, but not queue for long: everybody else would queue behind it. */
export const MIGRATION_LIMITS: ConnectionLimits = {
  statement_timeout: 0,
  lock_timeout: 10_000,
  idle_in_transaction_session_timeout: 0,
  query_timeout: 0,
  connectionTimeoutMillis: 10_000,
};
