import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { CaptureError } from './capture.errors.js';
import { HandOver } from './hand-over.js';
import { LedgerPages } from './ledger-pages.js';
import { type SlotHealth } from './slot/slot-health.js';
import { type SlotKeeperState } from './slot/slot-keeper-state.js';
import { type OpenStream } from './stream-reader.js';
import { type TablePage } from './table-reader.js';
import { A_READING, A_SLOT } from './testing/a-slot.js';

const READY: SlotKeeperState = { kind: 'ready', slot: A_SLOT };

interface World {
  readonly handOver: HandOver;
  readonly clock: { now: number };
  readonly asked: string[];
  state: SlotKeeperState;
  health: SlotHealth;
  /** Where the opened stream begins: `null` where it was asked to. */
  startsAt: bigint | null;
  openError: CaptureError | null;
}

/** A slot at 50, a fence at LSN 100 with the bound 7 and the last position 9. */
function world(): World {
  const clock = { now: 1_000 };
  const asked: string[] = [];
  const note = (what: string): void => {
    asked.push(what);
  };
  const made: World = {
    clock,
    asked,
    state: READY,
    health: { kind: 'ready', slot: A_SLOT },
    startsAt: null,
    openError: null,
    handOver: new HandOver({
      clock: { nowMs: () => clock.now, sleep: () => Promise.resolve() },
      keeper: {
        get state(): SlotKeeperState {
          return made.state;
        },
        start: () => {
          note('start');
        },
        remake: () => {
          note('remake');
        },
        check: (known) => {
          note(`check from ${String(known().confirmedLsn)}`);
          return Promise.resolve({ health: made.health, reading: { ...A_READING, slots: [] } });
        },
      },
      readFence: (slotLsn) => {
        note(`fence from ${String(slotLsn)}`);
        return Promise.resolve({ slotLsn, flushLsn: 100n, bound: 7n, lastPosition: 9n });
      },
      openStream: ({ slot, startLsn }) => {
        note(`open ${slot} at ${String(startLsn)}`);
        return made.openError === null
          ? Promise.resolve(streamAt(made.startsAt ?? startLsn, note))
          : Promise.reject(made.openError);
      },
    }),
  };
  return made;
}

function streamAt(startLsn: bigint, note: (what: string) => void): OpenStream {
  return {
    pid: 1,
    startLsn,
    confirmedLsn: startLsn,
    receivedLsn: startLsn,
    takeQueued: () => null,
    arrival: () => Promise.resolve(),
    askForProgress: () => undefined,
    confirm: () => undefined,
    close: () => {
      note('close');
      return Promise.resolve();
    },
  };
}

function polled(endedBelow: bigint, coveredTo: bigint | 'all'): TablePage {
  const store = {
    claim: () => Promise.resolve({ kind: 'held' as const, owner: '', expiresInMs: 0 }),
    save: () => Promise.resolve({ isPaused: false, mode: null, xid: 1n }),
    release: () => Promise.resolve(),
  };
  const clock = { nowMs: () => 0, sleep: () => Promise.resolve() };
  const pages = new LedgerPages(store, clock, { high: toPosition(0), gaps: [] });
  const row = { position: toPosition(1), event: null, bytes: 1 };
  const page = pages.take({ rows: [row], isFull: false, endedBelow });
  return { page, lastChanged: 1, endedBelow, coveredTo, insertLsn: 1n };
}

/** Lets what was begun in the background go as far as it can. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await Promise.resolve();
  }
}

async function fallen(made: World): Promise<void> {
  await made.handOver.beforePoll();
  made.handOver.pageRead(polled(7n, 'all'));
  made.handOver.pageSettled(1);
  await settle();
}

/** How long it takes until the next fence is put up. */
async function waitOf(made: World): Promise<number> {
  const since = made.clock.now;
  for (const before = made.asked.length; made.asked.length === before; made.clock.now += 100) {
    await made.handOver.beforePoll();
  }
  const waitMs = made.clock.now - since - 100;
  made.clock.now = since;
  made.handOver.reset();
  return waitMs;
}

describe('the hand-over from the table to the stream', () => {
  it('opens the stream where the fence allows it, and judges the slot once it is held', async () => {
    const made = world();
    await fallen(made);
    expect(made.handOver.takeStream()).toMatchObject({ startLsn: 100n });
    expect(made.asked).toEqual(['fence from 50', 'open millrace_r at 100', 'check from 100']);
  });

  it('waits until a poll after the fence saw everybody end, looked at all positions, and is settled', async () => {
    const made = world();
    await made.handOver.beforePoll();
    made.handOver.pageRead(polled(6n, 'all'));
    made.handOver.pageSettled(1);
    made.handOver.pageRead(polled(7n, 8n));
    made.handOver.pageSettled(1);
    await settle();
    expect(made.asked).toEqual(['fence from 50']);

    made.handOver.pageRead({ ...polled(7n, 9n), lastChanged: 2 });
    await settle();
    expect(made.asked).toEqual(['fence from 50']);
    made.handOver.pageSettled(2);
    await settle();
    expect(made.asked[1]).toBe('open millrace_r at 100');
  });

  it('has the bound of the fence looked after by the lock rule while it is up', async () => {
    const made = world();
    expect(made.handOver.fenceBound).toBeUndefined();
    await made.handOver.beforePoll();
    expect(made.handOver.fenceBound).toEqual({ xid: 7n, knownAtMs: 1_000 });
  });

  it('has a slot made anew that stands ahead of what was settled', async () => {
    const made = world();
    made.startsAt = 101n;
    await fallen(made);
    expect(() => made.handOver.takeStream()).toThrow(/ahead of what this relay has settled/);
    expect(made.asked).toContain('remake');
    expect(made.asked).toContain('close');
  });

  it('has a slot made anew that was moved between the look and the start', async () => {
    const made = world();
    made.health = { kind: 'ahead-of-us', name: 'millrace_r', confirmedFlushLsn: 200n, ours: 100n };
    await fallen(made);
    expect(() => made.handOver.takeStream()).toThrow(/somebody advanced it/);
    expect(made.asked.slice(-2)).toEqual(['remake', 'close']);
  });

  it('leaves a slot alone that is unfit for another reason, for its keeper to see to', async () => {
    const made = world();
    made.health = { kind: 'publication-wrong' };
    await fallen(made);
    expect(() => made.handOver.takeStream()).toThrow(/Publication millrace does not publish/);
    expect(made.asked.slice(-2)).toEqual(['start', 'close']);
  });

  it('tells once why a stream could not be opened, and tries again after a wait that grows', async () => {
    const made = world();
    made.openError = new CaptureError('slot_in_use', 'in use');
    const waits: number[] = [];
    for (let tries = 0; tries < 3; tries += 1) {
      await fallen(made);
      expect(() => made.handOver.takeStream()).toThrow('in use');
      expect(made.handOver.takeStream()).toBeNull();
      waits.push(await waitOf(made));
      made.clock.now += waits.at(-1) ?? 0;
    }
    expect(waits).toEqual([500, 1_000, 2_000]);
  });

  it('lets the wait grow also after a stream that had lived for long', async () => {
    const made = world();
    await fallen(made);
    made.handOver.takeStream();
    made.clock.now += 3_600_000;
    made.handOver.streamLost();
    made.openError = new CaptureError('slot_in_use', 'in use');
    const waits: number[] = [];
    for (let tries = 0; tries < 3; tries += 1) {
      const waitMs = await waitOf(made);
      made.clock.now += waitMs;
      await fallen(made);
      expect(() => made.handOver.takeStream()).toThrow('in use');
      waits.push(await waitOf(made));
    }
    expect(waits).toEqual([1_000, 2_000, 4_000]);
  });

  it('starts over when the slot is lost on the way', async () => {
    const made = world();
    await made.handOver.beforePoll();
    made.state = { kind: 'looking' };
    await made.handOver.beforePoll();
    expect(made.handOver.fenceBound).toBeUndefined();
    made.handOver.pageRead(polled(7n, 'all'));
    made.handOver.pageSettled(1);
    await settle();
    expect(made.asked).toEqual(['fence from 50']);
  });

  it('closes a stream that nobody takes any more', async () => {
    const made = world();
    await fallen(made);
    await made.handOver.close();
    expect(made.asked.at(-1)).toBe('close');
  });
});
