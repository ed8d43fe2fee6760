import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OffsetWindow, type WindowEntry } from './offset-window.js';

const limits = { recordsMax: 3, bytesMax: 100 };

describe('OffsetWindow', () => {
  it('moves its watermark over what is done, and stops at the first that is not', () => {
    const window = new OffsetWindow(limits);
    const chunk = window.begin(1);
    const [first, second, third] = [5n, 6n, 9n].map((offset) => window.add(chunk, offset, null));
    expect(window.nextOffset).toBeNull();
    expect(finish(window, second)).toEqual([]);
    expect(window.nextOffset).toBeNull();
    expect(finish(window, first)).toEqual([5n, 6n]);
    expect(window.nextOffset).toBe(7n);
    expect(finish(window, third)).toEqual([9n]);
    expect(window.nextOffset).toBe(10n);
    expect(window.size).toBe(0);
  });

  it('has room for records up to its limit, until the watermark moves', () => {
    const window = new OffsetWindow(limits);
    const chunk = window.begin(1);
    const [first, second] = [1n, 2n, 3n].map((offset) => {
      expect(window.hasRoomForRecord()).toBe(true);
      return window.add(chunk, offset, null);
    });
    expect(window.hasRoomForRecord()).toBe(false);
    finish(window, second);
    expect(window.hasRoomForRecord()).toBe(false);
    finish(window, first);
    expect(window.hasRoomForRecord()).toBe(true);
  });

  it('has room for a chunk of any size, and for the next once all records of another are done', () => {
    const window = new OffsetWindow(limits);
    const small = window.begin(10);
    window.add(small, 0n, null);
    window.end(small);
    expect(window.hasRoomForChunk()).toBe(true);
    const large = window.begin(1_000);
    expect(window.hasRoomForChunk()).toBe(false);
    const [first, last] = [window.add(large, 1n, null), window.add(large, 2n, null)];
    finish(window, first);
    window.end(large);
    expect(window.hasRoomForChunk()).toBe(false);
    expect(finish(window, last)).toEqual([]);
    expect(window.hasRoomForChunk()).toBe(true);
  });

  it('keeps no room for a chunk without records', () => {
    const window = new OffsetWindow(limits);
    window.end(window.begin(1_000));
    expect(window.hasRoomForChunk()).toBe(true);
  });

  it('never passes an unfinished record, and forgets no finished one, in any order of endings', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 60 }),
        fc.func(fc.nat()),
        (gaps, pick) => {
          const window = new OffsetWindow({ recordsMax: 1_000, bytesMax: 1_000 });
          const chunk = window.begin(1);
          let offset = 0n;
          const open = gaps.map((gap) => {
            offset += BigInt(gap);
            return window.add(chunk, offset, null);
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
    const chunk = window.begin(1);
    const open: WindowEntry[] = [];
    for (let offset = 0n; offset < 5_000n; offset++) {
      open.push(window.add(chunk, offset, null));
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
