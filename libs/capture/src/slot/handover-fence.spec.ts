import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import fc from 'fast-check';
import { type GapBound, type LedgerState, takeReading } from '../ledger.js';
import {
  confirmableLsn,
  FENCE_DOWN,
  type FenceEvent,
  type FenceMarks,
  type FenceState,
  fenceStep,
} from './handover-fence.js';

const marks = (change: Partial<FenceMarks> = {}): FenceMarks => ({
  slotLsn: 100n,
  flushLsn: 200n,
  bound: 50n,
  lastPosition: 7n,
  ...change,
});
const putUp = (change: Partial<FenceMarks> = {}): FenceEvent => ({ kind: 'put-up', marks: marks(change) });
const read = (page: number, change: Partial<Extract<FenceEvent, { kind: 'page-read' }>> = {}): FenceEvent => ({
  kind: 'page-read',
  page,
  isChanged: true,
  endedBelow: 50n,
  coveredTo: 'all',
  ...change,
});
const settled = (page: number): FenceEvent => ({ kind: 'page-settled', page });
const after = (...events: FenceEvent[]): FenceState => events.reduce(fenceStep, FENCE_DOWN);

describe('the fence of a hand-over', () => {
  it('gives its LSN once a page past the bound is settled, and not before', () => {
    expect(confirmableLsn(after(putUp()))).toBeNull();
    expect(confirmableLsn(after(putUp(), read(1)))).toBeNull();
    expect(confirmableLsn(after(putUp(), read(1), settled(1)))).toBe(200n);
  });

  it('waits for the pages before that one, also when that one is empty', () => {
    const events = [putUp(), read(1, { endedBelow: 49n }), read(2, { isChanged: false })];
    expect(confirmableLsn(after(...events))).toBeNull();
    expect(confirmableLsn(after(...events, settled(1)))).toBe(200n);
  });

  it('falls at once by an empty page when all is settled', () => {
    expect(confirmableLsn(after(read(1), settled(1), putUp(), read(2, { isChanged: false })))).toBe(200n);
  });

  it('does not count a page that began while a transaction below the bound was open', () => {
    expect(confirmableLsn(after(putUp(), read(1, { endedBelow: 49n }), settled(1)))).toBeNull();
  });

  it('counts a page that is cut only when it reaches the last position there was', () => {
    expect(confirmableLsn(after(putUp(), read(1, { coveredTo: 6n }), settled(1)))).toBeNull();
    expect(confirmableLsn(after(putUp(), read(1, { coveredTo: 7n }), settled(1)))).toBe(200n);
  });

  it('is not put up below the LSN at which the slot begins', () => {
    expect(after(putUp({ slotLsn: 201n })).kind).toBe('down');
  });

  it('stands where it is when another is put up before it has fallen', () => {
    const events = [putUp(), putUp({ flushLsn: 300n, bound: 60n }), read(1), putUp({ flushLsn: 400n }), settled(1)];
    expect(confirmableLsn(after(...events))).toBe(200n);
  });

  it('never goes back', () => {
    const events = [putUp(), read(1), settled(1), putUp({ flushLsn: 150n }), read(2), settled(2)];
    expect(confirmableLsn(after(...events))).toBe(200n);
  });

  it('is void when the slot is lost, and what it gave too', () => {
    expect(after(putUp(), read(1), settled(1), { kind: 'slot-lost' })).toMatchObject({
      kind: 'down',
      confirmable: null,
    });
    expect(confirmableLsn(after(putUp(), read(1), { kind: 'slot-lost' }, settled(1)))).toBeNull();
  });
});

/** The ways in which a hand-over is easily got wrong, beside the right one. */
type Rule =
  | 'right'
  | 'confirms after an empty poll'
  | 'draws the bound before it reads the LSN'
  | 'takes a page that was cut for a whole one'
  | 'does not wait for the ledger'
  | 'puts the fence up before the slot is there';

type Step =
  | { readonly do: 'begin'; readonly rows: number }
  | { readonly do: 'write-commit' | 'show-commit' | 'roll-back'; readonly which: number }
  | { readonly do: 'flush' | 'make-slot' | 'fence' | 'settle' }
  | { readonly do: 'poll'; readonly rowsMax: number; readonly reach: number | null; readonly hasLockRule: boolean };

interface Writer {
  readonly xid: bigint;
  readonly positions: readonly bigint[];
  state: 'open' | 'written' | 'visible' | 'rolled-back';
  commitLsn: bigint;
}

interface ReadPage {
  readonly number: number;
  readonly positions: readonly bigint[];
  readonly bound: GapBound;
}

/** A database with writers whose commits are on the disk before they are visible, and a route that reads its table. */
class Model {
  private readonly writers: Writer[] = [];
  private nextXid = 10n;
  private lastPosition = 0n;
  private insertLsn = 10n;
  private flushLsn = 10n;
  private slotLsn: bigint | null = null;
  private ledger: LedgerState = { high: toPosition(0), gaps: [] };
  private pages = 0;
  private unsettled: ReadPage[] = [];
  private readonly published = new Set<bigint>();
  private fence: FenceState = FENCE_DOWN;
  private halfFence: { readonly flushLsn: bigint; readonly bound: bigint } | null = null;

  constructor(private readonly rule: Rule) {}

  take(step: Step): void {
    switch (step.do) {
      case 'begin':
        this.begin(step.rows);
        break;
      case 'write-commit':
      case 'show-commit':
      case 'roll-back':
        this.end(step.do, step.which);
        break;
      case 'flush':
      case 'make-slot':
        this.flush(step.do === 'make-slot');
        break;
      case 'fence':
        this.putUp();
        break;
      case 'poll':
        this.poll(step);
        break;
      case 'settle':
        this.settle();
        break;
    }
  }

  /** Committed rows that the stream will not deliver and the ledger does not have: none, ever. */
  lost(): bigint[] {
    const confirmed = confirmableLsn(this.fence);
    if (confirmed === null || this.slotLsn === null) {
      return [];
    }
    const begin = confirmed > this.slotLsn ? confirmed : this.slotLsn;
    return this.writers
      .filter((writer) => (writer.state === 'written' || writer.state === 'visible') && writer.commitLsn <= begin)
      .flatMap((writer) => writer.positions.filter((position) => !this.published.has(position)));
  }

  get hasConfirmed(): boolean {
    return confirmableLsn(this.fence) !== null;
  }

  private flush(isSlotMade: boolean): void {
    this.flushLsn = this.insertLsn;
    this.slotLsn ??= isSlotMade ? this.insertLsn : null;
  }

  private begin(rows: number): void {
    const xid = this.nextXid++;
    const positions = Array.from({ length: rows }, () => ++this.lastPosition);
    this.writers.push({ xid, positions, state: 'open', commitLsn: 0n });
  }

  private end(how: 'write-commit' | 'show-commit' | 'roll-back', which: number): void {
    const from = how === 'show-commit' ? 'written' : 'open';
    const candidates = this.writers.filter((writer) => writer.state === from);
    const writer = candidates[which % candidates.length];
    if (writer === undefined) {
      return;
    }
    if (how === 'write-commit') {
      writer.commitLsn = ++this.insertLsn;
    }
    writer.state = how === 'write-commit' ? 'written' : how === 'show-commit' ? 'visible' : 'rolled-back';
  }

  private poll({ rowsMax, reach, hasLockRule }: Extract<Step, { do: 'poll' }>): void {
    const unended = this.writers.filter(
      ({ state, positions }) => (state === 'open' || state === 'written') && (!hasLockRule || positions.length > 0),
    );
    const endedBelow = unended.reduce((lowest, { xid }) => (xid < lowest ? xid : lowest), this.nextXid);
    const { gaps, high } = this.ledger;
    const ceiling = reach === null ? null : high + BigInt(reach);
    const wanted = (position: bigint): boolean =>
      gaps.some((gap) => position >= gap.lo && position <= gap.hi) ||
      (position > high && (ceiling === null || position <= ceiling));
    const visible = this.writers.filter(({ state }) => state === 'visible').flatMap(({ positions }) => positions);
    const rows = visible.filter(wanted).sort((a, b) => (a < b ? -1 : 1));
    const positions = rows.slice(0, rowsMax);
    const isFull = positions.length >= rowsMax;
    const bound: GapBound = { xid: null, knownAtMs: 0 };
    const step = takeReading(this.ledger, { positions: positions.map(toPosition), isFull, endedBelow, bound });
    this.ledger = step.state;
    const number = ++this.pages;
    const coveredTo = isFull ? (positions[positions.length - 1] ?? 0n) : (ceiling ?? 'all');
    if (step.isChanged) {
      this.unsettled.push({ number, positions, bound });
    }
    this.fenceEvent({
      kind: 'page-read',
      page: number,
      isChanged: step.isChanged,
      ...this.judged({ endedBelow, coveredTo }),
    });
    if (this.rule === 'does not wait for the ledger') {
      this.fenceEvent({ kind: 'page-settled', page: number });
    }
  }

  private judged(page: { readonly endedBelow: bigint; readonly coveredTo: bigint | 'all' }): typeof page {
    if (this.rule === 'confirms after an empty poll') {
      return { ...page, endedBelow: this.nextXid };
    }
    return this.rule === 'takes a page that was cut for a whole one' ? { ...page, coveredTo: 'all' } : page;
  }

  private settle(): void {
    const page = this.unsettled.shift();
    if (page !== undefined) {
      page.positions.forEach((position) => {
        this.published.add(position);
      });
      page.bound.xid = this.nextXid++;
      this.fenceEvent({ kind: 'page-settled', page: page.number });
    }
  }

  /** Two statements: the first call runs one, the next call the other. */
  private putUp(): void {
    const isAfterSlot = this.slotLsn !== null || this.rule === 'puts the fence up before the slot is there';
    if (this.halfFence === null) {
      this.halfFence = isAfterSlot ? { flushLsn: this.flushLsn, bound: this.nextXid++ } : null;
      return;
    }
    const isBoundFirst = this.rule === 'draws the bound before it reads the LSN';
    this.fenceEvent({
      kind: 'put-up',
      marks: {
        slotLsn: this.rule === 'puts the fence up before the slot is there' ? 0n : (this.slotLsn ?? 0n),
        flushLsn: isBoundFirst ? this.flushLsn : this.halfFence.flushLsn,
        bound: isBoundFirst ? this.halfFence.bound : this.nextXid++,
        lastPosition: this.lastPosition,
      },
    });
    this.halfFence = null;
  }

  private fenceEvent(event: FenceEvent): void {
    this.fence = fenceStep(this.fence, event);
  }
}

const index = fc.nat({ max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('begin' as const), rows: fc.nat({ max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('write-commit' as const), which: index }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('show-commit' as const), which: index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('roll-back' as const), which: index }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'flush' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'make-slot' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'fence' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'settle' }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('poll' as const),
      rowsMax: fc.constantFrom(1, 2, 100),
      reach: fc.constantFrom(null, null, 0, 2),
      hasLockRule: fc.boolean(),
    }),
  },
);

function losesNothing(rule: Rule): fc.IProperty<[Step[]]> {
  return fc.property(fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }), (steps) => {
    const model = new Model(rule);
    return steps.every((one) => {
      model.take(one);
      return model.lost().length === 0;
    });
  });
}

describe('whatever the order of commits, polls, ledger writes and fences, a confirmed LSN', () => {
  it('has every row below it in the ledger', () => {
    fc.assert(losesNothing('right'), { numRuns: 3_000 });
  });

  it.each([
    'confirms after an empty poll',
    'draws the bound before it reads the LSN',
    'takes a page that was cut for a whole one',
    'does not wait for the ledger',
    'puts the fence up before the slot is there',
  ] as const)('loses rows by a rule that %s', (rule) => {
    expect(fc.check(losesNothing(rule), { numRuns: 20_000, endOnFailure: true }).failed).toBe(true);
  });

  it('is given often enough for the test to mean something', () => {
    const given = fc.sample(fc.array(step, { minLength: 40, maxLength: 60, size: 'max' }), 200).filter((steps) => {
      const model = new Model('right');
      steps.forEach((one) => {
        model.take(one);
      });
      return model.hasConfirmed;
    });
    expect(given.length).toBeGreaterThan(20);
  });
});
