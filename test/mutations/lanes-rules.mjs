const WINDOW = 'libs/relay/src/page-window.ts';
const DELAYS = 'libs/relay/src/lane-delays.ts';
const PAGES = 'libs/capture/src/ledger-pages.ts';

const pump = (only) => ({ path: 'libs/relay/src/route-pump.spec.ts', only });

/** Wrong rules of lanes that give no answer; see rules.mjs. */
export const LANES_RULES = [
  {
    name: 'lanes-wait-for-each-other',
    wrong: 'a lane without an answer holds up all others',
    test: pump('goes on with other lanes while one gives no answer'),
    edits: [edit(DELAYS, 'nowMs - sinceMs >= this.behindAfterMs', 'nowMs < sinceMs')],
  },
  {
    name: 'lanes-behind-without-a-bound',
    wrong: 'reading goes on however much waits for a lane that gives no answer',
    test: pump('stops reading at its limit of'),
    edits: [
      edit(WINDOW, 'pages < this.limits.pagesInFlightMax && !this.isFull', 'pages < this.limits.pagesInFlightMax'),
    ],
  },
  {
    name: 'lanes-settled-past-one-that-is-behind',
    wrong: 'the ledger does not wait for a lane that gives no answer',
    test: pump('goes on with other lanes while one gives no answer'),
    edits: [edit(WINDOW, '({ pending }) => pending > 0', '({ isMoving }) => isMoving')],
  },
  {
    name: 'lanes-bound-of-a-later-page',
    wrong: 'a renewal bounds gaps that were read after it began',
    test: { path: 'libs/capture/src/ledger-pages.spec.ts', only: 'lets gaps of a page that waits' },
    edits: [edit(PAGES, 'const pages = this.unsettled.slice();', 'const pages = this.unsettled;')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
