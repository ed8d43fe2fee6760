/**
 * The fence of a hand-over between table and stream: when may the slot confirm an LSN though the rows below it came
 * from the table?
 *
 * Not when the table is read empty: a commit can be on the disk while its transaction is not yet visible (always for a
 * moment, and as long as a synchronous standby is missing). A table read between the two sees nothing, a slot that
 * confirms past the commit never delivers it: lost. The fence, in this order:
 *
 * 1. `flushLsn`: WAL on the disk, read after the slot is there;
 * 2. `bound`: an xid drawn after that. Whoever has its end at or below `flushLsn` has an xid below `bound`, and its
 *    positions at or below `lastPosition`, read at the same time;
 * 3. a page whose statement began when everybody with an xid below `bound` had ended (its snapshot's xmin, or the lock
 *    rule), and which looked at all positions up to `lastPosition`: a page that is cut, or that did not look that far,
 *    says nothing of the rest;
 * 4. that page and all before it are settled in the ledger.
 *
 * Only then `flushLsn` is confirmable. Pure: events in, state out; no timers, no input or output. Pages are numbered
 * and settled in ascending order, as `CapturePort` does it.
 */
export type FenceState =
  /** No fence is up; `confirmable` is what the last one gave. */
  | { readonly kind: 'down'; readonly confirmable: bigint | null; readonly pages: PagesSeen }
  /** Up; no page has passed the bound yet. */
  | { readonly kind: 'up'; readonly confirmable: bigint | null; readonly pages: PagesSeen; readonly marks: FenceMarks }
  /** A page has passed the bound; the fence falls when page `settles` is settled. */
  | {
      readonly kind: 'passed';
      readonly confirmable: bigint | null;
      readonly pages: PagesSeen;
      readonly marks: FenceMarks;
      readonly settles: number;
    };

/** What the fence remembers of the pages of this claim. */
export interface PagesSeen {
  /** The last page that changed the ledger, read so far; 0: none. */
  readonly changed: number;
  /** The last page that was settled; 0: none. */
  readonly settled: number;
}

/** What putting up a fence read, in this order and each in a statement of its own. */
export interface FenceMarks {
  /** `confirmed_flush_lsn` of the slot, read first: the stream begins there and no earlier. */
  readonly slotLsn: bigint;
  readonly flushLsn: bigint;
  readonly bound: bigint;
  readonly lastPosition: bigint;
}

/** What happened. */
export type FenceEvent =
  | { readonly kind: 'put-up'; readonly marks: FenceMarks }
  | {
      readonly kind: 'page-read';
      readonly page: number;
      /** The page has to be settled. */
      readonly isChanged: boolean;
      /** Every writer with an xid below this had ended when the page's statement began. */
      readonly endedBelow: bigint;
      /** The page's statement looked at all unsettled positions up to here; `all`: wherever they are. */
      readonly coveredTo: bigint | 'all';
    }
  | { readonly kind: 'page-settled'; readonly page: number }
  /** The slot is gone or was made anew: what the fence was put up for is void, and so is what it gave. */
  | { readonly kind: 'slot-lost' };

/** The state at a claim, before any page. */
export const FENCE_DOWN: FenceState = { kind: 'down', confirmable: null, pages: { changed: 0, settled: 0 } };

/** The LSN that the slot may confirm; `null`: none yet. Never goes back but by `slot-lost`. */
export function confirmableLsn(state: FenceState): bigint | null {
  return state.confirmable;
}

/** Takes an event in. A fence that is up stays up until it falls: a further `put-up` is left out. */
export function fenceStep(state: FenceState, event: FenceEvent): FenceState {
  switch (event.kind) {
    case 'put-up':
      // a mark below the slot's own beginning would leave what lies between to nobody
      return state.kind === 'down' && event.marks.flushLsn >= event.marks.slotLsn
        ? { ...state, kind: 'up', marks: event.marks }
        : state;
    case 'page-read':
      return pageRead(state, event);
    case 'page-settled':
      return fallen({ ...state, pages: { ...state.pages, settled: Math.max(state.pages.settled, event.page) } });
    case 'slot-lost':
      return { kind: 'down', confirmable: null, pages: state.pages };
  }
}

function pageRead(state: FenceState, event: Extract<FenceEvent, { kind: 'page-read' }>): FenceState {
  const pages = event.isChanged ? { ...state.pages, changed: event.page } : state.pages;
  if (state.kind !== 'up' || !hasPassed(state.marks, event)) {
    return { ...state, pages };
  }
  return fallen({ ...state, kind: 'passed', pages, settles: pages.changed });
}

function hasPassed(marks: FenceMarks, { endedBelow, coveredTo }: Extract<FenceEvent, { kind: 'page-read' }>): boolean {
  return endedBelow >= marks.bound && (coveredTo === 'all' || coveredTo >= marks.lastPosition);
}

function fallen(state: FenceState): FenceState {
  if (state.kind !== 'passed' || state.pages.settled < state.settles) {
    return state;
  }
  const { flushLsn } = state.marks;
  const { confirmable, pages } = state;
  return { kind: 'down', confirmable: confirmable === null || flushLsn > confirmable ? flushLsn : confirmable, pages };
}
