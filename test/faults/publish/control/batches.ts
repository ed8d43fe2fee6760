import { type ConsumedRecord } from '@millrace/testing';

/** In each batch of the control, which covers all partitions; their values count up from 0 in each partition. */
export const RECORDS_PER_PARTITION = 30;

/** What became of the batches of a control. */
export interface ControlVerdict {
  /** Acknowledged, and not in the topic. */
  readonly lost: number;
  /** Came first after a later one of its partition. */
  readonly reordered: number;
  readonly repeats: number;
}

/** Holds a topic against the number of batches that were acknowledged, from the first one on. */
export function checkBatches(records: readonly ConsumedRecord[], batches: number, partitions: number): ControlVerdict {
  let [lost, reordered, repeats] = [0, 0, 0];
  for (let partition = 0; partition < partitions; partition += 1) {
    const seen = new Set<number>();
    let last = -1;
    for (const record of records.filter((each) => each.partition === partition)) {
      const number = Number(record.value);
      if (seen.has(number)) {
        repeats += 1;
      } else {
        reordered += Number(number < last);
        last = Math.max(last, number);
        seen.add(number);
      }
    }
    const acknowledged = batches * RECORDS_PER_PARTITION;
    lost += acknowledged - [...seen].filter((number) => number < acknowledged).length;
  }
  return { lost, reordered, repeats };
}
