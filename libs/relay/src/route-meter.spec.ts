import { describe, expect, it } from '@jest/globals';
import { RouteMeter } from './route-meter.js';
import { FakeClock } from './testing/fake-clock.js';

const LANE = { id: 't/0', topic: 't', partition: 0 };

describe('the meter of a route', () => {
  it('gives the rate over the last ten whole seconds', () => {
    const clock = new FakeClock();
    const meter = new RouteMeter('orders', clock, {});
    expect(meter.ratePerSecond).toBe(0);
    for (let second = 0; second < 30; second += 1) {
      meter.batchSent({ lane: LANE, events: 50, bytes: 1, durationMs: 1 });
      meter.batchSent({ lane: LANE, events: 50, bytes: 1, durationMs: 1 });
      clock.freeze(1_000);
    }
    expect(meter.ratePerSecond).toBe(100);
    clock.freeze(5_000);
    expect(meter.ratePerSecond).toBe(50);
    clock.freeze(60_000);
    expect(meter.ratePerSecond).toBe(0);
    expect(meter.counts.eventsSent).toBe(3_000);
  });

  it('counts errors by code and tells the observer the name of the route', () => {
    const told: unknown[] = [];
    const meter = new RouteMeter('orders', new FakeClock(), {
      sendFailed: ({ route, code }) => told.push([route, code]),
    });
    const failed = { lane: LANE, events: 1, attempt: 1, durationMs: 1, error: new Error('x') };
    meter.sendFailed({ ...failed, code: 'timeout' });
    meter.sendFailed({ ...failed, code: 'timeout' });
    meter.sendFailed({ ...failed, code: 'unavailable' });
    expect(meter.counts).toMatchObject({ sends: 3, sendErrors: { timeout: 2, unavailable: 1 } });
    expect(told).toEqual([
      ['orders', 'timeout'],
      ['orders', 'timeout'],
      ['orders', 'unavailable'],
    ]);
  });
});
