import { RETENTION_INTERVAL_MS } from '@millrace/capture';

/** When retention runs. */
export interface RetentionPace {
  /** Between two runs; up to a tenth more. */
  readonly intervalMs: number;
  /** The first run is at a moment within so long after the start. */
  readonly firstWithinMs: number;
  /** How long a route is over a limit before it expires; otherwise ten minutes. */
  readonly expiryGraceMs?: number;
}

/** The pace of a relay. */
export const RETENTION_PACE: RetentionPace = { intervalMs: RETENTION_INTERVAL_MS, firstWithinMs: 10_000 };
