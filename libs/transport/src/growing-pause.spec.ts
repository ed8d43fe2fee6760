import { describe, expect, it } from '@jest/globals';
import { growingPauseMs } from './growing-pause.js';

const pause = { firstMs: 100, maxMs: 1_000 };

describe('the pause before another try', () => {
  it('doubles up to its largest', () => {
    const pauses = [1, 2, 3, 4, 5, 1_000].map((attempt) => growingPauseMs(attempt, pause, () => 0));
    expect(pauses).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it('is shortened by up to a half at random', () => {
    expect(growingPauseMs(2, pause, () => 0.5)).toBe(150);
    expect(growingPauseMs(9, pause, () => 1)).toBe(500);
  });
});
