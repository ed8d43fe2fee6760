import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { LedgerPages } from './ledger-pages.js';
import { type LedgerStorePort } from './ledger-store.js';
import { type PolledRow } from './outbox-reader.js';
import { printedRow } from './polled-row.js';

/** The ledger of a claim at a clock that the test turns, and what its writes say of how long pages have been unsettled. */
function pagesAt(clock: { nowMs: number }): { readonly pages: LedgerPages; readonly told: number[] } {
  const told: number[] = [];
  const store: LedgerStorePort = {
    claim: () => Promise.reject(new Error('It is claimed already.')),
    save: (_next, _taken, unsettledMs) => {
      told.push(unsettledMs);
      return Promise.resolve({ isPaused: false, mode: null, xid: 1n });
    },
    release: () => Promise.resolve(),
  };
  const state = { high: toPosition(0), gaps: [] };
  return { told, pages: new LedgerPages(store, { nowMs: () => clock.nowMs, sleep: () => Promise.resolve() }, state) };
}

describe('the ledger of a claim', () => {
  it('tells with each write for how long the oldest page that it leaves unsettled has been on its way', async () => {
    const clock = { nowMs: 0 };
    const { pages, told } = pagesAt(clock);
    const page = (position: number): ReturnType<typeof pages.take> =>
      pages.take({ rows: [{ position: toPosition(position), event: null, bytes: 0 }], isFull: false, endedBelow: 0n });

    await pages.renew();
    const first = page(1);
    clock.nowMs = 1_000;
    const second = page(2);
    clock.nowMs = 1_500;
    await pages.renew();
    await pages.settle(first);
    await pages.settle(second);
    await pages.renew();

    expect(told).toEqual([0, 1_500, 500, 0, 0]);
  });

  it('lets gaps of a page that waits to be settled die once the lease was renewed after it was read', async () => {
    const clock = { nowMs: 0 };
    const { pages } = pagesAt(clock);
    const row = (position: number): PolledRow => ({ position: toPosition(position), event: null, bytes: 0 });
    pages.take({ rows: [row(3)], isFull: false, endedBelow: 0n });
    expect(pages.take({ rows: [], isFull: false, endedBelow: 9n }).isChanged).toBe(false);

    clock.nowMs = 5_000;
    const renewal = pages.renew();
    pages.take({ rows: [row(6)], isFull: false, endedBelow: 0n });
    await renewal;

    expect(pages.state.gaps.map(({ lo, hi, bound }) => [lo, hi, bound.xid, bound.knownAtMs])).toEqual([
      [1n, 2n, 1n, 5_000],
      [4n, 5n, null, Number.POSITIVE_INFINITY],
    ]);
    expect(pages.take({ rows: [], isFull: false, endedBelow: 9n }).isChanged).toBe(true);
    expect(pages.state.gaps).toMatchObject([{ lo: 4n, hi: 5n }]);
    expect(pages.settled.gaps).toEqual([]);
  });

  it('says what a page takes until it is settled: its positions, and the gaps of its ledger', () => {
    const { pages } = pagesAt({ nowMs: 0 });
    const rows = [2, 4, 5].map((position) => ({ position: toPosition(position), event: null, bytes: 0 }));
    expect(pages.take({ rows, isFull: false, endedBelow: 0n }).retainedBytes).toBe(3 * 40 + 2 * 8);
  });

  it('settles a page that has forgotten its events', async () => {
    const { pages } = pagesAt({ nowMs: 0 });
    const texts = ['1', 'an id', 'order', 'key', 'order.placed', null, '1', '{}', null, '2026-11-21 11:20:00+00'];
    const page = pages.take({ rows: [printedRow(texts, 2, null)], isFull: false, endedBelow: 0n });
    expect(page.events).toHaveLength(1);

    page.forgetEvents();
    await pages.settle(page);

    expect(page).toMatchObject({ events: [], rowCount: 1, bytes: 2 });
    expect(pages.settled.high).toBe(1n);
  });
});
