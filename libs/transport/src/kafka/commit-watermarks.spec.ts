import { describe, expect, it } from '@jest/globals';
import { CommitWatermarks } from './commit-watermarks.js';

const zero = { topic: 't', partition: 0 };
const one = { topic: 't', partition: 1 };

describe('the watermarks of an assignment', () => {
  it('are sent once, the newest of each partition', () => {
    const watermarks = new CommitWatermarks();
    expect(watermarks.raise(zero, 1n)).toBe(true);
    expect(watermarks.raise(zero, 5n)).toBe(true);
    expect(watermarks.raise(one, 2n)).toBe(true);
    expect(watermarks.unsent()).toEqual([
      { ...zero, offset: 5n },
      { ...one, offset: 2n },
    ]);

    watermarks.settle(watermarks.unsent());
    expect(watermarks.unsent()).toEqual([]);
  });

  it('never go back', () => {
    const watermarks = new CommitWatermarks();
    watermarks.raise(zero, 5n);
    expect(watermarks.raise(zero, 5n)).toBe(false);
    expect(watermarks.raise(zero, 4n)).toBe(false);
    expect(watermarks.unsent()).toEqual([{ ...zero, offset: 5n }]);
  });

  it('go back where the log did, and no further by what belongs to the log of before', () => {
    const watermarks = new CommitWatermarks();
    watermarks.raise(zero, 5n);
    watermarks.settle(watermarks.unsent());
    watermarks.pin(zero, 0n);
    expect(watermarks.raise(zero, 7n)).toBe(false);
    expect(watermarks.unsent()).toEqual([{ ...zero, offset: 0n }]);
  });

  it('are none where the log is gone, whatever was raised before or is raised after', () => {
    const watermarks = new CommitWatermarks();
    watermarks.raise(zero, 5n);
    const underWay = watermarks.unsent();
    watermarks.raise(zero, 6n);
    watermarks.forget(zero);
    watermarks.settle(underWay);
    expect(watermarks.raise(zero, 7n)).toBe(false);
    expect(watermarks.unsent()).toEqual([]);
  });

  it('stay to be sent when they were raised while the last were under way', () => {
    const watermarks = new CommitWatermarks();
    watermarks.raise(zero, 5n);
    const underWay = watermarks.unsent();
    watermarks.raise(zero, 6n);
    watermarks.settle(underWay);
    expect(watermarks.unsent()).toEqual([{ ...zero, offset: 6n }]);
  });
});
