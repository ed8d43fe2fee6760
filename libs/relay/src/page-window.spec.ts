import { describe, expect, it } from '@jest/globals';
import { type PageInFlight } from './page-in-flight.js';
import { PageWindow, type WindowLimits } from './page-window.js';
import { anEvent, aPage } from './testing/fake-source.js';

const RECORD_BYTES = 400;

function windowOf(more: Partial<WindowLimits> = {}): PageWindow {
  return new PageWindow({ pagesInFlightMax: 2, eventsInFlightMax: 1_000, bytesInFlightMax: 1_000_000, ...more });
}

/** A page with so many events, all of them in their lanes. */
function queued(window: PageWindow, number: number, events = 1): PageInFlight {
  const page = window.add(
    aPage(
      number,
      Array.from({ length: events }, (_, index) => anEvent(100 * number + index)),
    ),
  );
  page.dispatched(Array<number>(events).fill(RECORD_BYTES), 0);
  return page;
}

describe('the page window', () => {
  it('offers the last page of the confirmed prefix for settling', () => {
    const window = windowOf();
    const [first, second, third] = [queued(window, 1), queued(window, 2), queued(window, 3)];
    expect(window.settleable()).toBeNull();
    third.pending = 0;
    expect(window.settleable()).toBeNull();
    first.pending = 0;
    expect(window.settleable()).toBe(first);
    second.pending = 0;
    expect(window.settleable()).toBe(third);
    expect(window.settledThrough(second)).toBe(2);
    expect(window.firstPage).toBe(3);
    expect(window.settledThrough(third)).toBe(1);
    const { size, bytes, eventsHeld, firstPage } = window;
    expect({ size, bytes, eventsHeld, firstPage }).toEqual({ size: 0, bytes: 0, eventsHeld: 0, firstPage: null });
  });

  it('offers a page without events at once: its gaps have died', () => {
    const window = windowOf();
    const page = window.add(aPage(1, [], { isChanged: true }));
    expect(window.settleable()).toBe(page);
  });

  it('has no room at its limit of pages, of events, or of bytes', () => {
    const byPages = windowOf();
    queued(byPages, 1);
    expect(byPages.hasRoom(true)).toBe(true);
    queued(byPages, 2);
    expect([byPages.hasRoom(true), byPages.isFull]).toEqual([false, false]);
    const byEvents = windowOf({ eventsInFlightMax: 2 });
    queued(byEvents, 1, 2);
    expect([byEvents.hasRoom(true), byEvents.isFull]).toEqual([false, true]);
    const byBytes = windowOf({ bytesInFlightMax: RECORD_BYTES });
    queued(byBytes, 1);
    expect([byBytes.hasRoom(true), byBytes.isFull]).toEqual([false, true]);
  });

  it('is stuck when it is full and nothing moves but lanes that are behind', () => {
    const window = windowOf({ eventsInFlightMax: 2 });
    const first = queued(window, 1);
    first.delayed(1);
    expect(window.isStuck).toBe(false);
    const second = queued(window, 2);
    expect([window.isFull, window.isStuck]).toEqual([true, false]);
    second.confirmed(RECORD_BYTES);
    expect([window.isFull, window.isStuck]).toEqual([true, true]);
    first.delayed(-1);
    expect([window.isFull, window.isStuck]).toEqual([true, false]);
  });

  it('counts no pages that wait for lanes which are behind alone, nor what is confirmed after them', () => {
    const window = windowOf();
    const [first, second, third] = [queued(window, 1, 2), queued(window, 2, 2), queued(window, 3)];
    first.delayed(1);
    second.delayed(1);
    expect(window.hasRoom(true)).toBe(false);
    first.confirmed(RECORD_BYTES);
    second.confirmed(RECORD_BYTES);
    expect([window.hasRoom(true), window.hasRoom(false)]).toEqual([true, false]);
    third.confirmed(RECORD_BYTES);
    queued(window, 4);
    expect(window.hasRoom(true)).toBe(true);
    queued(window, 5);
    expect(window.hasRoom(true)).toBe(false);
    expect(window.settleable()).toBeNull();
    expect(window.size).toBe(5);
  });

  it('counts all pages again when no lane is behind any more', () => {
    const window = windowOf();
    const pages = [1, 2, 3].map((number) => queued(window, number));
    for (const page of pages) {
      page.delayed(1);
    }
    expect(window.hasRoom(true)).toBe(true);
    for (const page of pages) {
      page.delayed(-1);
    }
    expect(window.hasRoom(true)).toBe(false);
  });

  it('counts pages that are confirmed and not settled, however many lanes are behind', () => {
    const window = windowOf();
    const [first, second] = [queued(window, 1), queued(window, 2)];
    queued(window, 3).delayed(1);
    first.confirmed(RECORD_BYTES);
    second.confirmed(RECORD_BYTES);
    expect(window.hasRoom(true)).toBe(false);
    expect(window.settledThrough(first)).toBe(1);
    expect(window.hasRoom(true)).toBe(true);
  });

  it('frees what is confirmed at once, all but what the ledger needs of it', () => {
    const window = windowOf();
    const page = queued(window, 1, 100);
    const perEvent = (window.bytes - 512) / 100;
    expect(perEvent).toBe(RECORD_BYTES + 1_080);
    for (let event = 0; event < 100; event += 1) {
      page.confirmed(RECORD_BYTES);
    }
    expect(window.bytes).toBe(512 + 100 * 80);
    expect(window.eventsHeld).toBe(100);
  });

  it('counts what a page takes for itself, and never frees more than it counts', () => {
    const window = windowOf();
    const page = window.add(aPage(1, [anEvent(1), anEvent(2)], { retainedBytes: 5_000 }));
    page.dispatched([RECORD_BYTES], 1);
    expect(window.eventsHeld).toBe(1);
    page.confirmed(10 * RECORD_BYTES);
    expect(window.bytes).toBe(512 + 5_000 + 2 * 80);
    window.settledThrough(page);
    expect(window.bytes).toBe(0);
  });

  it('knows the oldest event and how many it holds', () => {
    const window = windowOf();
    expect(window.oldestEventMs).toBeNull();
    window.add(aPage(1, []));
    expect(window.oldestEventMs).toBeNull();
    window.add(aPage(2, [anEvent(1, { occurredAtMs: 300 }), anEvent(2, { occurredAtMs: 500 })]));
    window.add(aPage(3, [anEvent(3, { occurredAtMs: 400 })]));
    expect(window.oldestEventMs).toBe(300);
    expect(window.eventsHeld).toBe(3);
  });
});
