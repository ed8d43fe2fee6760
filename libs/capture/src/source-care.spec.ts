import { beforeEach, describe, expect, it } from '@jest/globals';
import { toEpoch, toPosition } from '@millrace/events';
import { CaptureError } from './capture.errors.js';
import { FirstPage } from './first-page.js';
import { type LedgerStorePort } from './ledger-store.js';
import { type OutboxReaderPort, type PollResult, type SequenceReading } from './outbox-reader.js';
import { PollingCapture } from './polling-capture.js';
import { DEFAULT_POLLING_OPTIONS } from './table-reader.js';

const HIGH = toPosition(5);
const CARE = ['ensureLeaves', 'sequence'];

let calls: string[];
let nowMs: number;
let reading: SequenceReading;
/** What a call waits for. */
let holds: Map<string, Promise<void>>;
let leavesError: CaptureError | null;

beforeEach(() => {
  calls = [];
  nowMs = 0;
  reading = { cache: 1n, increment: 1n, isCycling: false, lastPosition: HIGH, leavesAhead: 10 };
  holds = new Map();
  leavesError = null;
});

async function note<Result>(call: string, result: () => Result): Promise<Result> {
  calls.push(call);
  await holds.get(call);
  return result();
}

/** Makes a call wait until the returned function is called. */
function hold(call: string): () => void {
  let release: () => void = () => undefined;
  holds.set(
    call,
    new Promise((resolve) => {
      release = resolve;
    }),
  );
  return () => {
    holds.delete(call);
    release();
  };
}

function emptyPage(): PollResult {
  return { rows: [], isFull: false, snapshotXmin: 1n, insertLsn: 0n, flushLsn: 0n, lastPosition: HIGH };
}

function failWhenTold(): void {
  if (leavesError !== null) {
    throw leavesError;
  }
}

function claim(): PollingCapture {
  const claimed = { high: HIGH, gaps: [] };
  const reader: OutboxReaderPort = {
    poll: () => note('poll', emptyPage),
    flushedLsn: () => Promise.resolve(0n),
    forceFlush: () => Promise.resolve(),
    writers: () => Promise.resolve({ oldestXid: null, oldest: null }),
    sequence: () => note('sequence', () => reading),
    ensureLeaves: () => note('ensureLeaves', failWhenTold),
    close: () => Promise.resolve(),
  };
  const store: LedgerStorePort = {
    claim: () =>
      Promise.resolve({
        kind: 'claimed',
        epoch: toEpoch(1),
        isPaused: true,
        mode: null,
        fence: null,
        timeline: 1n,
        state: claimed,
      }),
    save: () => note('save', () => ({ isPaused: true, mode: null, xid: 1n })),
    release: () => Promise.resolve(),
  };
  const clock = { nowMs: () => nowMs, sleep: () => Promise.resolve() };
  return new PollingCapture({
    reader,
    store,
    clock,
    claimed,
    options: DEFAULT_POLLING_OPTIONS,
    firstPage: new FirstPage(),
  });
}

describe('a route that is not read', () => {
  it('takes care of its source every ten seconds, after each has renewed the lease', async () => {
    const capture = claim();
    expect(capture.status().leavesAhead).toBeNull();
    await capture.renew();
    await capture.renew();
    nowMs = 10_000;
    await capture.renew();

    expect(calls).toEqual(['save', ...CARE, 'save', 'save', ...CARE]);
  });

  it('still tells how far the sequence and the leaves are', async () => {
    const capture = claim();
    reading = { ...reading, lastPosition: toPosition(900), leavesAhead: 3 };
    await capture.renew();

    expect(capture.status()).toMatchObject({ lastPosition: 900n, leavesAhead: 3 });
  });

  it.each([
    ['sequence_undisciplined', { cache: 10n }],
    ['sequence_behind', { lastPosition: toPosition(4) }],
  ])('is stopped by %s', async (code, wrong) => {
    reading = { ...reading, ...wrong };

    await expect(claim().renew()).rejects.toMatchObject({ code, disposition: 'stop' });
  });
});

describe('the care of a source', () => {
  it('is left to the page that is being read', async () => {
    const capture = claim();
    await capture.nextPage();
    nowMs = 10_000;
    const answer = hold('ensureLeaves');
    const page = capture.nextPage();
    await capture.renew();
    answer();
    await page;

    expect(calls).toEqual([...CARE, 'poll', 'ensureLeaves', 'save', 'sequence', 'poll']);
  });

  it('of a renewal is over before a page is read', async () => {
    const capture = claim();
    await capture.nextPage();
    nowMs = 10_000;
    calls = [];
    const saved = hold('save');
    const answer = hold('sequence');
    const renewal = capture.renew();
    saved();
    await new Promise(setImmediate);
    const page = capture.nextPage();
    await new Promise(setImmediate);
    expect(calls).toEqual(['save', ...CARE]);

    answer();
    await Promise.all([renewal, page]);
    expect(calls).toEqual(['save', ...CARE, 'poll']);
  });

  it('does without new leaves where they cannot be made', async () => {
    leavesError = new CaptureError('database_unavailable', 'Too slow.');
    reading = { ...reading, leavesAhead: 0 };
    const capture = claim();
    await capture.nextPage();
    await capture.renew();

    expect(capture.status().leavesAhead).toBe(0);
  });
});
