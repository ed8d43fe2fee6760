/** Not more often than this, whatever happens. */
const INTERVAL_MS = 10_000;
/** So little is not worth a message, and an idle server must not be kept busy by its own heartbeats. */
const GROWTH_BYTES = 1_048_576n;

/** The prefix of our messages in the WAL; a reader passes over them. */
export const MESSAGE_PREFIX = 'millrace';

/**
 * Not transactional: it takes no xid, writes no commit that could wait for a disk or a standby, and comes to the reader
 * alone. What such a message may not be used for, because it is delivered though its transaction rolls back, is an
 * event; this one says nothing but that the WAL has come so far: decoding goes in the order of the WAL, so every commit
 * below it has been delivered before it. Every role may run it.
 */
export const HEARTBEAT_SQL = `select pg_logical_emit_message(false, '${MESSAGE_PREFIX}', 'heartbeat')`;

/** What the rule remembers. */
export interface HeartbeatState {
  readonly confirmedLsn: bigint | null;
  readonly beatAtMs: number;
}

/** Before the first look. */
export const NO_HEARTBEAT: HeartbeatState = { confirmedLsn: null, beatAtMs: Number.NEGATIVE_INFINITY };

/** What a look at the slot showed. */
export interface HeartbeatLook {
  readonly nowMs: number;
  readonly confirmedLsn: bigint;
  readonly walLsn: bigint;
}

/**
 * Whether a message is to be written now: the slot's confirmed LSN stood still since the last look while the WAL is a
 * mebibyte or more ahead of it. That is WAL of other tables and databases, which the stream does not tell of; without
 * a message the slot would hold it.
 */
export function heartbeatStep(
  state: HeartbeatState,
  { nowMs, confirmedLsn, walLsn }: HeartbeatLook,
): { readonly state: HeartbeatState; readonly isDue: boolean } {
  const isStill = state.confirmedLsn === confirmedLsn && walLsn - confirmedLsn >= GROWTH_BYTES;
  const isDue = isStill && nowMs - state.beatAtMs >= INTERVAL_MS;
  return { state: { confirmedLsn, beatAtMs: isDue ? nowMs : state.beatAtMs }, isDue };
}

/** The rule with its act, for a caller that looks at the slot from time to time anyway. */
export class Heartbeat {
  private state = NO_HEARTBEAT;

  /** `emit` runs `HEARTBEAT_SQL`. */
  constructor(private readonly emit: () => Promise<void>) {}

  /** Writes a message when it is due; true when it did. Throws what `emit` throws. */
  async look(at: HeartbeatLook): Promise<boolean> {
    const { state, isDue } = heartbeatStep(this.state, at);
    this.state = state;
    if (isDue) {
      await this.emit();
    }
    return isDue;
  }
}
