import { describe, expect, it } from '@jest/globals';
import { PageWindow } from './page-window.js';
import { anEvent, aPage } from './testing/fake-source.js';

describe('the page window', () => {
  it('offers the last page of the confirmed prefix for settling', () => {
    const window = new PageWindow({ pagesMax: 4, bytesMax: 1_000_000 });
    const pages = [1, 2, 3].map((number) => window.add(aPage(number, [anEvent(number)])));
    expect(window.settleable()).toBeNull();
    const [first, second, third] = pages;
    if (first === undefined || second === undefined || third === undefined) {
      throw new Error('three pages were added');
    }
    third.pending = 0;
    expect(window.settleable()).toBeNull();
    first.pending = 0;
    expect(window.settleable()).toBe(first);
    second.pending = 0;
    expect(window.settleable()).toBe(third);
    expect(window.settledThrough(second)).toBe(2);
    expect(window.firstPage).toBe(3);
    expect(window.settledThrough(third)).toBe(1);
    expect({ size: window.size, bytes: window.bytes, first: window.firstPage }).toEqual({
      size: 0,
      bytes: 0,
      first: null,
    });
  });

  it('offers a page without events at once: its gaps have died', () => {
    const window = new PageWindow({ pagesMax: 4, bytesMax: 1_000_000 });
    const page = window.add(aPage(1, [], { isChanged: true }));
    expect(window.settleable()).toBe(page);
  });

  it('has no room at its limit of pages, nor at its limit of bytes', () => {
    const byPages = new PageWindow({ pagesMax: 2, bytesMax: 1_000_000 });
    byPages.add(aPage(1, []));
    expect(byPages.hasRoom()).toBe(true);
    byPages.add(aPage(2, []));
    expect(byPages.hasRoom()).toBe(false);
    const byBytes = new PageWindow({ pagesMax: 2, bytesMax: 200 });
    byBytes.add(aPage(1, [anEvent(1)]));
    expect(byBytes.hasRoom()).toBe(false);
  });

  it('knows the oldest event and how many it holds', () => {
    const window = new PageWindow({ pagesMax: 4, bytesMax: 1_000_000 });
    expect(window.oldestEventMs).toBeNull();
    window.add(aPage(1, []));
    expect(window.oldestEventMs).toBeNull();
    window.add(aPage(2, [anEvent(1, { occurredAtMs: 300 }), anEvent(2, { occurredAtMs: 500 })]));
    window.add(aPage(3, [anEvent(3, { occurredAtMs: 400 })]));
    expect(window.oldestEventMs).toBe(300);
    expect(window.eventsHeld).toBe(3);
  });
});
