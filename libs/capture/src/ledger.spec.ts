import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import fc from 'fast-check';
import {
  buryPositions,
  deadPositions,
  type GapBound,
  type GapRange,
  gapDelta,
  type LedgerState,
  lowOf,
  type PositionRange,
  takeReading,
} from './ledger.js';

const known = (xid: bigint): GapBound => ({ xid, knownAtMs: 0 });
const pending = (): GapBound => ({ xid: null, knownAtMs: Number.POSITIVE_INFINITY });
const gap = (lo: number, hi: number, bound: GapBound = known(10n)): GapRange => ({
  lo: toPosition(lo),
  hi: toPosition(hi),
  bound,
});
const state = (high: number, ...gaps: GapRange[]): LedgerState => ({ high: toPosition(high), gaps });
const read = (positions: number[], isFull = false, endedBelow = 0n, bound = pending()) => ({
  positions: positions.map(toPosition),
  isFull,
  endedBelow,
  bound,
});
const ranges = (ledger: LedgerState): string =>
  ledger.gaps.map(({ lo, hi }) => `${String(lo)}-${String(hi)}`).join(' ');

const told = (positions: readonly PositionRange[]): string =>
  positions.map(({ lo, hi }) => `${String(lo)}-${String(hi)}`).join(' ');

describe('gaps that a probe finds dead', () => {
  it('are those whose writers have ended, without the rows that are visible', () => {
    const gaps = [gap(1, 9, known(10n)), gap(12, 14, known(11n)), gap(20, 20, known(12n))];
    expect(told(deadPositions(gaps, read([3, 4, 9, 13], false, 11n)))).toBe('1-2 5-8 12-12 14-14');
  });

  it('lie below the last row when the probe was cut', () => {
    const gaps = [gap(1, 9, known(10n)), gap(12, 14, known(10n))];
    expect(told(deadPositions(gaps, read([3, 6], true, 99n)))).toBe('1-2 4-5');
  });

  it('are settled later, but for the rows that came meanwhile, and nothing else is', () => {
    const dead = deadPositions([gap(1, 9), gap(12, 14), gap(30, 30)], read([], false, 10n));
    const later = state(40, gap(2, 4), gap(7, 12), gap(14, 20, pending()), gap(31, 32, pending()));
    const step = buryPositions(later, dead);
    expect(ranges(step.state)).toBe('10-11 15-20 31-32');
    expect(step).toMatchObject({ taken: [], diedCount: 8n, isChanged: true });
    expect(step.state.high).toBe(40n);
    expect(buryPositions(step.state, dead)).toMatchObject({ diedCount: 0n, isChanged: false });
  });

  it('die as a poll would have it, whatever comes between', () => {
    const positions = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 20 });
    fc.assert(
      fc.property(positions, positions, positions, (gapPositions, visible, came) => {
        const gaps = [...gapPositions].sort((a, b) => a - b).map((at) => gap(at, at, known(BigInt((at % 3) + 1))));
        const inGaps = [...visible].filter((at) => gapPositions.includes(at)).sort((a, b) => a - b);
        const dead = deadPositions(gaps, read(inGaps, false, 2n));
        const meanwhile = takeReading(state(40, ...gaps), read([...came].sort((a, b) => a - b))).state;
        const left = buryPositions(meanwhile, dead).state.gaps.map(({ lo }) => Number(lo));
        const expected = gaps
          .map(({ lo }) => Number(lo))
          .filter((at) => !came.includes(at) && (at % 3 === 2 || visible.includes(at)));
        expect(left).toEqual(expected);
      }),
    );
  });
});

describe('the ledger', () => {
  it('turns positions that were passed over into gaps of the reading', () => {
    const bound = pending();
    const { state: next } = takeReading(state(0), read([2, 3, 7], false, 0n, bound));
    expect(ranges(next)).toBe('1-1 4-6');
    expect(next.gaps.every((range) => range.bound === bound)).toBe(true);
    expect([lowOf(next), next.high]).toEqual([0n, 7n]);
  });

  it('splits a gap around the rows that turned up in it', () => {
    const { state: next } = takeReading(state(20, gap(5, 15)), read([7, 8, 15]));
    expect(ranges(next)).toBe('5-6 9-14');
  });

  it('lets a gap die only when its bound is known and all its writers have ended', () => {
    const ledger = state(20, gap(1, 2, known(10n)), gap(4, 4, known(11n)), gap(6, 6, pending()));
    const step = takeReading(ledger, read([], false, 10n));
    expect(ranges(step.state)).toBe('4-4 6-6');
    expect(step.diedCount).toBe(2n);
    expect(lowOf(step.state)).toBe(3n);
  });

  it('settles nothing above the last position of a full page', () => {
    const ledger = state(20, gap(3, 5), gap(8, 12), gap(15, 15));
    const step = takeReading(ledger, read([4, 9], true, 99n));
    expect(ranges(step.state)).toBe('10-12 15-15');
    expect(step.diedCount).toBe(3n);
    expect(step.state.high).toBe(20n);
  });

  it('takes a row once: not again when its position is settled', () => {
    const step = takeReading(state(20, gap(5, 8)), read([4, 6, 20, 23]));
    expect(step.taken).toEqual([6n, 23n]);
    expect(takeReading(step.state, read([6, 23])).taken).toEqual([]);
  });

  it('leaves the state as it is when nothing was read and nothing died', () => {
    const step = takeReading(state(20, gap(3, 5)), read([]));
    expect(step.isChanged).toBe(false);
    expect(ranges(step.state)).toBe('3-5');
  });

  it('hands out every committed row exactly once, whatever the order of commits and the size of pages', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 7 }), (seed, limit) => {
        expect(new Model(seed, limit).run()).toBe('');
      }),
      { numRuns: 400 },
    );
  });

  it('writes deltas that turn the stored gaps into the next ones', () => {
    const rangesOf = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 12 }).map((points) => {
      const sorted = [...points].sort((a, b) => a - b);
      return sorted.flatMap((lo, index) => (index % 2 === 0 ? [gap(lo, (sorted[index + 1] ?? lo + 1) - 1)] : []));
    });
    fc.assert(
      fc.property(rangesOf, rangesOf, (before, after) => {
        const delta = gapDelta(state(99, ...before), state(99, ...after));
        const stored = new Map(before.map((range) => [range.lo, range]));
        delta.removed.forEach((lo) => stored.delete(lo));
        delta.written.forEach((range) => stored.set(range.lo, range));
        const result = [...stored.values()].sort((a, b) => Number(a.lo - b.lo));
        expect(ranges(state(99, ...result))).toBe(ranges(state(99, ...after)));
        expect(delta.removed.some((lo) => delta.written.some((range) => range.lo === lo))).toBe(false);
      }),
    );
  });
});

interface Writer {
  readonly xid: bigint;
  readonly positions: number[];
}

/** A database of transactions that draw positions, commit or roll back at random, and a reader with the ledger's rules. */
class Model {
  private ledger = state(0);
  private nextXid = 1n;
  private nextPosition = 1;
  private open: Writer[] = [];
  private isQuiet = false;
  private readonly committed = new Set<number>();
  private readonly seen: number[] = [];

  constructor(
    private seed: number,
    private readonly limit: number,
  ) {}

  /** Returns what went wrong, or nothing. */
  run(): string {
    for (let step = 0; step < 120; step += 1) {
      this.act(this.random(10));
    }
    while (this.open.length > 0) {
      this.end(true);
    }
    this.isQuiet = true;
    for (let polls = 0; polls < 400; polls += 1) {
      this.poll();
    }
    const isEach =
      this.seen.length === this.committed.size && this.seen.every((position) => this.committed.has(position));
    const isDrained = this.ledger.gaps.length === 0;
    return isEach && isDrained
      ? ''
      : `seen ${this.seen.length} of ${this.committed.size}, gaps left ${ranges(this.ledger)}`;
  }

  private act(dice: number): void {
    if (dice < 3) {
      this.open.push({ xid: this.nextXid++, positions: [] });
    } else if (dice < 6) {
      this.open[this.random(this.open.length)]?.positions.push(this.nextPosition++);
    } else if (dice < 8) {
      this.end(this.random(4) > 0);
    } else {
      this.poll();
    }
  }

  private end(isCommit: boolean): void {
    const [writer] = this.open.splice(this.random(this.open.length), 1);
    if (isCommit) {
      writer?.positions.forEach((position) => this.committed.add(position));
    }
  }

  private poll(): void {
    const visible = [...this.committed]
      .filter((position) => this.isAsked(position))
      .sort((a, b) => a - b)
      .slice(0, this.limit);
    const xmin = this.open.reduce((lowest, { xid }) => (xid < lowest ? xid : lowest), this.nextXid);
    const bound = pending();
    this.ledger = takeReading(this.ledger, read(visible, visible.length === this.limit, xmin, bound)).state;
    this.seen.push(...visible);
    // between the read and the write that bounds its gaps, others go on
    if (!this.isQuiet && this.random(2) === 0) {
      this.act(this.random(8));
    }
    bound.xid = this.nextXid++;
  }

  private isAsked(position: number): boolean {
    return position > this.ledger.high || this.ledger.gaps.some(({ lo, hi }) => position >= lo && position <= hi);
  }

  private random(below: number): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) | 0;
    return below <= 0 ? 0 : (this.seed >>> 8) % below;
  }
}
