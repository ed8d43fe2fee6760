import { type FaultRow } from './fault-row.js';
import { CONFLICTS } from './rows/conflicts.js';
import { CRASH } from './rows/crash.js';
import { EVENT_BEFORE_LOCK } from './rows/event-before-lock.js';
import { MIDNIGHT } from './rows/midnight.js';
import { POISON, RELEASE } from './rows/poison.js';
import { REDELIVERY } from './rows/redelivery.js';
import { RETENTION } from './rows/retention.js';
import { STORM } from './rows/storm.js';
import { FROZEN_HOLDER, ZOMBIE } from './rows/zombie.js';

/** The consumer's rows of the matrix, by number. */
export const FAULT_ROWS: readonly FaultRow[] = [
  RETENTION,
  CRASH,
  ZOMBIE,
  STORM,
  CONFLICTS,
  POISON,
  EVENT_BEFORE_LOCK,
  FROZEN_HOLDER,
  REDELIVERY,
  RELEASE,
  MIDNIGHT,
];
