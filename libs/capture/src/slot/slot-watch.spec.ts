import { describe, expect, it } from '@jest/globals';
import { A_READING, A_SLOT } from '../testing/a-slot.js';
import { type SlotHealth } from './slot-health.js';
import { DEFAULT_SLOT_LIMIT } from './slot-limit.js';
import { type SlotKeeperState } from './slot-keeper-state.js';
import { SlotWatch, type WatchedKeeper } from './slot-watch.js';

describe('the watch over a slot', () => {
  it('looks every ten seconds, tells when the slot has to go, and when the route may have one again', async () => {
    let nowMs = 0;
    let retainedBytes: bigint | null = 600n;
    const keeper = {
      state: { kind: 'ready', slot: A_SLOT } as const,
      check: () => {
        const slot = { ...A_SLOT, retainedBytes };
        const health: SlotHealth = { kind: 'ready', slot };
        return Promise.resolve({ reading: { ...A_READING, slots: [slot] }, health });
      },
      emitHeartbeat: () => Promise.resolve(),
    };
    const limit = { ...DEFAULT_SLOT_LIMIT, retainedBytesMax: 1_000n, awayMs: 20_000 };
    const watch = new SlotWatch(keeper, { nowMs: () => nowMs, sleep: () => Promise.resolve() }, limit);
    const look = (): ReturnType<SlotWatch['lookWhenDue']> =>
      watch.lookWhenDue(() => ({ ourPid: null, confirmedLsn: null, isCaughtUp: true }));

    nowMs = 9_999;
    expect((await look()).kind).toBe('not-due');
    nowMs = 10_000;
    expect((await look()).kind).toBe('looked');
    expect(watch.status(null)).toMatchObject({ isHigh: true, retainedBytes: 600n });

    nowMs = 20_000;
    retainedBytes = 1_000n;
    expect(await look()).toEqual({ kind: 'over-limit', reason: expect.stringMatching(/let go/) });
    retainedBytes = null;
    nowMs = 30_000;
    expect((await look()).kind).toBe('looked');
    nowMs = 40_000;
    expect((await look()).kind).toBe('return');
    expect(watch.status(null).isHigh).toBe(false);
  });

  it('shows no number of a slot that was made anew since it was looked at, nor since when one is idle that is read', async () => {
    let nowMs = 0;
    const old = { ...A_SLOT, retainedBytes: 600n, inactiveSince: '2026-11-22T03:00:00Z' };
    const keeper: { state: SlotKeeperState } & Pick<WatchedKeeper, 'check' | 'emitHeartbeat'> = {
      state: { kind: 'ready', slot: A_SLOT },
      check: () =>
        Promise.resolve({ reading: { ...A_READING, slots: [old] }, health: { kind: 'ready', slot: old } as const }),
      emitHeartbeat: () => Promise.resolve(),
    };
    const watch = new SlotWatch(keeper, { nowMs: () => nowMs, sleep: () => Promise.resolve() }, DEFAULT_SLOT_LIMIT);
    nowMs = 10_000;
    await watch.lookWhenDue(() => ({ ourPid: null, confirmedLsn: null, isCaughtUp: true }));

    expect(watch.status(null)).toMatchObject({ retainedBytes: 600n, inactiveSince: old.inactiveSince });
    expect(watch.status(60n)).toMatchObject({ retainedBytes: 600n, inactiveSince: null });
    keeper.state = { kind: 'creating', name: A_SLOT.name, pid: 7, waitingFor: null, sinceMs: 11_000 };
    expect(watch.status(null)).toMatchObject({ state: 'creating', name: null, retainedBytes: null });
    keeper.state = { kind: 'ready', slot: { ...A_SLOT, retainedBytes: 1n } };
    expect(watch.status(null)).toMatchObject({ state: 'ready', retainedBytes: 1n, inactiveSince: null });
  });
});
