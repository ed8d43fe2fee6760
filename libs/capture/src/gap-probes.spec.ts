import { describe, expect, it } from '@jest/globals';
import { toEpoch, toPosition } from '@millrace/events';
import { GapProbes } from './gap-probes.js';
import { type GapRange } from './ledger.js';
import { LedgerPages } from './ledger-pages.js';
import { type GapProbe } from './table-reader.js';

const gap = (lo: number, hi: number): GapRange => ({
  lo: toPosition(lo),
  hi: toPosition(hi),
  bound: { xid: 10n, knownAtMs: 0 },
});

interface World {
  readonly probes: GapProbes;
  readonly pages: LedgerPages;
  readonly clock: { now: number };
  readonly stream: { takenLsn: bigint; asked: number; askForProgress(): void };
  probed: number;
}

/** A route with a gap from 3 to 5, and a table that says `found` of it. */
function world(found: GapProbe): World {
  const clock = { now: 0 };
  const time = { nowMs: () => clock.now, sleep: () => Promise.resolve() };
  const store = {
    claim: () => Promise.resolve({ kind: 'held' as const, owner: String(toEpoch(1)), expiresInMs: 0 }),
    save: () => Promise.resolve({ isPaused: false, mode: null, xid: 20n }),
    release: () => Promise.resolve(),
  };
  const pages = new LedgerPages(store, time, { high: toPosition(9), gaps: [gap(3, 5)] });
  const stream = {
    takenLsn: 0n,
    asked: 0,
    askForProgress(): void {
      this.asked += 1;
    },
  };
  const table = {
    probe: () => {
      made.probed += 1;
      return Promise.resolve(found);
    },
  };
  const made: World = { clock, pages, stream, probes: new GapProbes(time, pages, table), probed: 0 };
  return made;
}

const DEAD: GapProbe = { dead: [gap(3, 5)], insertLsn: 100n };

describe('a probe of the gaps beside a stream', () => {
  it('kills only once the stream has passed the WAL that was written before it', async () => {
    const { probes, pages, stream } = world(DEAD);
    await probes.next(stream);
    stream.takenLsn = 99n;
    expect(await probes.next(stream)).toBeNull();
    expect(pages.state.gaps).toHaveLength(1);
    expect(stream.asked).toBe(1);

    stream.takenLsn = 100n;
    const page = await probes.next(stream);
    expect(page).toMatchObject({ isChanged: true, rowCount: 0, events: [] });
    expect(pages.state.gaps).toEqual([]);
    expect(pages.gapsDied).toBe(3);
  });

  it('leaves alone what the stream has brought meanwhile', async () => {
    const { probes, pages, stream } = world(DEAD);
    await probes.next(stream);
    pages.take({ rows: [{ position: toPosition(4), event: null, bytes: 0 }], isFull: false, endedBelow: 0n });
    stream.takenLsn = 100n;
    await probes.next(stream);
    expect(pages.gapsDied).toBe(2);
    expect(pages.state).toEqual({ high: 9n, gaps: [] });
  });

  it('is forgotten with its stream', async () => {
    const { probes, pages, stream } = world(DEAD);
    await probes.next(stream);
    probes.reset();
    stream.takenLsn = 100n;
    expect(await probes.next(stream)).toBeNull();
    expect(pages.gapsDied).toBe(0);
  });

  it('does not keep its reader awake for gaps whose page is not in the database yet', async () => {
    const { probes, pages, clock } = world(DEAD);
    clock.now = 60_000;
    expect(probes.waitMs(1_000)).toBe(1);
    for (const { bound } of pages.state.gaps) {
      bound.xid = null;
    }
    expect(await probes.next({ takenLsn: 0n, askForProgress: () => undefined })).toBeNull();
    expect(probes.waitMs(1_000)).toBe(250);
  });

  it('comes less and less often while it finds nothing', async () => {
    const made = world({ dead: [], insertLsn: 100n });
    for (; made.clock.now < 10_000; made.clock.now += 50) {
      await made.probes.next(made.stream);
    }
    expect(made.probed).toBe(7); // 0, 0.5, 1.5, 3.5, 5.5, 7.5, 9.5 s
    expect(made.stream.asked).toBe(0);
  });
});
