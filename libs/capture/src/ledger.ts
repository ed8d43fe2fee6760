import { type Position, toPosition } from '@millrace/events';

/**
 * The xid below which every writer of a gap began: `null` until the first ledger write after the read that found the
 * gap has returned it. Shared by all gaps that one page found, so that one answer settles it for all of them.
 */
export interface GapBound {
  xid: bigint | null;
  /** Monotonic milliseconds at which `xid` became known. */
  knownAtMs: number;
}

/** Positions `lo` to `hi`, both included, that were not visible when the reader passed them. */
export interface GapRange {
  readonly lo: Position;
  readonly hi: Position;
  readonly bound: GapBound;
}

/** The set of settled positions of a route: all up to `high` but for the gaps. Gaps are disjoint and ascending. */
export interface LedgerState {
  readonly high: Position;
  readonly gaps: readonly GapRange[];
}

/** What one poll statement saw, in one snapshot. */
export interface LedgerReading {
  /** Positions of all rows returned, ascending, unfiltered. */
  readonly positions: readonly Position[];
  /** The statement was cut by its limit: it says nothing of positions above the last one returned. */
  readonly isFull: boolean;
  /** Every writer with an xid below this had ended before the statement's snapshot was taken. */
  readonly endedBelow: bigint;
  /** The bound that the gaps found by this reading will share. */
  readonly bound: GapBound;
}

/** The ledger after a reading. */
export interface LedgerStep {
  readonly state: LedgerState;
  /** The positions of the reading that the ledger had not settled before: rows to be counted once. */
  readonly taken: readonly Position[];
  /** Positions that were declared never to come. */
  readonly diedCount: bigint;
  readonly isChanged: boolean;
}

/** All positions at or below `low` are settled. */
export function lowOf(state: LedgerState): Position {
  const first = state.gaps[0];
  return first === undefined ? state.high : toPosition(first.lo - 1n);
}

/** The position is settled: it lies at or below `high`, and in no gap. */
export function isSettledIn({ high, gaps }: LedgerState, position: Position): boolean {
  let [from, to] = [0, gaps.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const gap = gaps[middle];
    if (gap !== undefined && gap.hi < position) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  const gap = gaps[from];
  return position <= high && (gap === undefined || position < gap.lo);
}

/**
 * Takes a reading into the ledger.
 *
 * Rules: a full page settles nothing above its last position (a row there may be visible and merely cut off). A gap
 * dies only by a statement that did not see its row and whose snapshot is later than the end of all its possible
 * writers. Rows in gaps split them; positions skipped above `high` become gaps of this reading.
 */
export function takeReading(state: LedgerState, reading: LedgerReading): LedgerStep {
  const { positions } = reading;
  const last = positions[positions.length - 1];
  const ceiling = reading.isFull ? last : undefined;
  const gaps: GapRange[] = [];
  const taken: Position[] = [];
  let died = 0n;
  let next = 0;
  for (const gap of state.gaps) {
    const inside: Position[] = [];
    for (let at = positions[next]; at !== undefined && at <= gap.hi; at = positions[++next]) {
      if (at >= gap.lo) {
        inside.push(at);
        taken.push(at);
      }
    }
    died += splitGap({ gap, inside, ceiling, isDead: isDead(gap, reading) }, gaps);
  }
  let high = state.high;
  for (let at = positions[next]; at !== undefined; at = positions[++next]) {
    if (at > high + 1n) {
      gaps.push({ lo: toPosition(high + 1n), hi: toPosition(at - 1n), bound: reading.bound });
    }
    if (at > high) {
      high = at;
      taken.push(at);
    }
  }
  return { state: { high, gaps }, taken, diedCount: died, isChanged: positions.length > 0 || died > 0n };
}

/** What a look at the gaps alone saw, in one snapshot: `positions` are those of the rows that are visible in them. */
export type GapReading = Omit<LedgerReading, 'bound'>;

/** Positions `lo` to `hi`, both included. */
export type PositionRange = Pick<GapRange, 'lo' | 'hi'>;

/**
 * The positions in `gaps` that are never to come, by the rules of `takeReading`, when `gaps` were looked at. They are not
 * settled yet; `buryPositions` does it.
 */
export function deadPositions(gaps: readonly GapRange[], reading: GapReading): PositionRange[] {
  const { state } = takeReading(
    { high: gaps[gaps.length - 1]?.hi ?? toPosition(0n), gaps },
    { ...reading, bound: { xid: null, knownAtMs: Number.POSITIVE_INFINITY } },
  );
  const left = [...state.gaps, ...reading.positions.map((at) => ({ lo: at, hi: at }))];
  return subtract(gaps, left.sort(byPosition));
}

/** Settles `dead` where it is still a gap; rows that came meanwhile stay what they are. */
export function buryPositions(state: LedgerState, dead: readonly PositionRange[]): LedgerStep {
  const gaps = subtract(state.gaps, dead);
  const diedCount = sizeOf(state.gaps) - sizeOf(gaps);
  return { state: { high: state.high, gaps }, taken: [], diedCount, isChanged: diedCount > 0n };
}

/** What is left of `ranges` without `others`; both ascending, each disjoint. A range that is whole stays the same object. */
function subtract<Range extends PositionRange>(ranges: readonly Range[], others: readonly PositionRange[]): Range[] {
  const left: Range[] = [];
  let next = 0;
  for (const range of ranges) {
    let lo: bigint = range.lo;
    let other = others[next];
    while (other !== undefined && other.hi < lo) {
      other = others[++next];
    }
    for (let at = next; other !== undefined && other.lo <= range.hi; other = others[++at]) {
      if (other.lo > lo) {
        left.push({ ...range, lo: toPosition(lo), hi: toPosition(other.lo - 1n) });
      }
      lo = other.hi + 1n;
    }
    if (lo <= range.hi) {
      left.push(lo === range.lo ? range : { ...range, lo: toPosition(lo) });
    }
  }
  return left;
}

function byPosition(a: PositionRange, b: PositionRange): number {
  return a.lo < b.lo ? -1 : 1;
}

function sizeOf(ranges: readonly PositionRange[]): bigint {
  return ranges.reduce((sum, { lo, hi }) => sum + hi - lo + 1n, 0n);
}

function isDead(gap: GapRange, reading: LedgerReading): boolean {
  return gap.bound.xid !== null && gap.bound.xid <= reading.endedBelow;
}

interface GapSplit {
  readonly gap: GapRange;
  /** Positions of the reading that lie in the gap, ascending. */
  readonly inside: readonly Position[];
  /** Above this the reading says nothing; `undefined`: it covers all. */
  readonly ceiling: Position | undefined;
  readonly isDead: boolean;
}

/** Appends what is left of a gap to `out`; returns how many positions died. */
function splitGap({ gap, inside, ceiling, isDead: dead }: GapSplit, out: GapRange[]): bigint {
  let died = 0n;
  let lo: bigint = gap.lo;
  const keep = (from: bigint, to: bigint): void => {
    if (from <= to) {
      out.push(from === gap.lo && to === gap.hi ? gap : { lo: toPosition(from), hi: toPosition(to), bound: gap.bound });
    }
  };
  const passOver = (from: bigint, to: bigint): void => {
    const covered = ceiling === undefined || to <= ceiling ? to : ceiling > from - 1n ? ceiling : from - 1n;
    if (dead && covered >= from) {
      died += covered - from + 1n;
      keep(covered + 1n, to);
    } else {
      keep(from, to);
    }
  };
  for (const at of inside) {
    passOver(lo, at - 1n);
    lo = at + 1n;
  }
  passOver(lo, gap.hi);
  return died;
}

/** What a ledger write has to change in the stored gaps to get from one state to a later one. */
export interface GapDelta {
  /** `lo` of the stored ranges that are no more. */
  readonly removed: readonly Position[];
  /** Ranges to insert, or to overwrite where the same `lo` is stored. */
  readonly written: readonly GapRange[];
}

/** Compares the gaps of two states of one route by their `lo`. */
export function gapDelta(stored: LedgerState, next: LedgerState): GapDelta {
  const removed: Position[] = [];
  const written: GapRange[] = [];
  let at = 0;
  for (const gap of next.gaps) {
    let old = stored.gaps[at];
    while (old !== undefined && old.lo < gap.lo) {
      removed.push(old.lo);
      old = stored.gaps[++at];
    }
    if (old?.lo === gap.lo) {
      at += 1;
    }
    if (old?.lo !== gap.lo || old.hi !== gap.hi) {
      written.push(gap);
    }
  }
  for (let old = stored.gaps[at]; old !== undefined; old = stored.gaps[++at]) {
    removed.push(old.lo);
  }
  return { removed, written };
}
