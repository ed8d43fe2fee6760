import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OffsetWindow, type WindowEntry } from './offset-window.js';

const limits = { recordsMax: 3, bytesMax: 100 };

describe('OffsetWindow', () => {
  it('moves its watermark over what is done, and stops at the first that is not', () => {
    const window = new OffsetWindow(limits);
    const [first, second, third] = [5n, 6n, 9n].map((offset) => window.add(offset, 1, null));
    expect(window.nextOffset).toBeNull();
    expect(finish(window, second)).toEqual([]);
    expect(window.nextOffset).toBeNull();
    expect(finish(window, first)).toEqual([5n, 6n]);
    expect(window.nextOffset).toBe(7n);
    expect(finish(window, third)).toEqual([9n]);
    expect(window.nextOffset).toBe(10n);
    expect(window.size).toBe(0);
  });

  it('is full by records or by bytes, and takes one record of any size', () => {
    const window = new OffsetWindow(limits);
    expect(window.isFull()).toBe(false);
    const large = window.add(0n, 1_000, null);
    expect(window.isFull()).toBe(true);
    finish(window, large);
    expect(window.isFull()).toBe(false);
    for (const offset of [1n, 2n, 3n]) {
      expect(window.isFull()).toBe(false);
      window.add(offset, 1, null);
    }
    expect(window.isFull()).toBe(true);
  });

  it('has room for more bytes when a record is done, wherever the watermark stands', () => {
    const window = new OffsetWindow(limits);
    window.add(0n, 10, null);
    const large = window.add(1n, 95, null);
    expect(window.isFull()).toBe(true);
    expect(finish(window, large)).toEqual([]);
    expect(window.isFull()).toBe(false);
  });

  it('never passes an unfinished record, and forgets no finished one, in any order of endings', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 60 }),
        fc.func(fc.nat()),
        (gaps, pick) => {
          const window = new OffsetWindow({ recordsMax: 1_000, bytesMax: 1_000 });
          let offset = 0n;
          const open = gaps.map((gap) => {
            offset += BigInt(gap);
            return window.add(offset, 1, null);
          });
          const all = [...open];
          const passed: bigint[] = [];
          while (open.length > 0) {
            const [entry] = open.splice(pick(open.length) % open.length, 1);
            passed.push(...finish(window, entry));
            const oldest = open.map((each) => each.offset).sort((x, y) => Number(x - y))[0];
            const below = all.filter((each) => oldest === undefined || each.offset < oldest);
            expect(passed).toEqual(below.map((each) => each.offset));
            expect(window.nextOffset).toBe(below.length === 0 ? null : (below.at(-1)?.offset ?? 0n) + 1n);
            expect(window.size).toBe(all.length - below.length);
          }
        },
      ),
    );
  });

  it('stays right over thousands of records', () => {
    const window = new OffsetWindow({ recordsMax: 10, bytesMax: 1_000 });
    const open: WindowEntry[] = [];
    for (let offset = 0n; offset < 5_000n; offset++) {
      open.push(window.add(offset, 1, null));
      if (open.length === 7) {
        for (const entry of open.splice(0).reverse()) {
          window.finish(entry);
        }
      }
    }
    expect(window.nextOffset).toBe(5_000n - BigInt(open.length));
    expect(window.size).toBe(open.length);
  });
});

function finish(window: OffsetWindow, entry: WindowEntry | undefined): readonly bigint[] {
  return entry === undefined ? [] : window.finish(entry).map(({ offset }) => offset);
}
