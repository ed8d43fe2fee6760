import { describe, expect, it } from '@jest/globals';
import { BatchScheduler, type BatchSource } from './batch-scheduler.js';

/** A partition with so many events, all of different keys, whose batches run until they are told to end. */
class Waiting implements BatchSource {
  readonly batches: number[] = [];

  constructor(
    public readyEvents: number,
    private readonly batchMax: number,
  ) {}

  runBatch(eventsMax: number): Promise<void> {
    const size = Math.min(eventsMax, this.batchMax, this.readyEvents);
    this.readyEvents -= size;
    this.batches.push(size);
    return new Promise(() => undefined);
  }
}

function pumped(concurrency: number, ...sources: Waiting[]): readonly (readonly number[])[] {
  const scheduler = new BatchScheduler(concurrency, () => false);
  for (const source of sources) {
    scheduler.add(source);
  }
  scheduler.pump();
  return sources.map(({ batches }) => batches);
}

describe('the batches of a consumer', () => {
  it('spread what is ready over the transactions that are free', () => {
    expect(pumped(4, new Waiting(3, 50))).toEqual([[1, 1, 1]]);
    expect(pumped(4, new Waiting(10, 50))).toEqual([[3, 3, 2, 2]]);
    expect(pumped(2, new Waiting(10, 3))).toEqual([[3, 3]]);
  });

  it('are of all partitions in turn', () => {
    expect(pumped(4, new Waiting(20, 50), new Waiting(4, 50))).toEqual([[6, 7, 7], [4]]);
  });

  it('take all that is ready where there is one transaction', () => {
    expect(pumped(1, new Waiting(30, 50), new Waiting(9, 50))).toEqual([[30], []]);
  });
});
