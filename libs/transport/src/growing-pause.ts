export interface GrowingPause {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The pause before the `attempt`-th new try, counted from 1: doubles each time up to `maxMs`, and is shortened by up to a
 * half at random, so that those who failed together do not come back together.
 */
export function growingPauseMs(attempt: number, { firstMs, maxMs }: GrowingPause, random = Math.random): number {
  const whole = Math.min(firstMs * 2 ** Math.min(attempt - 1, 30), maxMs);
  return Math.round(whole * (1 - random() / 2));
}
