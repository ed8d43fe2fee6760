import { describe, expect, it } from '@jest/globals';
import { median, percentile } from './statistics.js';

describe('the statistics of a benchmark', () => {
  it('take the middle of an odd and the mean of the middle two of an even number of values', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  it('take percentiles by nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0.5, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 99, 100]);
    expect(percentile([5], 0.99)).toBe(5);
  });

  it('refuse to speak of nothing', () => {
    expect(() => median([])).toThrow('There is no percentile of nothing.');
  });
});
