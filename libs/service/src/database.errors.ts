import { ProblemError, StartError } from '@millrace/http';
import { SchemaError } from '@millrace/schema';
import pg from 'pg';
import { QueryFailedError } from 'typeorm';

/** SQLSTATEs, or classes of them, under which the same request can succeed a little later. */
const PASSING_STATES = [
  '08', // connection exceptions
  '53', // no memory, disk or connections left
  '57P', // shut down, crashed, starting
  '57014', // statement timeout
  '55P03', // lock timeout
  '40', // deadlock, serialization failure
  '25P03', // idle in transaction
  '25006', // read-only: a standby, during a fail-over
];

/** The problem to answer while the database cannot serve. */
export function unavailable(cause: unknown): ProblemError {
  return new ProblemError(
    'unavailable',
    'The database does not answer now. Repeat the request a little later, a POST with the same Idempotency-Key.',
    { headers: { 'Retry-After': '2' }, cause },
  );
}

/** Makes `unavailable` of an error whose chain of causes holds a failed statement that a repetition can mend. */
export function translateDatabaseError(error: unknown): ProblemError | undefined {
  for (let link = error, depth = 0; link instanceof Error && depth < 8; link = link.cause, depth += 1) {
    if (isPassing(link)) {
      return unavailable(error);
    }
  }
  return undefined;
}

/** A failed statement without a SQLSTATE got no answer: the connection broke or fell silent. */
function isPassing(error: Error): boolean {
  if (!(error instanceof QueryFailedError) && !(error instanceof pg.DatabaseError)) {
    return false;
  }
  const state = sqlStateOf(error) ?? '';
  return !/^[0-9A-Z]{5}$/.test(state) || PASSING_STATES.some((start) => state.startsWith(start));
}

/** Why the service does not start on its database, as a sentence with what to do; never the URL, it has a password. */
export function toStartError(cause: unknown): StartError {
  if (cause instanceof SchemaError || cause instanceof StartError) {
    return cause instanceof StartError ? cause : new StartError([cause.message], { cause });
  }
  return new StartError([startProblem(sqlStateOf(cause))], { cause });
}

function startProblem(code: string | undefined): string {
  switch (code) {
    case '28P01':
    case '28000':
      return `DATABASE_URL: the server refuses the user or its password (${code}): correct the URL or the role`;
    case '3D000':
      return 'DATABASE_URL: the server has no such database (3D000): create it, or correct the URL';
    case '42501':
      return 'DATABASE_URL: the user lacks a right on the tables (42501): grant it, see millrace migrate --help';
    case undefined:
      return 'DATABASE_URL: no PostgreSQL answered in time: check host and port, and that the server runs';
    default:
      return `DATABASE_URL: the database cannot be used (${code}): check host and port, and that the server runs`;
  }
}

/** The SQLSTATE of a failed statement, or the system code of a failed connection. */
export function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof QueryFailedError) {
    return sqlStateOf(error.driverError);
  }
  const hasCode = typeof error === 'object' && error !== null && 'code' in error;
  return hasCode && typeof error.code === 'string' ? error.code : undefined;
}
