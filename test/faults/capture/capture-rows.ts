import { type CaptureRow } from './capture-row.js';
import { LONG_ROWS, RELAY_ROWS } from './relay-rows.js';
import { ALTER_OUTBOX } from './rows/alter-outbox.js';
import { ASYNC_COMMIT } from './rows/async-commit.js';
import { FAIL_OVER_BEHIND, FAIL_OVER_WITH_SLOT, FAIL_OVER_WITHOUT_SLOT } from './rows/fail-over.js';
import { SYNC_FAILS, WAL_DISK_FULL } from './rows/disk.js';
import { FOREIGN_TRANSACTION } from './rows/foreign-transaction.js';
import { IDLE_PUBLICATION, PUBLICATION_GONE } from './rows/publication.js';
import { SEQUENCE } from './rows/sequence.js';
import { FAST_SHUTDOWN, SERVER_KILLED } from './rows/server-down.js';
import { SLOT_IDLE, SLOT_MEDDLED, SLOT_WAL_REMOVED } from './rows/slot-lost.js';
import { SLOT_BEHIND_TRANSACTION, SYNC_STANDBY_MISSING } from './rows/slot-start.js';
import { SMALL_PAGES } from './rows/small-pages.js';
import { BIG_TRANSACTION, LONG_TRANSACTION, PREPARED, SAVEPOINTS } from './rows/transactions.js';
import { WALSENDER_ENDED } from './rows/walsender-ended.js';

/** The rows of the matrix that are about capture, in the order in which they run. */
export const CAPTURE_ROWS: readonly CaptureRow[] = [
  WALSENDER_ENDED,
  SERVER_KILLED,
  FAST_SHUTDOWN,
  LONG_TRANSACTION,
  SAVEPOINTS,
  BIG_TRANSACTION,
  PREPARED,
  WAL_DISK_FULL,
  SYNC_FAILS,
  SLOT_WAL_REMOVED,
  SLOT_IDLE,
  SLOT_MEDDLED,
  PUBLICATION_GONE,
  ALTER_OUTBOX,
  FAIL_OVER_WITH_SLOT,
  FAIL_OVER_WITHOUT_SLOT,
  FAIL_OVER_BEHIND,
  IDLE_PUBLICATION,
  SMALL_PAGES,
  ASYNC_COMMIT,
  FOREIGN_TRANSACTION,
  SEQUENCE,
  SLOT_BEHIND_TRANSACTION,
  SYNC_STANDBY_MISSING,
  ...RELAY_ROWS,
  ...LONG_ROWS,
];
