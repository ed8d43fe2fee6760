/** The closed list of what can go wrong in the inbox itself. Handlers throw what they like, see `Park` and `Retry`. */
export type InboxErrorCode =
  | 'configuration_invalid'
  | 'handler_duplicate'
  | 'handler_missing'
  | 'handler_timeout'
  | 'record_malformed'
  | 'transaction_finished'
  | 'transaction_failed'
  | 'claim_stale'
  | 'unavailable'
  | 'limits_missing'
  | 'not_found'
  | 'busy'
  | 'not_authorised'
  | 'internal';

/** The one error of this lib. `message` is a sentence for an operator: names, ids and counts, never a payload. */
export class InboxError extends Error {
  override readonly name = 'InboxError';

  constructor(
    readonly code: InboxErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * Thrown by a handler: this event can't be applied before a person has acted. The transaction is rolled back; event and
 * later events of its key are set aside until somebody releases or skips it. `code` and `reason` are stored and shown to
 * operators: say what is wrong and what to do, without quoting data.
 */
export class Park extends Error {
  override readonly name = 'Park';

  constructor(
    readonly code: string,
    readonly reason: string,
    options?: { readonly cause?: unknown },
  ) {
    super(`${code}: ${reason}`, options);
  }
}

/** How a `Retry` is to be done. */
export interface RetryOptions {
  /** When to try again, milliseconds from now, at most a day. Default, also for NaN: the next step of the usual backoff. */
  readonly afterMs?: number;
  /** Stored and shown to operators; without data. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/**
 * Thrown by a handler: not now, but later. The transaction is rolled back; the event heads the held chain of its key,
 * later events of the key wait behind it, all other keys go on. Counts as an attempt.
 */
export class Retry extends Error {
  override readonly name = 'Retry';
  readonly afterMs: number | null;
  readonly reason: string;

  constructor({ afterMs, reason = 'The handler asked for another try later.', cause }: RetryOptions = {}) {
    super(reason, { cause });
    this.afterMs = afterMs ?? null;
    this.reason = reason;
  }
}
