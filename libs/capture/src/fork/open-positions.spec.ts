import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { type GapRange, type LedgerState } from '../ledger.js';
import { isOpen } from './open-positions.js';

const gap = (lo: number, hi: number): GapRange => ({
  lo: toPosition(lo),
  hi: toPosition(hi),
  bound: { xid: null, knownAtMs: 0 },
});

const STATE: LedgerState = { high: toPosition(20), gaps: [gap(3, 3), gap(7, 9), gap(15, 18)] };

describe('a position', () => {
  it('is open in a gap and above high, and nowhere else', () => {
    const open = Array.from({ length: 22 }, (_, at) => at + 1).filter((at) => isOpen(STATE, toPosition(at)));
    expect(open).toEqual([3, 7, 8, 9, 15, 16, 17, 18, 21, 22]);
  });

  it('is settled up to high where there is no gap', () => {
    expect(isOpen({ high: toPosition(5), gaps: [] }, toPosition(5))).toBe(false);
  });
});
