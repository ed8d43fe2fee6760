/** The middle value; the mean of the middle two of an even number. Throws without values. */
export function median(values: readonly number[]): number {
  return (percentile(values, 0.5, 'lower') + percentile(values, 0.5, 'upper')) / 2;
}

/** The value that a share of all values does not exceed: the nearest rank. Throws without values. */
export function percentile(values: readonly number[], share: number, rank: 'lower' | 'upper' = 'lower'): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * sorted.length;
  const index = rank === 'lower' ? Math.ceil(at) - 1 : Math.floor(at);
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, index))];
  if (value === undefined) {
    throw new Error('There is no percentile of nothing.');
  }
  return value;
}
