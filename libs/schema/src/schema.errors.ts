/** The closed list of what can go wrong with schema `millrace`. */
export type SchemaErrorCode =
  | 'schema_missing'
  | 'schema_too_old'
  | 'schema_too_new'
  | 'step_changed'
  | 'database_url_invalid'
  | 'database_unreachable'
  | 'database_missing'
  | 'authentication_failed'
  | 'not_authorised'
  | 'lock_not_available'
  | 'not_primary'
  | 'server_unsupported'
  | 'table_missing'
  | 'table_unfit'
  | 'table_busy'
  | 'column_missing'
  | 'column_unfit'
  | 'rows_unfit'
  | 'rows_undecided'
  | 'publication_unfit'
  | 'already_adopted'
  | 'internal';

/** The one error of this lib. `message` is a sentence for an operator: what is wrong and what to run; no secret. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';

  constructor(
    readonly code: SchemaErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}
