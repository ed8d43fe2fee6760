import pg from 'pg';
import { CaptureError } from './capture.errors.js';

/** The states that mean something particular where they are met; `toCaptureError` translates all others. */
export const INSUFFICIENT_PRIVILEGE = '42501';
export const NOT_IN_PREREQUISITE_STATE = '55000';
export const OBJECT_IN_USE = '55006';
export const UNDEFINED_OBJECT = '42704';

/** The SQLSTATE of an error of the driver, or of the one under a `CaptureError`; undefined: there is none. */
export function sqlStateOf(error: unknown): string | undefined {
  const cause = error instanceof CaptureError ? error.cause : error;
  return cause instanceof pg.DatabaseError ? cause.code : undefined;
}
