import { describe, expect, it } from '@jest/globals';
import { type Position, toPosition } from '@millrace/events';
import fc from 'fast-check';
import { addToCounts, type LeafCount, LeafMap } from './leaf-counts.js';

const LEAVES = [
  { lo: 1n, hi: 11n },
  { lo: 11n, hi: 21n },
  { lo: 31n, hi: 41n },
];

const positions = (...of: number[]): Position[] => of.map(toPosition);

function countOf(of: readonly Position[], countedFrom = 1n): [bigint, bigint][] {
  const counts = new Map<bigint, bigint>();
  new LeafMap(LEAVES).count(of, countedFrom, counts);
  return [...counts];
}

describe('the count of a page', () => {
  it('goes to the leaf that its positions lie in', () => {
    expect(countOf(positions(11, 12, 20))).toEqual([[11n, 3n]]);
  });

  it('is split where a leaf ends', () => {
    expect(countOf(positions(3, 10, 11, 20))).toEqual([
      [1n, 2n],
      [11n, 2n],
    ]);
  });

  it('has the rows between leaves and above them in the default partition', () => {
    expect(countOf(positions(20, 21, 30, 31, 40, 41, 900))).toEqual([
      [11n, 1n],
      [0n, 4n],
      [31n, 2n],
    ]);
  });

  it('leaves out what lies before the beginning of counting', () => {
    expect(countOf(positions(3, 9, 10, 12), 10n)).toEqual([
      [1n, 1n],
      [11n, 1n],
    ]);
    expect(countOf(positions(3, 9), 10n)).toEqual([]);
  });

  it('of nothing is nothing, and without leaves all is in the default partition', () => {
    expect(countOf([])).toEqual([]);
    const counts = new Map<bigint, bigint>();
    new LeafMap([]).count(positions(1, 2), 1n, counts);
    expect([...counts]).toEqual([[0n, 2n]]);
  });

  it('is what looking at each position by itself gives', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 })), fc.integer({ min: 1, max: 60 }), (of, from) => {
        const sorted = of.sort((a, b) => a - b);
        const single = new Map<bigint, bigint>();
        for (const at of sorted.filter((position) => position >= from)) {
          const leaf = LEAVES.find(({ lo, hi }) => at >= lo && at < hi)?.lo ?? 0n;
          single.set(leaf, (single.get(leaf) ?? 0n) + 1n);
        }
        expect(new Map(countOf(sorted.map(toPosition), BigInt(from)))).toEqual(single);
      }),
    );
  });
});

describe('the counters of a route', () => {
  const onRow = (leaf: bigint | null, rows: bigint): LeafCount => ({ leaf, rows });

  it('need no write of their own while the rows lie in the leaf of the ledger row', () => {
    expect(addToCounts(onRow(11n, 5n), new Map([[11n, 3n]]))).toEqual({ current: onRow(11n, 8n), added: new Map() });
    expect(addToCounts(onRow(11n, 5n), new Map())).toEqual({ current: onRow(11n, 5n), added: new Map() });
    expect(addToCounts(onRow(null, 0n), new Map())).toEqual({ current: onRow(null, 0n), added: new Map() });
    expect(addToCounts(onRow(null, 0n), new Map([[11n, 3n]]))).toEqual({ current: onRow(11n, 3n), added: new Map() });
  });

  it('move on with the rows, and the leaf that is left is written', () => {
    expect(
      addToCounts(
        onRow(1n, 5n),
        new Map([
          [1n, 2n],
          [11n, 3n],
        ]),
      ),
    ).toEqual({ current: onRow(11n, 3n), added: new Map([[1n, 7n]]) });
  });

  it('stay where most rows are when an old gap is filled', () => {
    expect(
      addToCounts(
        onRow(11n, 5n),
        new Map([
          [1n, 1n],
          [11n, 9n],
        ]),
      ),
    ).toEqual({ current: onRow(11n, 14n), added: new Map([[1n, 1n]]) });
  });

  it('add up to what was read, whatever the order of leaves', () => {
    const write = fc.array(fc.tuple(fc.constantFrom(0n, 1n, 11n, 31n), fc.bigInt({ min: 1n, max: 5n })));
    fc.assert(
      fc.property(fc.array(write), (writes) => {
        const total = new Map<bigint, bigint>();
        const stored = new Map<bigint, bigint>();
        const add = (to: Map<bigint, bigint>, leaf: bigint, rows: bigint): void => {
          to.set(leaf, (to.get(leaf) ?? 0n) + rows);
        };
        let current = onRow(null, 0n);
        for (const read of writes) {
          const counts = new Map(read);
          counts.forEach((rows, leaf) => {
            add(total, leaf, rows);
          });
          const step = addToCounts(current, counts);
          step.added.forEach((rows, leaf) => {
            add(stored, leaf, rows);
          });
          current = step.current;
        }
        if (current.leaf !== null) {
          add(stored, current.leaf, current.rows);
        }
        expect(stored).toEqual(total);
      }),
    );
  });
});
