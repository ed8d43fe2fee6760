import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { LedgerPages } from './ledger-pages.js';
import { type LedgerStorePort } from './ledger-store.js';
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
