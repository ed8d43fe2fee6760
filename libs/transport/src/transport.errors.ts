/** The closed list of what can go wrong at a sink. */
export type SinkErrorCode =
  | 'unavailable'
  | 'timeout'
  | 'topic_missing'
  | 'topic_deleted'
  | 'partition_count_changed'
  | 'record_too_large'
  | 'record_invalid'
  | 'not_authorised'
  | 'receipt_invalid'
  | 'fenced'
  | 'configuration';

/** `refused`: nothing was stored and nothing will be. `unknown`: send the same records again. */
export type SinkOutcome = 'refused' | 'unknown';

const REFUSED: ReadonlySet<SinkErrorCode> = new Set<SinkErrorCode>([
  'record_too_large',
  'record_invalid',
  'not_authorised',
  'configuration',
]);

/** The one error of this lib. `message` is a sentence for an operator; no payload, no secret. */
export class SinkError extends Error {
  override readonly name = 'SinkError';
  readonly outcome: SinkOutcome;

  constructor(
    readonly code: SinkErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.outcome = REFUSED.has(code) ? 'refused' : 'unknown';
  }
}
