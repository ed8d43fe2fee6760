const FIRST_MS = 500;
const LONGEST_MS = 5_000;
const STEADY_MS = 10_000;

/**
 * How long to wait before a program that crashed is started again: half a second, doubled at each crash up to 5 s, and
 * half a second again after a run of ten seconds.
 */
export function restartDelay({ ranForMs, previousMs }) {
  if (previousMs === undefined || ranForMs >= STEADY_MS) {
    return FIRST_MS;
  }
  return Math.min(previousMs * 2, LONGEST_MS);
}
