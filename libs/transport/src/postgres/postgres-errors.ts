import { SinkError, type SinkErrorCode } from '../transport.errors.js';

const NO_SCHEMA =
  'Schema millrace of the database that takes the events is missing, or older than this release needs; run ' +
  '`millrace migrate --database-url URL` for it.';

const BY_SQLSTATE: Readonly<Record<string, readonly [SinkErrorCode, string]>> = {
  '57014': ['timeout', 'The database took longer than the limit of a statement, or somebody cancelled it.'],
  '42501': [
    'not_authorised',
    'The user lacks a right in the database; run `millrace migrate` there, and grant millrace_relay to the relay and ' +
      'millrace_consumer to the service.',
  ],
  '42P01': ['unavailable', NO_SCHEMA],
  '42883': ['unavailable', NO_SCHEMA],
  '3F000': ['unavailable', NO_SCHEMA],
  '28P01': ['unavailable', 'The database refused the user name or password; check the database URL.'],
  '28000': ['unavailable', 'The database refused the user; check the database URL.'],
  '25000': [
    'unavailable',
    'Sessions of the user do not run in READ COMMITTED: behind a pooler, set default_transaction_isolation on its role.',
  ],
  '25006': ['unavailable', 'The database is a standby or recovering: events go to the primary only.'],
  '55P03': ['unavailable', 'Another transaction holds the partition, or a place in it.'],
};

/** Data, constraints and limits of the server: the same records would be refused again. */
const REFUSED_CLASS = /^(22|23|54)/;

/** Translates what the driver threw by its SQLSTATE; without one the connection is broken or was refused. */
export function toSinkError(error: unknown): SinkError {
  if (error instanceof SinkError) {
    return error;
  }
  const state = sqlStateOf(error);
  if (state === null) {
    return new SinkError('unavailable', `The database does not answer${systemDetailOf(error)}.`, { cause: error });
  }
  const [code, sentence] = BY_SQLSTATE[state] ?? [
    REFUSED_CLASS.test(state) ? 'record_invalid' : 'unavailable',
    'The database refused a statement.',
  ];
  return new SinkError(code, `${sentence} (SQLSTATE ${state})`, { cause: error });
}

function sqlStateOf(error: unknown): string | null {
  const code: unknown = fieldOf(error, 'code');
  // the driver's own codes have letters only, or more of them
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && fieldOf(error, 'severity') !== undefined
    ? code
    : null;
}

function systemDetailOf(error: unknown): string {
  const code = fieldOf(error, 'code');
  const detail = typeof code === 'string' ? code : fieldOf(error, 'message');
  return typeof detail === 'string' ? ` (${detail})` : '';
}

function fieldOf(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
}
