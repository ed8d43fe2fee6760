/** The closed list of reasons for which an event is refused. */
export type OutboxErrorCode =
  | 'no_transaction'
  | 'transaction_finished'
  | 'transaction_failed'
  | 'autocommitted'
  | 'ambient_not_configured'
  | 'nested_transaction'
  | 'unknown_event'
  | 'payload_invalid'
  | 'payload_not_json'
  | 'event_too_large'
  | 'queue_full'
  | 'key_invalid'
  | 'header_invalid'
  | 'option_invalid'
  | 'configuration_invalid'
  | 'client_unsupported'
  | 'not_authorised'
  | 'schema_missing';

/**
 * The one error of this lib: an event was refused, and the caller's transaction has to be rolled back. `message` names
 * event, field and remedy, never a value. Errors of the database that concern the transaction as a whole (connection,
 * deadlock, serialization, time-outs) are no `OutboxError`: they pass through unchanged, so that a retry on SQLSTATE
 * goes on working.
 */
export class OutboxError extends Error {
  override readonly name = 'OutboxError';

  constructor(
    readonly code: OutboxErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}
