import { describe, expect, it } from '@jest/globals';
import { type ConsumedRecord } from '@millrace/testing';
import { checkBatches, RECORDS_PER_PARTITION } from './batches.js';

function log(partition: number, numbers: readonly number[]): ConsumedRecord[] {
  return numbers.map((number, index) => ({
    topic: 't',
    partition,
    offset: BigInt(index),
    timestampMs: 0,
    key: `key-${partition}`,
    headers: {},
    value: String(number),
  }));
}

const batch = Array.from({ length: RECORDS_PER_PARTITION }, (_, index) => index);

describe('the check of the control', () => {
  it('finds nothing where every batch is there in order, and counts repeats', () => {
    const records = [...log(0, [...batch, ...batch]), ...log(1, batch)];

    expect(checkBatches(records, 1, 2)).toEqual({ lost: 0, reordered: 0, repeats: RECORDS_PER_PARTITION });
  });

  it('counts what was acknowledged and is not there, and nothing that was not acknowledged', () => {
    const next = batch.map((number) => number + RECORDS_PER_PARTITION);

    expect(checkBatches([...log(0, batch), ...log(1, batch.slice(2)), ...log(1, next)], 1, 2)).toEqual({
      lost: 2,
      reordered: 0,
      repeats: 0,
    });
  });

  it('counts what came first behind a later one', () => {
    const [first = 0, ...others] = batch;

    expect(checkBatches(log(0, [...others, first]), 1, 1)).toEqual({ lost: 0, reordered: 1, repeats: 0 });
  });
});
