import { type Position, toPosition } from '@millrace/events';
import { type GapBound, type LedgerState } from './ledger.js';

/**
 * The state whose `high` is the fence: what lies between is not read yet, which is what a gap is. `bound` must come from a
 * transaction that began after the fence was set: all positions up to it had been drawn by then.
 */
export function reachFence(state: LedgerState, fence: Position, bound: GapBound): LedgerState {
  if (state.high >= fence) {
    return state;
  }
  return { high: fence, gaps: [...state.gaps, { lo: toPosition(state.high + 1n), hi: fence, bound }] };
}
