import { describe, expect, it } from '@jest/globals';
import { DEFAULT_ROUTE_TUNING, parseRoute } from './route-config.js';
import { anEvent } from './testing/fake-source.js';

const ROUTE = { name: 'orders', source: 'db', sink: 'kafka' };

describe('a route configuration', () => {
  it('needs a name, a source and a sink only', () => {
    expect(parseRoute(ROUTE)).toMatchObject({
      name: 'orders',
      filter: { aggregateTypes: null, eventTypes: null, headerValues: [] },
      from: { kind: 'earliest' },
      tuning: DEFAULT_ROUTE_TUNING,
    });
    expect(parseRoute(ROUTE).topic.topicOf(anEvent(1))).toBe('outbox.event.order');
  });

  it('names every problem at once', () => {
    const tuning = {
      batchRecordsMax: 0,
      eventsInFlightMax: 100_001,
      beatMs: Number.NaN,
      leaseTtlMs: 3_000,
      pollWaitMaxMs: 1,
    };
    const parse = (): unknown => parseRoute({ ...ROUTE, name: '', topic: '{what}', key: 'all', tuning });
    for (const problem of [
      /empty name/,
      /batchRecordsMax is 0/,
      /beatMs is NaN/,
      /eventsInFlightMax is 100001; it must be at most 100000/,
      /leaseTtlMs is 3000; it must be at least twice leaseMarginMs \(2000\)/,
      /pollWaitMaxMs is 1; it must not be below pollWaitMinMs \(3\)/,
      /Topic template "\{what\}" has an unknown placeholder/,
      /key has no placeholder/,
    ]) {
      expect(parse).toThrow(problem);
    }
  });
});
