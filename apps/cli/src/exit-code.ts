import { CaptureError, type CaptureErrorCode } from '@millrace/capture';
import { InboxError, type InboxErrorCode } from '@millrace/inbox/admin';
import { SchemaError, type SchemaErrorCode } from '@millrace/schema';
import { CommanderError } from 'commander';
import { UsageError } from './usage.error.js';

/** What a script can tell apart; listed in `millrace --help`. */
export const EXIT_CODE = { done: 0, failed: 1, usage: 2, unreachable: 3 } as const;

const SCHEMA_EXIT_CODES: Readonly<Record<SchemaErrorCode, number>> = {
  schema_missing: EXIT_CODE.failed,
  schema_too_old: EXIT_CODE.failed,
  schema_too_new: EXIT_CODE.failed,
  step_changed: EXIT_CODE.failed,
  database_url_invalid: EXIT_CODE.usage,
  database_unreachable: EXIT_CODE.unreachable,
  database_missing: EXIT_CODE.unreachable,
  authentication_failed: EXIT_CODE.unreachable,
  not_authorised: EXIT_CODE.failed,
  lock_not_available: EXIT_CODE.failed,
  not_primary: EXIT_CODE.failed,
  server_unsupported: EXIT_CODE.failed,
  table_missing: EXIT_CODE.usage,
  table_unfit: EXIT_CODE.failed,
  table_busy: EXIT_CODE.failed,
  column_missing: EXIT_CODE.usage,
  column_unfit: EXIT_CODE.failed,
  rows_unfit: EXIT_CODE.failed,
  rows_undecided: EXIT_CODE.usage,
  publication_unfit: EXIT_CODE.failed,
  already_adopted: EXIT_CODE.failed,
  internal: EXIT_CODE.failed,
};

const CAPTURE_EXIT_CODES: Readonly<Partial<Record<CaptureErrorCode, number>>> = {
  database_url_invalid: EXIT_CODE.usage,
  database_unavailable: EXIT_CODE.unreachable,
  authentication_failed: EXIT_CODE.unreachable,
};

const INBOX_EXIT_CODES: Readonly<Partial<Record<InboxErrorCode, number>>> = {
  configuration_invalid: EXIT_CODE.usage,
  unavailable: EXIT_CODE.unreachable,
};

/** The exit code of an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof SchemaError) {
    return SCHEMA_EXIT_CODES[error.code];
  }
  if (error instanceof CaptureError) {
    return CAPTURE_EXIT_CODES[error.code] ?? EXIT_CODE.failed;
  }
  if (error instanceof InboxError) {
    return INBOX_EXIT_CODES[error.code] ?? EXIT_CODE.failed;
  }
  if (error instanceof CommanderError) {
    // --help and --version come as errors too, with exit code 0
    return error.exitCode === 0 ? EXIT_CODE.done : EXIT_CODE.usage;
  }
  return error instanceof UsageError ? EXIT_CODE.usage : EXIT_CODE.failed;
}
