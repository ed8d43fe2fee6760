const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
const STEADY_MS = 60_000;

/**
 * How long to wait before a program that crashed is started again: 1 s, doubled at each crash up to 30 s, and 1 s again
 * after a run of a minute.
 */
export function restartDelay({ ranForMs, previousMs }) {
  if (previousMs === undefined || ranForMs >= STEADY_MS) {
    return FIRST_MS;
  }
  return Math.min(previousMs * 2, LONGEST_MS);
}
