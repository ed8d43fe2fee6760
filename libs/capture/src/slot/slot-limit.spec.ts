import { describe, expect, it } from '@jest/globals';
import {
  describeLetGo,
  heldBytes,
  limitBytes,
  slotKept,
  slotLimit,
  type SlotLimitOptions,
  type SlotPressure,
} from './slot-limit.js';
import { slotReading } from './slot-reading.js';

const options: SlotLimitOptions = {
  retainedBytesMax: 1_000n,
  awayMs: 60,
  awayMaxMs: 200,
  forgivenAfterMs: 10_000,
};

const pressure = (nowMs: number, retainedBytes: bigint | null, change: Partial<SlotPressure> = {}): SlotPressure => ({
  nowMs,
  retainedBytes,
  safeWalBytes: null,
  isCaughtUp: true,
  ...change,
});

/** The decisions of a series of looks. */
function decisions(...looks: SlotPressure[]): string[] {
  let state = slotKept(options, 0);
  return looks.map((look) => {
    const step = slotLimit(state, look, options);
    state = step.state;
    return step.decision.kind;
  });
}

describe('the limit of a slot', () => {
  it('raises an alarm at half of it, which stays until two fifths', () => {
    const held = [499n, 500n, 450n, 401n, 399n, 450n].map((bytes, at) => pressure(at, bytes));
    expect(decisions(...held)).toEqual(['keep', 'high', 'high', 'high', 'keep', 'keep']);
  });

  it('lets the slot go when it is reached, and says so once', () => {
    expect(decisions(pressure(1, 1_000n), pressure(2, null), pressure(3, null))).toEqual([
      'let-go',
      'stay-away',
      'stay-away',
    ]);
  });

  it('lets go a slot that is there all the same, as long as it holds too much', () => {
    const behind = { isCaughtUp: false };
    const looks = [pressure(1, 1_000n), pressure(2, 1_100n, behind), pressure(3, 500n, behind), pressure(61, 1_000n)];
    expect(decisions(...looks)).toEqual(['let-go', 'let-go', 'stay-away', 'let-go']);
  });

  it('takes a slot again after a while, when the route has caught up', () => {
    const looks = [
      pressure(0, 1_000n),
      pressure(59, null),
      pressure(60, null, { isCaughtUp: false }),
      pressure(61, null),
      pressure(62, 0n),
    ];
    expect(decisions(...looks)).toEqual(['let-go', 'stay-away', 'stay-away', 'return', 'keep']);
  });

  it('stays away longer each time, up to a limit, and forgets after a good while', () => {
    let state = slotKept(options, 0);
    const aways: number[] = [];
    let nowMs = 0;
    for (let times = 0; times < 5; times += 1) {
      nowMs += times === 4 ? 10_000 : 1;
      state = slotLimit(state, pressure(nowMs, 2_000n), options).state;
      aways.push(state.awayMs);
      nowMs += state.awayMs;
      state = slotLimit(state, pressure(nowMs, null), options).state;
    }
    expect(aways).toEqual([60, 120, 200, 200, 60]);
  });

  it('is nine tenths of what the server allows where that is less', () => {
    expect(limitBytes(options, pressure(0, 300n, { safeWalBytes: 200n }))).toBe(450n);
    expect(limitBytes(options, pressure(0, 300n, { safeWalBytes: 5_000n }))).toBe(1_000n);
    expect(limitBytes(options, pressure(0, 300n, { safeWalBytes: -100n }))).toBe(270n);
    expect(decisions(pressure(0, 300n, { safeWalBytes: -100n }))).toEqual(['let-go']);
  });

  it('never lets go of a slot that holds nothing', () => {
    expect(decisions(pressure(0, 0n, { safeWalBytes: 0n }), pressure(1, null, { safeWalBytes: 0n }))).toEqual([
      'keep',
      'keep',
    ]);
  });

  it('names the amounts and what to look for', () => {
    expect(describeLetGo({ kind: 'let-go', retainedBytes: 3n << 30n, limitBytes: 2n << 30n })).toMatch(
      /let go because it held 3072 MiB of WAL, and its limit is 2048 MiB: nothing is lost.*slow sink/,
    );
  });

  it('looks at the slot that holds most, finished or not', () => {
    const server = {
      server_version: '180004',
      wal_level: 'logical',
      slots_max: '1',
      slots_used: '1',
      wal_sender_timeout_ms: '0',
      database_oid: '1',
    };
    const { slots } = slotReading([
      { ...server, slot_name: 'old', retained_bytes: '5', safe_wal_size: '7' },
      { ...server, slot_name: 'being made', retained_bytes: '6', safe_wal_size: '8' },
      { ...server, slot_name: 'lost' },
    ]);
    expect(heldBytes(slots)).toEqual({ retainedBytes: 6n, safeWalBytes: 8n });
    expect(heldBytes([])).toEqual({ retainedBytes: null, safeWalBytes: null });
  });

  it('is an alarm, then the end of the slot, then a time away, then its return', () => {
    const looks = [pressure(0, 600n), pressure(1, 1_000n), pressure(2, null), pressure(61, null)];
    expect(decisions(...looks)).toEqual(['high', 'let-go', 'stay-away', 'return']);
  });
});
