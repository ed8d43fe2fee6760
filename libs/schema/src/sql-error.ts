import { SchemaError, type SchemaErrorCode } from './schema.errors.js';

interface Translation {
  readonly code: SchemaErrorCode;
  readonly message: string;
}

const UNREACHABLE: Translation = {
  code: 'database_unreachable',
  message: 'The database server cannot be reached. Check host, port and network in the database URL.',
};

const AUTHENTICATION: Translation = {
  code: 'authentication_failed',
  message: 'The server refused the user or password of the database URL.',
};

/** By SQLSTATE, or by the system's code where no server answered; never by message text. */
const TRANSLATIONS: Readonly<Record<string, Translation>> = {
  ECONNREFUSED: UNREACHABLE,
  ECONNRESET: UNREACHABLE,
  ENOTFOUND: UNREACHABLE,
  EAI_AGAIN: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EPIPE: UNREACHABLE,
  '08006': UNREACHABLE,
  '57P01': UNREACHABLE,
  '57P03': UNREACHABLE,
  '28000': AUTHENTICATION,
  '28P01': AUTHENTICATION,
  '3D000': { code: 'database_missing', message: 'The database of the URL does not exist. Create it first.' },
  '42501': {
    code: 'not_authorised',
    message:
      'The user of the database URL lacks a right. It must own schema millrace, or be allowed to create schemas ' +
      'in this database (grant create on database ... to ...).',
  },
  '55P03': {
    code: 'lock_not_available',
    message: 'Another migration or transaction holds a lock for too long. The step was not applied; run this again.',
  },
  '25006': {
    code: 'not_primary',
    message: 'The server is read-only (a standby?). Migrate the primary.',
  },
};

/** Any error of a query as a `SchemaError`; the original is the cause. */
export function toSchemaError(error: unknown): SchemaError {
  return translate(error, 'internal', 'The migration failed');
}

/** Any error of `connect()`; what has no code there is a time-out, a missing password or a refused TLS. */
export function toConnectError(error: unknown): SchemaError {
  const sentence = 'The connection to the database failed. Check host, port, password and TLS of the database URL';
  return translate(error, 'database_unreachable', sentence);
}

function translate(error: unknown, otherwise: SchemaErrorCode, sentence: string): SchemaError {
  if (error instanceof SchemaError) {
    return error;
  }
  const code = codeOf(error);
  const known = code === null ? undefined : TRANSLATIONS[code];
  if (known !== undefined) {
    return new SchemaError(known.code, `${known.message} (${code ?? ''})`, { cause: error });
  }
  const detail = error instanceof Error ? error.message : 'unknown error';
  const state = code === null ? '' : ` (${code})`;
  return new SchemaError(otherwise, `${sentence}: ${detail}${state}`, { cause: error });
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
