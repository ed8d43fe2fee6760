import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KeyLanes } from './key-lanes.js';

interface Item {
  readonly key: string;
  readonly number: number;
  readonly isAlone: boolean;
}

const isAlone = (item: Item): boolean => item.isAlone;

function item(key: string, number: number, alone = false): Item {
  return { key, number, isAlone: alone };
}

function lanesOf(items: readonly Item[]): KeyLanes<Item> {
  const lanes = new KeyLanes<Item>();
  for (const each of items) {
    lanes.add(each.key, each);
  }
  return lanes;
}

describe('KeyLanes', () => {
  it('gives nothing of a key that is out, and everything of the others', () => {
    const lanes = lanesOf([item('a', 1), item('a', 2), item('b', 3)]);
    expect(lanes.take(1, isAlone)).toEqual([item('a', 1)]);
    expect(lanes.take(1, isAlone)).toEqual([item('b', 3)]);
    expect(lanes.take(1, isAlone)).toEqual([]);
    lanes.finish('a');
    expect(lanes.take(1, isAlone)).toEqual([item('a', 2)]);
  });

  it('fills a batch with several items of a key and of several keys', () => {
    const lanes = lanesOf([item('a', 1), item('a', 2), item('b', 3), item('b', 4), item('c', 5)]);
    expect(lanes.take(3, isAlone).map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(lanes.take(3, isAlone).map(({ number }) => number)).toEqual([5]);
    lanes.finish('b');
    expect(lanes.take(3, isAlone).map(({ number }) => number)).toEqual([4]);
  });

  it('gives an item that is to be alone by itself', () => {
    const lanes = lanesOf([item('a', 1), item('b', 2, true), item('c', 3)]);
    expect(lanes.take(9, isAlone).map(({ number }) => number)).toEqual([1]);
    expect(lanes.take(9, isAlone).map(({ number }) => number)).toEqual([2]);
    expect(lanes.take(9, isAlone).map(({ number }) => number)).toEqual([3]);
  });

  it('gives what was put back first, and the key behind those that have waited longer', () => {
    const lanes = lanesOf([item('a', 1), item('a', 2), item('b', 3)]);
    lanes.take(2, isAlone);
    lanes.putBack('a');
    expect(lanes.take(9, isAlone).map(({ number }) => number)).toEqual([3, 1, 2]);
  });

  it('refuses to finish what is not out', () => {
    expect(() => {
      new KeyLanes<Item>().finish('a');
    }).toThrow('nothing out');
  });

  it('keeps the order of each key, gives each item once, and leaves none behind, whatever happens', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add'), key: fc.constantFrom('a', 'b', 'c', 'd'), isAlone: fc.boolean() }),
      fc.record({ kind: fc.constant('take'), max: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('end'), which: fc.nat(), isBack: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const lanes = new KeyLanes<Item>();
        const out: (readonly Item[])[] = [];
        const done: Item[] = [];
        let added = 0;
        const end = (batch: readonly Item[], isBack: boolean): void => {
          for (const key of new Set(batch.map((one) => one.key))) {
            if (isBack) {
              lanes.putBack(key);
            } else {
              lanes.finish(key);
            }
          }
          if (!isBack) {
            done.push(...batch);
          }
        };
        const take = (max: number): readonly Item[] => {
          const batch = lanes.take(max, isAlone);
          const busy = new Set(out.flat().map((one) => one.key));
          expect(batch.filter((one) => busy.has(one.key))).toEqual([]);
          expect(batch.length <= max && (batch.length === 1 || !batch.some(isAlone) || batch.length === 0)).toBe(true);
          return batch;
        };
        for (const each of steps) {
          if ('key' in each) {
            lanes.add(each.key, item(each.key, added++, each.isAlone));
          } else if ('max' in each) {
            const batch = take(each.max);
            if (batch.length > 0) {
              out.push(batch);
            }
          } else {
            const [batch] = out.splice(out.length === 0 ? 0 : each.which % out.length, 1);
            end(batch ?? [], each.isBack);
          }
        }
        for (const batch of out.splice(0)) {
          end(batch, false);
        }
        while (lanes.readyItems > 0) {
          end(take(3), false);
        }
        expect(done).toHaveLength(added);
        for (const key of ['a', 'b', 'c', 'd']) {
          const numbers = done.filter((one) => one.key === key).map(({ number }) => number);
          expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
        }
      }),
    );
  });

  it('stays fast with many keys', () => {
    const lanes = new KeyLanes<Item>();
    for (let number = 0; number < 5_000; number++) {
      lanes.add(String(number), item(String(number), number));
    }
    const numbers: number[] = [];
    while (lanes.readyItems > 0) {
      for (const { key, number } of lanes.take(7, isAlone)) {
        numbers.push(number);
        lanes.finish(key);
      }
    }
    expect(numbers).toEqual(Array.from({ length: 5_000 }, (_, number) => number));
  });
});
