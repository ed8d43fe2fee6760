import { describe, expect, it } from '@jest/globals';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.js';

describe('what members of a group tell each other', () => {
  it('is written as the Java client writes it', () => {
    expect(encodeSubscription(['b', 'a']).toString('hex')).toBe(
      ['0000', '00000002', '0001', '61', '0001', '62', '00000000'].join(''),
    );
    expect(encodeAssignment([{ topic: 'a', partition: 1 }]).toString('hex')).toBe(
      ['0000', '00000001', '0001', '61', '00000001', '00000001', '00000000'].join(''),
    );
  });

  it('is read as it was written', () => {
    const partitions = [
      { topic: 'a', partition: 0 },
      { topic: 'a', partition: 7 },
      { topic: 'ü', partition: 1 },
    ];
    expect(decodeAssignment(encodeAssignment(partitions))).toEqual(partitions);
    expect(decodeSubscription(encodeSubscription(['x', 'ü']))).toEqual(['x', 'ü']);
  });

  it('reads the topics of later versions, and no assignment as no partitions', () => {
    const later = Buffer.concat([Buffer.from([0, 3]), encodeSubscription(['a']).subarray(2), Buffer.from([1, 2, 3])]);
    expect(decodeSubscription(later)).toEqual(['a']);
    expect(decodeAssignment(Buffer.alloc(0))).toEqual([]);
  });
});
