import { describe, expect, it } from '@jest/globals';
import { type ConsumerTuning, limitsOf, refuseConsumerName } from './inbox.config.js';

describe('the options of a consumer', () => {
  it('have defaults, and take what is given', () => {
    expect(limitsOf({ batchSize: 5 })).toEqual({
      concurrency: 8,
      batchSize: 5,
      maxAttempts: 20,
      inMemoryRetryMs: [50, 200, 800, 2_000],
      handlerTimeoutMs: 30_000,
      progressIntervalMs: 250,
      windowRecordsMax: 10_000,
      windowBytesMax: 8_388_608,
    });
  });

  it.each<[ConsumerTuning, RegExp]>([
    [{ concurrency: 0 }, /\{ concurrency \}\) must be a whole number from 1 to 1000/],
    [{ batchSize: 1.5 }, /batchSize/],
    [{ maxAttempts: -1 }, /maxAttempts/],
    [{ handlerTimeoutMs: 0 }, /handlerTimeoutMs/],
    [{ progressIntervalMs: 1 }, /progressIntervalMs/],
    [{ windowRecordsMax: 0 }, /windowRecordsMax/],
    [{ windowBytesMax: Number.NaN }, /windowBytesMax/],
    [{ inMemoryRetryMs: [-1] }, /inMemoryRetryMs/],
    [{ inMemoryRetryMs: [3_000, 3_000] }, /inMemoryRetryMs \}\) must be waits of together at most 5000 ms/],
  ])('refuse %j and say what it must be', (tuning, message) => {
    expect(() => limitsOf(tuning)).toThrow(message);
  });

  it.each([[''], ['a b'], ['x'.repeat(201)], ['ä']])('refuse the consumer name "%s"', (name) => {
    expect(() => {
      refuseConsumerName(name);
    }).toThrow(/consumer/);
  });
});
