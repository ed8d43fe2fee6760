import { CaptureError } from '../capture.errors.js';
import { toCaptureError } from '../pg-connection.js';
import {
  INSUFFICIENT_PRIVILEGE,
  NOT_IN_PREREQUISITE_STATE,
  OBJECT_IN_USE,
  sqlStateOf,
  UNDEFINED_OBJECT,
} from '../sql-state.js';

/** The SQLSTATE of the warning with which PostgreSQL 18 passes over changes when the publication is not there. */
export const PUBLICATION_SKIPPED = NOT_IN_PREREQUISITE_STATE;

/** What is wrong when a connection for replication or its stream is refused. */
export function startError(error: unknown, slot: string): CaptureError {
  switch (sqlStateOf(error)) {
    case UNDEFINED_OBJECT:
      return slotMissing(slot);
    case OBJECT_IN_USE:
      return new CaptureError(
        'slot_in_use',
        `Replication slot ${slot} is read by another session. The relay tries again; if that session is a relay that ` +
          'is dead, it ends by wal_sender_timeout or by pg_terminate_backend.',
        { cause: error },
      );
    case NOT_IN_PREREQUISITE_STATE:
      return new CaptureError(
        'slot_lost',
        `Replication slot ${slot} can no longer be used: the server has invalidated it, or wal_level is not logical. ` +
          'The relay polls, and makes the slot anew.',
        { cause: error },
      );
    case INSUFFICIENT_PRIVILEGE:
      return new CaptureError(
        'not_authorised',
        "The relay's user may not stream: run `alter role NAME replication` for it, or set the route to polling.",
        { cause: error },
      );
    case undefined:
    default:
      return toCaptureError(error);
  }
}

/** What is wrong when a stream that was running ends. */
export function streamError(error: unknown, publication: string): CaptureError {
  return sqlStateOf(error) === UNDEFINED_OBJECT ? publicationMissing(publication) : toCaptureError(error);
}

/** The slot is not there. */
export function slotMissing(slot: string): CaptureError {
  return new CaptureError(
    'slot_missing',
    `Replication slot ${slot} does not exist in the database; the relay polls, and makes it anew.`,
  );
}

/** The publication was not there when what is now read was written: events may be missing from the stream. */
export function publicationMissing(publication: string): CaptureError {
  return new CaptureError(
    'publication_unfit',
    `Publication ${publication} does not exist, or did not when the slot was made or the events were written: the ` +
      'stream lacks events. The relay polls, and makes publication and slot anew.',
  );
}
