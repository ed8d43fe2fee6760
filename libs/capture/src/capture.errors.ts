/** The closed list of what can go wrong between the relay and a source. */
export type CaptureErrorCode =
  | 'database_unavailable'
  | 'statement_timeout'
  | 'database_url_invalid'
  | 'authentication_failed'
  | 'not_authorised'
  | 'not_primary'
  | 'schema_missing'
  | 'schema_too_old'
  | 'schema_too_new'
  | 'sequence_undisciplined'
  | 'sequence_behind'
  | 'identity_changed'
  | 'route_unknown'
  | 'route_expired'
  | 'fenced'
  | 'stream_malformed'
  | 'slot_missing'
  | 'slot_in_use'
  | 'slot_lost'
  | 'publication_unfit'
  | 'outbox_altered'
  | 'internal';

/** What the engine does about an error: ask for the route again after a wait, or stop it until a person acts. */
export type CaptureDisposition = 'retry' | 'reclaim' | 'stop';

const DISPOSITION: Readonly<Record<CaptureErrorCode, CaptureDisposition>> = {
  database_unavailable: 'retry',
  statement_timeout: 'retry',
  database_url_invalid: 'stop',
  authentication_failed: 'retry',
  not_authorised: 'retry',
  not_primary: 'retry',
  schema_missing: 'retry',
  schema_too_old: 'retry',
  schema_too_new: 'stop',
  sequence_undisciplined: 'stop',
  sequence_behind: 'stop',
  identity_changed: 'stop',
  route_unknown: 'stop',
  route_expired: 'stop',
  fenced: 'reclaim',
  stream_malformed: 'retry',
  slot_missing: 'retry',
  slot_in_use: 'retry',
  slot_lost: 'retry',
  publication_unfit: 'retry',
  outbox_altered: 'retry',
  internal: 'retry',
};

/** The one error of this lib. `message` is a sentence for an operator: what is wrong and what to do; no payload, no secret. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  readonly disposition: CaptureDisposition;

  constructor(
    readonly code: CaptureErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.disposition = DISPOSITION[code];
  }
}

/** A connection that stayed open, through a pooler, leads to another server than before. The route is claimed anew there. */
export function otherTimeline(): CaptureError {
  return new CaptureError(
    'fenced',
    'The database has another timeline than when the route was claimed: a standby was promoted behind the same address.',
  );
}
