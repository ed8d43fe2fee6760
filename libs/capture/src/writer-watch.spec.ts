import { describe, expect, it } from '@jest/globals';
import { type GapBound } from './ledger.js';
import { type OutboxReaderPort, type OutboxWriters } from './outbox-reader.js';
import { WriterWatch } from './writer-watch.js';

function watchOver(writers: OutboxWriters): { watch: WriterWatch; clock: { now: number }; asked: () => number } {
  let asked = 0;
  const clock = { now: 10_000 };
  const unused = (): Promise<never> => Promise.reject(new Error('not part of this test'));
  const reader: OutboxReaderPort = {
    poll: unused,
    flushedLsn: unused,
    forceFlush: unused,
    sequence: unused,
    ensureLeaves: unused,
    close: unused,
    writers: () => {
      asked += 1;
      return Promise.resolve(writers);
    },
  };
  return { watch: new WriterWatch(reader, { nowMs: () => clock.now, sleep: unused }), clock, asked: () => asked };
}

const bound = (xid: bigint | null, knownAtMs: number): GapBound => ({ xid, knownAtMs });

describe('the lock rule', () => {
  it('clears old gaps up to the highest known bound when nobody writes', async () => {
    const { watch } = watchOver({ oldestXid: null, oldest: null });
    await watch.watch([bound(40n, 0), bound(50n, 8_000), bound(60n, 9_500), bound(null, Infinity)], false);
    expect(watch.endedBelow).toBe(50n);
  });

  it('clears nothing at or above the oldest writer', async () => {
    const { watch } = watchOver({ oldestXid: 45n, oldest: 'pid 7' });
    await watch.watch([bound(50n, 0)], false);
    expect(watch.endedBelow).toBe(45n);
    expect(watch.oldest).toBe('pid 7');
  });

  it('concludes nothing while a holder shows no xid', async () => {
    const { watch } = watchOver({ oldestXid: 'unknown', oldest: 'pid 7' });
    await watch.watch([bound(50n, 0)], false);
    expect(watch.endedBelow).toBe(0n);
  });

  it('does not ask for gaps that are young or already cleared, nor too often', async () => {
    const { watch, clock, asked } = watchOver({ oldestXid: 45n, oldest: 'pid 7' });
    await watch.watch([bound(50n, 9_500)], false);
    expect(asked()).toBe(0);
    await watch.watch([bound(50n, 0)], false);
    clock.now += 100;
    await watch.watch([bound(50n, 0)], false);
    expect(asked()).toBe(1);
    clock.now += 1_000;
    await watch.watch([bound(45n, 0)], false);
    expect(asked()).toBe(1);
    await watch.watch([bound(50n, 0)], false);
    expect(asked()).toBe(2);
  });
});
