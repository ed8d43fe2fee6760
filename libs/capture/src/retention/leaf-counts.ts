import { type Position } from '@millrace/events';

/** The counters' name of the default partition: no leaf begins at 0. */
export const DEFAULT_LEAF = 0n;

/** One leaf of the outbox: positions `lo` to below `hi`. */
export interface LeafRange {
  readonly lo: bigint;
  /** First position after the leaf. */
  readonly hi: bigint;
}

/** A stretch of positions whose rows all lie in one leaf, or all in the default partition. */
interface Stretch {
  readonly leaf: bigint;
  /** First position after the stretch; `null`: it has no end. */
  readonly to: bigint | null;
}

const BEYOND: Stretch = { leaf: DEFAULT_LEAF, to: null };

/**
 * Which leaf a position lies in, by the list of leaves as it was read. Leaves are only ever made above all positions
 * that were given out, so an older list is right below its `end`; above it says nothing.
 */
export class LeafMap {
  /** First position above all leaves of the list. */
  readonly end: bigint;
  private readonly stretches: readonly Stretch[];

  /** `leaves` ascending and disjoint, read after the rows that are to be counted. */
  constructor(leaves: readonly LeafRange[]) {
    const stretches: Stretch[] = [];
    let end = 0n;
    for (const { lo, hi } of leaves) {
      if (lo > end) {
        stretches.push({ leaf: DEFAULT_LEAF, to: lo });
      }
      stretches.push({ leaf: lo, to: hi });
      end = hi;
    }
    this.stretches = stretches;
    this.end = end;
  }

  /**
   * How many of the positions lie in each leaf, those below `countedFrom` left out. `positions` are ascending; above
   * `end` they are in the default partition. A page that lies in one leaf costs two comparisons.
   */
  count(positions: readonly Position[], countedFrom: bigint, into: Map<bigint, bigint>): void {
    let at = firstNotBelow(positions, countedFrom, 0);
    for (let first = positions[at]; first !== undefined; first = positions[at]) {
      const stretch = this.stretchOf(first);
      const next = stretch.to === null ? positions.length : firstNotBelow(positions, stretch.to, at);
      into.set(stretch.leaf, (into.get(stretch.leaf) ?? 0n) + BigInt(next - at));
      at = next;
    }
  }

  private stretchOf(position: bigint): Stretch {
    let low = 0;
    let high = this.stretches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.stretches[middle]?.to ?? 0n) <= position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return this.stretches[low] ?? BEYOND;
  }
}

function firstNotBelow(positions: readonly Position[], bound: bigint, from: number): number {
  const last = positions[positions.length - 1];
  if (last === undefined || last < bound) {
    return positions.length;
  }
  let low = from;
  let high = positions.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((positions[middle] ?? bound) < bound) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** The part of a route's counters that stands on its ledger row: `rows` of one leaf, on top of what is stored apart. */
export interface LeafCount {
  /** `null`: nothing has been counted yet. */
  readonly leaf: bigint | null;
  readonly rows: bigint;
}

/** What a ledger write does to the counters. */
export interface LeafCountStep {
  /** The ledger row's part after the write. */
  readonly current: LeafCount;
  /** To be added to the counters that are stored apart; empty while a page lies in the leaf of the ledger row. */
  readonly added: ReadonlyMap<bigint, bigint>;
}

/**
 * Adds what a write has read to the counters. The leaf with most of its rows is the one on the ledger row from then on:
 * the rows that follow will be in it as well, and need no write of their own.
 */
export function addToCounts(stored: LeafCount, read: ReadonlyMap<bigint, bigint>): LeafCountStep {
  const added = new Map(read);
  let leaf = stored.leaf;
  if (leaf !== null) {
    added.set(leaf, (read.get(leaf) ?? 0n) + stored.rows);
  }
  for (const [other, rows] of read) {
    leaf = leaf === null || rows > (read.get(leaf) ?? 0n) ? other : leaf;
  }
  if (leaf === null) {
    return { current: stored, added };
  }
  const rows = added.get(leaf) ?? 0n;
  added.delete(leaf);
  return { current: { leaf, rows }, added };
}
