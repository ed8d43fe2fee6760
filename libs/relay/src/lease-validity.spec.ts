import { describe, expect, it } from '@jest/globals';
import { LeaseValidity } from './lease-validity.js';
import { FakeClock } from './testing/fake-clock.js';

const LIMITS = { ttlMs: 10_000, marginMs: 2_000 };

describe('the validity of a lease', () => {
  it('counts from before the request, less the margin', () => {
    const clock = new FakeClock();
    const stamp = LeaseValidity.stamp(clock);
    clock.freeze(3_000);
    const lease = new LeaseValidity(clock, LIMITS, stamp);
    clock.freeze(4_999);
    expect(lease.isValid()).toBe(true);
    clock.freeze(1);
    expect(lease.isValid()).toBe(false);
  });

  it('is extended from the moment before the request that extended it', () => {
    const clock = new FakeClock();
    const lease = new LeaseValidity(clock, LIMITS, LeaseValidity.stamp(clock));
    clock.freeze(7_000);
    const stamp = LeaseValidity.stamp(clock);
    clock.freeze(500);
    lease.extend(stamp);
    expect(lease.ageMs()).toBe(500);
    clock.freeze(7_499);
    expect(lease.isValid()).toBe(true);
    clock.freeze(1);
    expect(lease.isValid()).toBe(false);
  });

  it('ends when the wall clock has run on while the monotonic clock stood still', () => {
    const clock = new FakeClock();
    const lease = new LeaseValidity(clock, LIMITS, LeaseValidity.stamp(clock));
    clock.setWallAhead(8_000);
    expect(lease.isValid()).toBe(false);
  });

  it('is not lengthened by a wall clock that is set back', () => {
    const clock = new FakeClock();
    const lease = new LeaseValidity(clock, LIMITS, LeaseValidity.stamp(clock));
    clock.setWallAhead(-60_000);
    clock.freeze(8_000);
    expect(lease.isValid()).toBe(false);
  });
});
