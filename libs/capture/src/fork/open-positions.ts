import { type Position } from '@millrace/events';
import { type LedgerState } from '../ledger.js';

/** Whether the ledger has not settled the position: it lies above `high`, or in a gap. */
export function isOpen({ high, gaps }: LedgerState, position: Position): boolean {
  if (position > high) {
    return true;
  }
  let below = 0;
  let above = gaps.length;
  while (below < above) {
    const middle = (below + above) >>> 1;
    if ((gaps[middle]?.hi ?? 0n) < position) {
      below = middle + 1;
    } else {
      above = middle;
    }
  }
  const gap = gaps[below];
  return gap !== undefined && gap.lo <= position;
}
