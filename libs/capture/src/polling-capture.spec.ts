import { describe, expect, it } from '@jest/globals';
import { toEpoch, toPosition } from '@millrace/events';
import { CaptureError } from './capture.errors.js';
import { FirstPage } from './first-page.js';
import { type LedgerState } from './ledger.js';
import { type LedgerSaved, type LedgerStorePort } from './ledger-store.js';
import {
  type OutboxReaderPort,
  type PolledRow,
  type PollRequest,
  type PollResult,
  type SequenceReading,
} from './outbox-reader.js';
import { PollingCapture } from './polling-capture.js';
import { DEFAULT_POLLING_OPTIONS, type PollingOptions } from './table-reader.js';

const READING: SequenceReading = {
  cache: 1n,
  increment: 1n,
  isCycling: false,
  lastPosition: toPosition(1_000_000),
  leavesAhead: 10,
};

interface FakeSource {
  readonly capture: PollingCapture;
  readonly reader: OutboxReaderPort;
  readonly store: LedgerStorePort;
  readonly requests: PollRequest[];
  readonly calls: string[];
}

/** A capture over an outbox of events of `bytes` each, on a server whose disk is at `flushed`, one step per call. */
function captureOver(
  bytes: number,
  flushed: readonly bigint[] = [],
  options: Partial<PollingOptions> = {},
): FakeSource {
  const requests: PollRequest[] = [];
  const calls: string[] = [];
  const disk = [...flushed];
  const insertLsn = disk.length === 0 ? 0n : 100n;
  const note = <Result>(call: string, result: Result): Promise<Result> => {
    calls.push(call);
    return Promise.resolve(result);
  };
  const reader: OutboxReaderPort = {
    poll: (request) => {
      requests.push(request);
      return note('poll', pageFor(request, bytes, { insertLsn, flushLsn: disk.shift() ?? 0n }));
    },
    flushedLsn: () => note('flushedLsn', disk.shift() ?? 100n),
    forceFlush: () => note('forceFlush', undefined),
    writers: () => Promise.resolve({ oldestXid: null, oldest: null }),
    sequence: () => Promise.resolve(READING),
    ensureLeaves: () => Promise.resolve(),
    close: () => note('close reader', undefined),
  };
  const store: LedgerStorePort = {
    claim: () =>
      Promise.resolve({
        kind: 'claimed',
        epoch: toEpoch(1),
        isPaused: false,
        mode: null,
        fence: null,
        timeline: 1n,
        state: { high: toPosition(0), gaps: [] },
      }),
    save: () => Promise.resolve({ isPaused: false, mode: null, xid: 1n }),
    release: () => note('release', undefined),
  };
  const capture = new PollingCapture({
    reader,
    store,
    clock: { nowMs: () => 0, sleep: (ms) => note(`sleep ${ms}`, undefined) },
    claimed: { high: toPosition(0), gaps: [] },
    options: { ...DEFAULT_POLLING_OPTIONS, ...options },
    firstPage: new FirstPage(),
  });
  return { capture, reader, store, requests, calls };
}

function pageFor(request: PollRequest, bytes: number, lsn: Pick<PollResult, 'insertLsn' | 'flushLsn'>): PollResult {
  const count = Math.min(request.rowsMax, Math.ceil(request.bytesMax / bytes));
  const first = (request.above ?? 0n) + 1n;
  const rows = Array.from({ length: count }, (_, index): PolledRow => {
    return { position: toPosition(first + BigInt(index)), event: null, bytes };
  });
  return { ...lsn, rows, isFull: true, snapshotXmin: 1n, lastPosition: toPosition(1_000_000n) };
}

describe('the size of a page', () => {
  it('grows from a small one to the limit while events are small', async () => {
    const { capture, requests } = captureOver(300);
    for (let pages = 0; pages < 5; pages += 1) {
      await capture.nextPage();
    }

    expect(requests.map(({ rowsMax }) => rowsMax)).toEqual([128, 256, 512, 1_024, 2_000]);
  });

  it('follows the bytes while events are big, so that no statement prints much more than a page', async () => {
    const { capture, requests } = captureOver(900_000);
    for (let pages = 0; pages < 4; pages += 1) {
      await capture.nextPage();
    }

    expect(requests.map(({ rowsMax }) => rowsMax)).toEqual([128, 20, 20, 20]);
  });

  it('of one row stays at one row', async () => {
    const { capture, requests } = captureOver(300, [], { pageRowsMax: 1 });
    await capture.nextPage();
    await capture.nextPage();

    expect(requests.map(({ rowsMax }) => rowsMax)).toEqual([1, 1]);
  });
});

describe('the first page of a claim', () => {
  it('shrinks with each that the server could not print in time, to one row, and is as before once one came', async () => {
    const firstPage = new FirstPage();
    const asked: number[] = [];
    let printable = 0;
    const claimAndRead = async (): Promise<void> => {
      const { reader, store } = captureOver(300);
      const poll = (request: PollRequest): Promise<PollResult> => {
        asked.push(request.rowsMax);
        return request.rowsMax > printable
          ? Promise.reject(new CaptureError('statement_timeout', 'Too long.'))
          : reader.poll(request);
      };
      const clock = { nowMs: () => 0, sleep: () => Promise.resolve() };
      const claimed = { high: toPosition(0), gaps: [] };
      const options = DEFAULT_POLLING_OPTIONS;
      await new PollingCapture({ reader: { ...reader, poll }, store, clock, claimed, options, firstPage }).nextPage();
    };

    for (const rows of [128, 64, 32, 16, 8, 4, 2, 1, 1]) {
      await expect(claimAndRead()).rejects.toMatchObject({ code: 'statement_timeout' });
      expect(asked.splice(0)).toEqual([rows]);
    }
    printable = 1_000;
    await claimAndRead();
    await claimAndRead();
    expect(asked).toEqual([1, 128]);
  });
});

describe('the flush gate', () => {
  it('asks nothing when the page was on the disk already', async () => {
    const { capture, calls } = captureOver(300, [100n]);
    await capture.nextPage();

    expect(calls).toEqual(['poll']);
  });

  it('asks again while the server flushes by itself', async () => {
    const { capture, calls } = captureOver(300, [50n, 99n, 100n]);
    await capture.nextPage();

    expect(calls).toEqual(['poll', 'flushedLsn', 'sleep 1', 'flushedLsn']);
  });

  it('makes the server flush when it does not', async () => {
    const { capture, calls } = captureOver(300, [50n, 50n, 50n, 50n, 120n]);
    await capture.nextPage();

    expect(calls.slice(-3)).toEqual(['flushedLsn', 'forceFlush', 'flushedLsn']);
  });
});

describe('the evidence that a gap is dead', () => {
  const positions = (...of: number[]): PolledRow[] =>
    of.map((at) => ({ position: toPosition(at), event: null, bytes: 1 }));

  interface Scene {
    readonly capture: PollingCapture;
    readonly calls: string[];
    /** Answers the ledger write that is under way. */
    readonly answerSave: (xid: bigint) => void;
  }

  /** Two pages, of which the second has a gap at 2; then only empty ones with the given xmin. */
  function scene(xmin: bigint, gaps: LedgerState['gaps'] = []): Scene {
    const calls: string[] = [];
    const pages = gaps.length > 0 ? [] : [positions(1), positions(3)];
    let answer: (saved: LedgerSaved) => void = () => undefined;
    const fake = captureOver(1);
    const reader: OutboxReaderPort = {
      ...fake.reader,
      poll: () => {
        calls.push('poll');
        const rows = pages.shift() ?? [];
        const lastPosition = toPosition(3);
        return Promise.resolve({ rows, isFull: false, snapshotXmin: xmin, insertLsn: 0n, flushLsn: 0n, lastPosition });
      },
      writers: () => {
        calls.push('writers');
        return Promise.resolve({ oldestXid: null, oldest: null });
      },
    };
    const store: LedgerStorePort = {
      ...fake.store,
      save: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    };
    const capture = new PollingCapture({
      reader,
      store,
      clock: { nowMs: () => 10_000, sleep: () => Promise.resolve() },
      claimed: { high: toPosition(gaps.length > 0 ? 3 : 0), gaps },
      options: DEFAULT_POLLING_OPTIONS,
      firstPage: new FirstPage(),
    });
    const answerSave = (xid: bigint): void => {
      answer({ isPaused: false, mode: null, xid });
    };
    return { capture, calls, answerSave };
  }

  it('is no ledger write that was made for an earlier page', async () => {
    const { capture, answerSave } = scene(50n);
    const settling = capture.settle(await capture.nextPage());
    const second = await capture.nextPage();
    answerSave(40n);
    await settling;
    await capture.nextPage();
    expect(capture.status().gapRanges).toBe(1);

    const settlingSecond = capture.settle(second);
    answerSave(45n);
    await settlingSecond;
    await capture.nextPage();

    expect(capture.status().gapRanges).toBe(0);
  });

  it('is a look at the locks that came before the page', async () => {
    const bound = { xid: 60n, knownAtMs: 0 };
    const { capture, calls } = scene(50n, [{ lo: toPosition(2), hi: toPosition(2), bound }]);
    await capture.nextPage();

    expect(calls).toEqual(['writers', 'poll']);
    expect(capture.status().gapRanges).toBe(0);
  });
});

describe('a capture', () => {
  it('settles no page of another claim', async () => {
    const mine = captureOver(300);
    const page = await mine.capture.nextPage();

    await expect(mine.capture.settle({ ...page })).rejects.toMatchObject({ code: 'internal' });
  });

  it('gives lease and connections back when it is closed', async () => {
    const { capture, calls } = captureOver(300);
    await capture.close();

    expect(calls.sort()).toEqual(['close reader', 'release']);
  });
});
