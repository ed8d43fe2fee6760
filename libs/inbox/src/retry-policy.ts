import { EventsError } from '@millrace/events';
import { OutboxError, type OutboxErrorCode } from '@millrace/outbox';
import { InboxError, type InboxErrorCode, Park, Retry } from './inbox.errors.js';
import { type HoldVerdict } from './inbox-port.js';
import { storableWaitMs } from './storable.js';

/** What a failed attempt comes down to; a closed list, fit for a metric's label. */
export type FailureCode =
  | 'park'
  | 'retry'
  | 'malformed'
  | 'schema_version_unknown'
  | 'handler_missing'
  | 'handler_timeout'
  | 'handler_error'
  | 'outbox_refused'
  | 'outbox_failed'
  | 'unavailable'
  | 'conflict'
  | 'lock_timeout'
  | 'data_refused'
  | 'constraint'
  | 'statement_failed'
  | 'internal';

/**
 * What the consumer does about it. `wait`: the database is away; the breaker opens and everything waits, no attempt is
 * counted. `again`: it passes by itself; tried again at once, no attempt is counted, never parked for it. `retry`: a few
 * tries in memory, then the key is held. `hold`: held at once, tried again later. `park`: set aside until a person acts.
 */
export type FailureAction = 'wait' | 'again' | 'retry' | 'hold' | 'park';

/** The consumer's answer to one kind of failure. */
export interface FailurePolicy {
  readonly action: FailureAction;
  /** What an operator is told. */
  readonly advice: string;
}

const POLICY: Readonly<Record<FailureCode, FailurePolicy>> = {
  park: { action: 'park', advice: 'The handler set the event aside. Release it once the reason is gone.' },
  retry: { action: 'hold', advice: 'The handler asked for another try later; it comes by itself.' },
  malformed: {
    action: 'park',
    advice: 'The record breaks its contract. Correct the producer, publish the event anew and discard this record.',
  },
  schema_version_unknown: {
    action: 'hold',
    advice: 'The producer is newer than this consumer. Upgrade this service; the event is tried again by itself.',
  },
  handler_missing: {
    action: 'hold',
    advice: 'The handler of this type is gone. Bring it back, or discard the event.',
  },
  handler_timeout: {
    action: 'retry',
    advice: 'The handler took too long and was rolled back. Keep slow work out of it, or raise handlerTimeoutMs.',
  },
  handler_error: { action: 'retry', advice: 'The handler failed; the log of the service has the error.' },
  outbox_refused: {
    action: 'park',
    advice: 'An outgoing event breaks its contract or is too large. Correct the handler, then release the event.',
  },
  outbox_failed: { action: 'retry', advice: 'An outgoing event could not be written; its error code tells why.' },
  unavailable: { action: 'wait', advice: 'The database is not reachable. Consuming goes on by itself when it is.' },
  conflict: { action: 'again', advice: 'Another transaction was in the way; the event is tried again.' },
  lock_timeout: {
    action: 'again',
    advice: 'Another transaction holds a lock for long; the event is tried again until it lets go.',
  },
  data_refused: {
    action: 'park',
    advice:
      'The database can never store what the handler wrote (class 22). Correct the handler, then release the event.',
  },
  constraint: { action: 'retry', advice: 'A constraint of a table refused what the handler wrote.' },
  statement_failed: {
    action: 'retry',
    advice: 'A statement of the handler failed: a missing table or grant, a timeout, a mistake in SQL.',
  },
  internal: { action: 'retry', advice: 'The inbox itself failed; the log of the service has the error.' },
};

/** The one place that decides about a failure. */
export function policyFor(code: FailureCode): FailurePolicy {
  return POLICY[code];
}

/** The code of whatever an attempt threw. */
export function failureCodeOf(error: unknown): FailureCode {
  for (const link of causesOf(error)) {
    const code = codeOfLink(link);
    if (code !== null) {
      return code;
    }
  }
  return 'handler_error';
}

/** A text to store and show: no message of a foreign error, as it may quote data. */
export function reasonOf(error: unknown, code: FailureCode): string {
  if (error instanceof Park || error instanceof Retry) {
    return error.reason;
  }
  if (error instanceof InboxError || error instanceof OutboxError || error instanceof EventsError) {
    return `${error.message} ${POLICY[code].advice}`;
  }
  const name = error instanceof Error ? error.name : 'no Error';
  const sqlState = sqlStateOf(error);
  return `${name}${sqlState === null ? '' : ` (SQLSTATE ${sqlState})`}: ${POLICY[code].advice}`;
}

/** A verdict that the consumer itself goes on with. */
export type HeldVerdict = Extract<HoldVerdict, { kind: 'held' }>;

/** The code of `Park` is the handler's own; of all others the failure's. */
export function parkedVerdict(error: unknown, code: FailureCode): HoldVerdict {
  return { kind: 'parked', code: error instanceof Park ? error.code : code, reason: reasonOf(error, code) };
}

/** Held for `afterMs` of a `Retry`, at most a day; otherwise, or if that is no number, for the given wait. */
export function heldVerdict(error: unknown, code: FailureCode, waitMs: number): HeldVerdict {
  const retryInMs = error instanceof Retry ? storableWaitMs(error.afterMs ?? waitMs, waitMs) : waitMs;
  return { kind: 'held', retryInMs, code, reason: reasonOf(error, code) };
}

const REFUSED_BY_OUTBOX: ReadonlySet<OutboxErrorCode> = new Set<OutboxErrorCode>([
  'payload_invalid',
  'payload_not_json',
  'event_too_large',
  'key_invalid',
  'header_invalid',
]);

const OWN: Readonly<Record<InboxErrorCode, FailureCode>> = {
  record_malformed: 'malformed',
  handler_missing: 'handler_missing',
  handler_timeout: 'handler_timeout',
  configuration_invalid: 'internal',
  handler_duplicate: 'internal',
  transaction_finished: 'handler_error',
  transaction_failed: 'handler_error',
  claim_stale: 'conflict',
  unavailable: 'unavailable',
  limits_missing: 'internal',
  not_found: 'internal',
  busy: 'internal',
  not_authorised: 'statement_failed',
  internal: 'internal',
};

function codeOfLink(link: unknown): FailureCode | null {
  if (link instanceof Park) {
    return 'park';
  }
  if (link instanceof Retry) {
    return 'retry';
  }
  if (link instanceof InboxError) {
    return OWN[link.code];
  }
  if (link instanceof OutboxError) {
    return REFUSED_BY_OUTBOX.has(link.code) ? 'outbox_refused' : 'outbox_failed';
  }
  if (link instanceof EventsError) {
    return link.code === 'schema_version_unknown' ? 'schema_version_unknown' : 'internal';
  }
  const sqlState = ownSqlState(link);
  return sqlState === null ? null : codeOfSqlState(sqlState);
}

const BY_SQLSTATE: Readonly<Record<string, FailureCode>> = {
  '40001': 'conflict',
  '40P01': 'conflict',
  '40003': 'conflict',
  '55P03': 'lock_timeout',
  // a server that became a standby: a fail-over is under way
  '25006': 'unavailable',
};

const BY_CLASS: Readonly<Record<string, FailureCode>> = {
  '08': 'unavailable',
  '53': 'unavailable',
  '58': 'unavailable',
  '22': 'data_refused',
  '23': 'constraint',
};

function codeOfSqlState(sqlState: string): FailureCode {
  if (sqlState.startsWith('57P')) {
    return 'unavailable';
  }
  return BY_SQLSTATE[sqlState] ?? BY_CLASS[sqlState.slice(0, 2)] ?? 'statement_failed';
}

const SQLSTATE = /^[0-9A-Z]{5}$/;
const CAUSES_MAX = 5;

function sqlStateOf(error: unknown): string | null {
  return (
    causesOf(error)
      .map(ownSqlState)
      .find((sqlState) => sqlState !== null) ?? null
  );
}

/** `pg` has it as `code`, with a severity beside it that Node's own errors (`EPIPE`) do not have. */
function ownSqlState(link: unknown): string | null {
  if (!(link instanceof Error) || !('code' in link) || !('severity' in link)) {
    return null;
  }
  return typeof link.code === 'string' && SQLSTATE.test(link.code) ? link.code : null;
}

/** The error, what it wraps (TypeORM keeps the driver's error beside `cause`), and so on. */
function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = [];
  let link: unknown = error;
  while (link instanceof Error && causes.length < CAUSES_MAX) {
    causes.push(link);
    link = 'driverError' in link ? link.driverError : link.cause;
  }
  return causes;
}
