import { beforeEach, describe, expect, it } from '@jest/globals';
import { type SinkRecord } from '../sink-port.js';
import { LaneSequences } from './lane-sequences.js';

const lane = { id: 'orders/0', topic: 'orders', partition: 0 };
const other = { id: 'orders/1', topic: 'orders', partition: 1 };
const first = { producerId: 7n, producerEpoch: 0 };
const second = { producerId: 8n, producerEpoch: 0 };

function batchOf(count: number): readonly SinkRecord[] {
  return Array.from({ length: count }, () => ({ key: Buffer.from('k'), value: Buffer.from('v'), headers: [] }));
}

describe('the numbers of a lane', () => {
  let sequences: LaneSequences;

  beforeEach(() => {
    sequences = new LaneSequences();
  });

  it('begin at 0 under a producer id of its own, and count the records that were acknowledged', () => {
    expect(sequences.stampOf(lane, batchOf(3))).toBeUndefined();
    expect(sequences.begin(lane, first, batchOf(3))).toEqual({ ...first, baseSequence: 0 });
    sequences.acknowledged(lane);

    expect(sequences.stampOf(lane, batchOf(2))).toEqual({ ...first, baseSequence: 3 });
    sequences.acknowledged(lane);
    expect(sequences.stampOf(lane, batchOf(1))).toEqual({ ...first, baseSequence: 5 });
    expect(sequences.stampOf(other, batchOf(1))).toBeUndefined();
  });

  it('are the same for the same batch, as often as it is sent', () => {
    sequences.begin(lane, first, batchOf(3));
    sequences.acknowledged(lane);
    const batch = batchOf(2);

    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(sequences.stampOf(lane, [...batch])).toEqual({ ...first, baseSequence: 3 });
    }
    sequences.acknowledged(lane);
    expect(sequences.stampOf(lane, batchOf(1))).toEqual({ ...first, baseSequence: 5 });
  });

  it.each([
    ['shorter', (batch: readonly SinkRecord[]) => batch.slice(0, 2)],
    ['longer', (batch: readonly SinkRecord[]) => [...batch, ...batchOf(1)]],
    ['as long, with other records', () => batchOf(3)],
  ])('are never given to another batch after an outcome that is not known: one that is %s', (_, change) => {
    const batch = batchOf(3);
    sequences.begin(lane, first, batch);

    const changed = change(batch);
    expect(sequences.stampOf(lane, changed)).toBeUndefined();
    expect(sequences.begin(lane, second, changed)).toEqual({ ...second, baseSequence: 0 });
    expect(sequences.stampOf(lane, batch)).toBeUndefined();
  });

  it('begin anew when the brokers do not follow them, and long before they end', () => {
    sequences.begin(lane, first, batchOf(3));
    sequences.begin(other, second, batchOf(3));
    sequences.acknowledged(other);
    sequences.forget([lane]);
    expect(sequences.stampOf(lane, batchOf(3))).toBeUndefined();
    expect(sequences.stampOf(other, batchOf(1))).toEqual({ ...second, baseSequence: 3 });

    sequences = new LaneSequences(5);
    sequences.begin(lane, first, batchOf(3));
    sequences.acknowledged(lane);
    expect(sequences.stampOf(lane, batchOf(3))).toBeUndefined();
    expect(sequences.stampOf(lane, batchOf(2))).toEqual({ ...first, baseSequence: 3 });
  });
});
