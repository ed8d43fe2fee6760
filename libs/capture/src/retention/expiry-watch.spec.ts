import { describe, expect, it } from '@jest/globals';
import { ExpiryWatch } from './expiry-watch.js';
import { type RouteHold } from './retention-observer.js';

const LIMITS = { keepMs: 10, maxAgeMs: 100, maxBytes: 1_000 };
const GRACE_MS = 50;

const hold = (changes: Partial<RouteHold> = {}): RouteHold => ({
  route: 'r',
  low: 7n,
  isExpired: false,
  leaves: 1,
  bytes: 1,
  ageMs: 100,
  ...changes,
});

/** What the watch answers, look by look: when, and what the route held then. */
function answers(...looks: (readonly [number, Partial<RouteHold>])[]): (bigint | null)[] {
  const watch = new ExpiryWatch(LIMITS, GRACE_MS);
  return looks.map(([atMs, changes]) => watch.expiringLow(hold(changes), atMs));
}

describe('a route that is over a limit', () => {
  it('expires when its time of grace is over and it stands where it stood', () => {
    expect(answers([0, {}], [49, {}], [50, {}])).toEqual([null, null, 7n]);
  });

  it('does not expire for age while it moves', () => {
    expect(answers([0, {}], [50, { low: 8n }], [99, { low: 8n }], [100, { low: 8n }])).toEqual([null, null, null, 8n]);
  });

  it('expires for its bytes while it moves, too slowly', () => {
    expect(answers([0, { bytes: 1_000 }], [50, { bytes: 1_000, low: 8n }])).toEqual([null, 7n]);
  });

  it('has a new time of grace after it was within its limits', () => {
    expect(answers([0, {}], [40, { ageMs: 99 }], [60, {}], [109, {}], [110, {}])).toEqual([null, null, null, null, 7n]);
  });

  it('does not expire twice, nor for nothing that it holds', () => {
    expect(answers([0, { isExpired: true }], [60, { isExpired: true }])).toEqual([null, null]);
    expect(answers([0, { leaves: 0 }], [60, { leaves: 0 }])).toEqual([null, null]);
  });

  it('without limits is none', () => {
    const watch = new ExpiryWatch({ keepMs: 10, maxAgeMs: null, maxBytes: null }, GRACE_MS);
    expect(watch.isOver(hold({ ageMs: 1e12, bytes: 1e12 }))).toBe(false);
  });
});
