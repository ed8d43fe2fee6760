/** The closed list of what can be wrong with a contract or with the version of an event. */
export type EventsErrorCode = 'contract_invalid' | 'schema_version_unknown';

/** The one error of this lib. Names fields and versions, never values of a payload. */
export class EventsError extends Error {
  override readonly name = 'EventsError';

  constructor(
    readonly code: EventsErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}
