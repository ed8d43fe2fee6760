import { type CaptureRow } from './capture-row.js';
import { BLACK_HOLE, HALF_OPEN, LATENCY, RESETS_OF_CONNECTION } from './rows/broken-network.js';
import { FROZEN_HOLDER } from './rows/frozen-holder.js';
import { OLD_SNAPSHOT } from './rows/old-snapshot.js';
import { PAUSED_ROUTE } from './rows/paused-route.js';
import { BOTH_KILLED, TERMINATED } from './rows/relays-gone.js';
import { RETENTION_BESIDE_PRODUCERS } from './rows/retention-beside-producers.js';
import { SHARDS_CHANGED } from './rows/shards-changed.js';
import { SWITCHED_CAPTURE } from './rows/switched-capture.js';
import { TAKE_OVER } from './rows/take-over.js';
import { BLOCKED_RELAY, FROZEN_RELAY } from './rows/zombie-relay.js';

/** The rows in which the relay, its network or its routes are what goes wrong. */
export const RELAY_ROWS: readonly CaptureRow[] = [
  FROZEN_RELAY,
  BLOCKED_RELAY,
  BOTH_KILLED,
  TERMINATED,
  RESETS_OF_CONNECTION,
  BLACK_HOLE,
  HALF_OPEN,
  LATENCY,
  FROZEN_HOLDER,
  RETENTION_BESIDE_PRODUCERS,
  PAUSED_ROUTE,
  SHARDS_CHANGED,
  OLD_SNAPSHOT,
];

/** Runs of their own: see capture-command.ts. */
export const LONG_ROWS: readonly CaptureRow[] = [TAKE_OVER, SWITCHED_CAPTURE];
