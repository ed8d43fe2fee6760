import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { LedgerPages } from './ledger-pages.js';
import { type PolledRow } from './outbox-reader.js';
import { type StreamedTransaction } from './replication/transaction-queue.js';
import { StreamReader } from './stream-reader.js';

const row = (position: number): PolledRow => ({ position: toPosition(position), event: null, bytes: 1 });

const whole = (endLsn: bigint, ...positions: number[]): StreamedTransaction => ({
  xid: 1,
  committedAtMs: 0,
  rows: positions.map(row),
  isLast: true,
  endLsn,
});

const part = (...positions: number[]): StreamedTransaction => ({
  xid: 1,
  committedAtMs: 0,
  rows: positions.map(row),
  isLast: false,
  endLsn: null,
});

class FakeStream {
  readonly pid = 1;
  readonly startLsn = 10n;
  confirmedLsn = 10n;
  receivedLsn = 10n;
  readonly queue: StreamedTransaction[] = [];

  takeQueued(): StreamedTransaction | null {
    return this.queue.shift() ?? null;
  }

  confirm(lsn: bigint): void {
    this.confirmedLsn = lsn;
  }

  arrival(): Promise<void> {
    return Promise.resolve();
  }

  askForProgress(): void {
    throw new Error('not part of this test');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function reading(high = 0, rowsMax = 100): { stream: FakeStream; pages: LedgerPages; reader: StreamReader } {
  const store = {
    claim: () => Promise.resolve({ kind: 'held' as const, owner: '', expiresInMs: 0 }),
    save: () => Promise.resolve({ isPaused: false, mode: null, xid: 20n }),
    release: () => Promise.resolve(),
  };
  const clock = { nowMs: () => 0, sleep: () => Promise.resolve() };
  const pages = new LedgerPages(store, clock, { high: toPosition(high), gaps: [] });
  const stream = new FakeStream();
  return { stream, pages, reader: new StreamReader(stream, pages, { rowsMax, bytesMax: 1_000 }) };
}

describe('pages of a stream', () => {
  it('hold whole transactions in the order of their commits', () => {
    const { stream, pages, reader } = reading();
    stream.queue.push(whole(20n, 3, 4), whole(30n, 1));
    const page = reader.take(null);
    expect(page).toMatchObject({ rowCount: 3, isFull: false, isChanged: true, hasWaited: true });
    expect(page?.step.taken).toEqual([1n, 3n, 4n]);
    expect(pages.state.gaps.map(({ lo, hi }) => [lo, hi])).toEqual([[2n, 2n]]);
  });

  it('are confirmed when they, and all before them, are in the database', async () => {
    const { stream, pages, reader } = reading();
    stream.queue.push(whole(20n, 1));
    const first = reader.take(null);
    stream.queue.push(whole(30n, 2));
    const second = reader.take(null);
    reader.settled();
    expect(stream.confirmedLsn).toBe(10n);

    await pages.settle(first ?? pages.nothing());
    reader.settled();
    expect(stream.confirmedLsn).toBe(20n);
    await pages.settle(second ?? pages.nothing());
    reader.settled();
    expect(stream.confirmedLsn).toBe(30n);
  });

  it('confirm a transaction only with its last part', async () => {
    const { stream, pages, reader } = reading(0, 1);
    stream.queue.push(part(1), whole(20n, 2));
    const first = reader.take(null);
    expect(first?.isFull).toBe(true);
    await pages.settle(first ?? pages.nothing());
    reader.settled();
    expect([stream.confirmedLsn, reader.takenLsn]).toEqual([10n, 10n]);

    await pages.settle(reader.take(null) ?? pages.nothing());
    reader.settled();
    expect([stream.confirmedLsn, reader.takenLsn]).toEqual([20n, 20n]);
  });

  it('pass over what is settled or on its way, and confirm it after what was before it', async () => {
    const { stream, pages, reader } = reading();
    const polled = pages.take({ rows: [row(1), row(2)], isFull: false, endedBelow: 0n });
    stream.queue.push(whole(20n, 1), whole(30n, 2));
    expect(reader.take(null)).toBeNull();
    expect(stream.confirmedLsn).toBe(10n);
    await pages.settle(polled);
    reader.settled();
    expect(stream.confirmedLsn).toBe(30n);
  });

  it('have come as far as the stream when nothing is left in it', () => {
    const { stream, reader } = reading(0, 1);
    stream.queue.push(whole(20n, 1), whole(30n, 2));
    stream.receivedLsn = 50n;
    reader.take(null);
    expect(reader.takenLsn).toBe(20n);
    reader.take(null);
    expect(reader.takenLsn).toBe(30n);
    reader.take(null);
    expect(reader.takenLsn).toBe(50n);
  });

  it('count rows at positions that were settled long ago, and do not publish them', () => {
    const { stream, reader } = reading(100);
    stream.queue.push(whole(20n, 7), whole(60n, 8, 101));
    const page = reader.take(50n);
    expect(page?.rowCount).toBe(1);
    expect(reader.strayRows).toBe(1);
    expect(reader.strayNews()).toContain('(1 so far); they were not published');
    expect(reader.strayNews()).toBeNull();
  });
});
