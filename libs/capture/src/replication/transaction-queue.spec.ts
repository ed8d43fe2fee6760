import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { CaptureError } from '../capture.errors.js';
import { type PolledRow } from '../outbox-reader.js';
import { type StreamedTransaction, TransactionQueue } from './transaction-queue.js';

const HEAD = { xid: 7, committedAtMs: 1_000 };

function row(position: number): PolledRow {
  return { position: toPosition(position), event: null, bytes: 0 };
}

function put(queue: TransactionQueue, endLsn: bigint, positions: readonly number[], rowBytes = 10): void {
  queue.begin(HEAD);
  for (const position of positions) {
    queue.add(row(position), rowBytes);
  }
  queue.commit(endLsn);
}

function summary(part: StreamedTransaction | null): unknown {
  return part === null ? null : { positions: part.rows.map((one) => Number(one.position)), endLsn: part.endLsn };
}

describe('TransactionQueue', () => {
  it('hands out whole transactions in the order of their commits', async () => {
    const queue = new TransactionQueue(1_000);
    put(queue, 100n, [2, 1]);
    put(queue, 200n, [3]);
    expect(queue.bytes).toBe(30);

    expect(await queue.next()).toEqual({ ...HEAD, rows: [row(2), row(1)], isLast: true, endLsn: 100n });
    expect(summary(await queue.next())).toEqual({ positions: [3], endLsn: 200n });
    expect(queue.take()).toBeNull();
    expect(queue.bytes).toBe(0);
  });

  it('hands out nothing of a transaction whose commit has not come', () => {
    const queue = new TransactionQueue(1_000);
    queue.begin(HEAD);
    queue.add(row(1), 10);

    expect(queue.take()).toBeNull();
    expect(queue.bytes).toBe(10);
  });

  it('cuts a large transaction into parts, of which only the last tells the LSN', () => {
    const queue = new TransactionQueue(20);
    put(queue, 100n, [1, 2, 3, 4, 5]);

    expect(summary(queue.take())).toEqual({ positions: [1, 2], endLsn: null });
    expect(summary(queue.take())).toEqual({ positions: [3, 4], endLsn: null });
    expect(summary(queue.take())).toEqual({ positions: [5], endLsn: 100n });
  });

  it('ends a transaction that was cut at its last row with a part without rows', () => {
    const queue = new TransactionQueue(20);
    put(queue, 100n, [1, 2]);

    expect(summary(queue.take())).toEqual({ positions: [1, 2], endLsn: null });
    expect(summary(queue.take())).toEqual({ positions: [], endLsn: 100n });
  });

  it('does not hand out a transaction without rows', () => {
    const queue = new TransactionQueue(20);
    queue.begin(HEAD);

    expect(queue.commit(100n)).toBe(false);
    expect(queue.take()).toBeNull();
  });

  it('wakes the reader that waits', async () => {
    const queue = new TransactionQueue(1_000);
    const waiting = queue.next();
    put(queue, 100n, [1]);
    put(queue, 200n, [2]);

    expect(summary(await waiting)).toEqual({ positions: [1], endLsn: 100n });
    expect(queue.bytes).toBe(10);
    expect(summary(await queue.next())).toEqual({ positions: [2], endLsn: 200n });
  });

  it('tells of an arrival, and of none in time', async () => {
    const queue = new TransactionQueue(1_000);
    await queue.arrival(1);
    expect(queue.take()).toBeNull();
    const arrival = queue.arrival(60_000);
    put(queue, 100n, [1]);
    await arrival;
    await queue.arrival();
    expect(summary(queue.take())).toEqual({ positions: [1], endLsn: 100n });
  });

  it('refuses a second reader', async () => {
    const queue = new TransactionQueue(1_000);
    const waiting = queue.next();

    await expect(queue.next()).rejects.toMatchObject({ code: 'internal' });
    queue.fail(new CaptureError('internal', 'over'));
    await expect(waiting).rejects.toThrow('over');
  });

  it('drops everything at a failure and tells it to every reader', async () => {
    const queue = new TransactionQueue(1_000);
    put(queue, 100n, [1]);
    queue.fail(new CaptureError('database_unavailable', 'gone'));
    queue.fail(new CaptureError('internal', 'later'));

    expect(queue.bytes).toBe(0);
    expect(() => queue.take()).toThrow('gone');
    await expect(queue.next()).rejects.toThrow('gone');
  });

  it('refuses rows and commits outside of a transaction, and one within another', () => {
    const malformed = expect.objectContaining({ code: 'stream_malformed' });
    const queue = new TransactionQueue(20);

    expect(() => {
      queue.add(row(1), 1);
    }).toThrow(malformed);
    expect(() => queue.commit(1n)).toThrow(malformed);
    queue.begin(HEAD);
    expect(() => {
      queue.begin(HEAD);
    }).toThrow(malformed);
  });
});
