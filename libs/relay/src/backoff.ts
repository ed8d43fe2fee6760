import { type RelayRandom } from './relay-clock.js';

/** Limits of an exponential wait. */
export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait after the `attempt`-th failure in a row (1, 2, 3 ...): doubling from `minMs` up to `maxMs`, of
 * which the upper half is random, so that relays that failed together do not come back together.
 */
export function backoffMs(attempt: number, limits: BackoffLimits, random: RelayRandom): number {
  const full = Math.min(limits.maxMs, limits.minMs * 2 ** Math.min(attempt - 1, 30));
  return full / 2 + (full / 2) * random.next();
}
