import { beforeEach, describe, expect, it } from '@jest/globals';
import { FailedAttempts } from './failed-attempts.js';

const LIMITS = { failuresMax: 3, windowMs: 1_000, addressesMax: 4 };

describe('failed attempts', () => {
  let nowMs = 0;
  let attempts: FailedAttempts;

  function fail(address: string, times: number): void {
    for (let time = 0; time < times; time += 1) {
      attempts.record(address);
    }
  }

  beforeEach(() => {
    nowMs = 5_000;
    attempts = new FailedAttempts(LIMITS, () => nowMs);
  });

  it('lock an address out at the limit until its window ends', () => {
    fail('192.0.2.1', 2);
    expect(attempts.lockedForMs('192.0.2.1')).toBe(0);
    nowMs += 400;
    fail('192.0.2.1', 1);
    expect(attempts.lockedForMs('192.0.2.1')).toBe(600);
    nowMs += 600;
    expect(attempts.lockedForMs('192.0.2.1')).toBe(0);
    fail('192.0.2.1', 2);
    expect(attempts.lockedForMs('192.0.2.1')).toBe(0);
  });

  it('do not lock other addresses out', () => {
    fail('192.0.2.1', 3);
    expect(attempts.lockedForMs('192.0.2.2')).toBe(0);
  });

  it('take bounded memory: the oldest address is forgotten', () => {
    fail('192.0.2.1', 3);
    for (let host = 2; host <= 50; host += 1) {
      attempts.record(`192.0.2.${host}`);
      expect(attempts.size).toBeLessThanOrEqual(LIMITS.addressesMax);
    }
    expect(attempts.lockedForMs('192.0.2.1')).toBe(0);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9'],
    ['2001:db8::1', '2001:db8:0:0:1:2:3:4'],
    ['::1', '::2'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
  ])('count %s and %s as one address', (one, other) => {
    fail(one, 3);
    expect(attempts.lockedForMs(other)).toBe(1_000);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.8'],
    ['::1', '192.0.2.7'],
  ])('count %s and %s as two addresses', (one, other) => {
    fail(one, 3);
    expect(attempts.lockedForMs(other)).toBe(0);
  });
});
