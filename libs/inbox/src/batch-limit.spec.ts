import { describe, expect, it } from '@jest/globals';
import { BatchLimit } from './batch-limit.js';
import { FakeClock } from './testing-doubles/fake-clock.js';

describe('the size of batches', () => {
  const clock = new FakeClock();
  const limit = new BatchLimit(50, clock);

  it('is one event for 10 s after a conflict, whatever else was under way', async () => {
    expect(limit.size).toBe(50);
    limit.conflicted();
    expect(limit.size).toBe(1);
    await clock.advance(9_000);
    limit.conflicted();
    await clock.advance(999);
    expect(limit.size).toBe(1);
    await clock.advance(1);
    expect(limit.size).toBe(50);
  });

  it('is one event for twice as long after each conflict that follows soon, up to 5 minutes', async () => {
    for (const pauseMs of [20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
      await clock.advance(5_000);
      limit.conflicted();
      await clock.advance(pauseMs - 1);
      expect(limit.size).toBe(1);
      await clock.advance(1);
      expect(limit.size).toBe(50);
    }
  });

  it('begins with 10 s again after a time without a conflict', async () => {
    await clock.advance(300_000);
    limit.conflicted();
    await clock.advance(10_000);
    expect(limit.size).toBe(50);
  });
});
