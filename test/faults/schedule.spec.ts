import { describe, expect, it } from '@jest/globals';
import { faultSchedule } from './schedule.js';

describe('the schedule of faults', () => {
  it('is the same for the same seed and another for another', () => {
    expect(faultSchedule(7, 60)).toEqual(faultSchedule(7, 60));
    expect(faultSchedule(7, 60)).not.toEqual(faultSchedule(8, 60));
  });

  it.each([1, 2, 3, 4, 5])('kills each server once and stops at each barrier within a minute (seed %i)', (seed) => {
    const faults = faultSchedule(seed, 60);
    const kinds = faults.map((fault) => (fault.kind === 'kill-at-barrier' ? fault.barrier : fault.kind));
    expect(kinds.filter((kind) => kind === 'kill-kafka')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'kill-postgres')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'freeze-leader')).toHaveLength(1);
    expect(kinds).toEqual(expect.arrayContaining(['before-ledger', 'mid-page', 'after-ledger', 'kill-leader']));
    expect(faults.length).toBeGreaterThan(11);
    const times = faults.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(Math.max(...times)).toBeLessThan(60_000);
  });
});
