import { describe, expect, it } from '@jest/globals';
import { backoffMs } from './backoff.js';

const LIMITS = { minMs: 100, maxMs: 5_000 };

describe('the back-off', () => {
  it('doubles up to its limit, at most the whole and at least half of it', () => {
    const least = [1, 2, 3, 6, 7, 1_000].map((attempt) => backoffMs(attempt, LIMITS, { next: () => 0 }));
    const most = [1, 2, 3, 6, 7, 1_000].map((attempt) => backoffMs(attempt, LIMITS, { next: () => 1 }));
    expect(least).toEqual([50, 100, 200, 1_600, 2_500, 2_500]);
    expect(most).toEqual([100, 200, 400, 3_200, 5_000, 5_000]);
  });
});
