import { describe, expect, it } from '@jest/globals';
import { assignRoundRobin } from './assign-partitions.js';

const both = [
  { memberId: 'b', topics: ['orders', 'stock'] },
  { memberId: 'a', topics: ['orders', 'stock'] },
];

function idsOf(dealt: ReturnType<typeof assignRoundRobin>): Record<string, string[]> {
  return Object.fromEntries(
    [...dealt].map(([memberId, partitions]) => [memberId, partitions.map((one) => `${one.topic}/${one.partition}`)]),
  );
}

describe('the dealing out of partitions', () => {
  it('gives members in the order of their ids one partition after the other, over all topics', () => {
    const counts = new Map([
      ['stock', 2],
      ['orders', 3],
    ]);
    const expected = { a: ['orders/0', 'orders/2', 'stock/1'], b: ['orders/1', 'stock/0'] };
    expect(idsOf(assignRoundRobin(both, counts))).toEqual(expected);
    expect(idsOf(assignRoundRobin([...both].reverse(), counts))).toEqual(expected);
  });

  it('gives a topic only to members that want it', () => {
    const members = [...both, { memberId: 'c', topics: ['stock'] }];
    const dealt = idsOf(
      assignRoundRobin(
        members,
        new Map([
          ['orders', 3],
          ['stock', 3],
        ]),
      ),
    );
    expect(dealt).toEqual({ a: ['orders/0', 'orders/2', 'stock/2'], b: ['orders/1', 'stock/0'], c: ['stock/1'] });
  });

  it('leaves out topics that nobody wants, and gives nothing where there is nothing', () => {
    expect(idsOf(assignRoundRobin(both, new Map([['unknown', 2]])))).toEqual({ a: [], b: [] });
    expect(idsOf(assignRoundRobin([], new Map([['orders', 2]])))).toEqual({});
  });
});
