import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { type CaptureMode } from './capture-port.js';
import { CaptureError } from './capture.errors.js';
import { FirstPage } from './first-page.js';
import { type PolledRow, type PollResult } from './outbox-reader.js';
import { type StreamedTransaction } from './replication/transaction-queue.js';
import { type SlotCheck } from './slot/slot-keeper.js';
import { type SlotKeeperState } from './slot/slot-keeper-state.js';
import { type SlotFacts, type SlotReading } from './slot/slot-reading.js';
import { type OpenStream } from './stream-reader.js';
import { DEFAULT_POLLING_OPTIONS } from './table-reader.js';
import { A_READING, A_SLOT } from './testing/a-slot.js';
import { WalCapture } from './wal-capture.js';
import { type CaptureKeeper } from './wal-capture-parts.js';

const SLOT: SlotFacts = { ...A_SLOT, activePid: 1 };
const READING: SlotReading = { ...A_READING, slots: [SLOT] };

const row = (position: number): PolledRow => ({ position: toPosition(position), event: null, bytes: 1 });

/** Something that a test lets happen. */
class Latch<Value> {
  open: (value: Value) => void = () => undefined;
  readonly opened = new Promise<Value>((resolve) => {
    this.open = resolve;
  });
}

class FakeStream implements OpenStream {
  readonly pid = 1;
  confirmedLsn: bigint;
  receivedLsn: bigint;
  readonly queue: StreamedTransaction[] = [];
  isClosed = false;
  /** Until then it is being closed. */
  closed: Promise<void> = Promise.resolve();
  failure: CaptureError | null = null;
  private wake: () => void = () => undefined;

  constructor(readonly startLsn: bigint) {
    this.confirmedLsn = startLsn;
    this.receivedLsn = startLsn;
  }

  takeQueued(): StreamedTransaction | null {
    if (this.failure !== null) {
      throw this.failure;
    }
    return this.queue.shift() ?? null;
  }

  arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  askForProgress(): void {
    throw new Error('not part of these tests');
  }

  confirm(lsn: bigint): void {
    this.confirmedLsn = lsn;
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.failure ??= new CaptureError('internal', 'The replication stream has been closed.');
    this.wake();
    return this.closed;
  }
}

/** A route with a slot that is there; the table is empty and the WAL ends at 100. */
class World {
  nowMs = 1_000;
  state: SlotKeeperState = { kind: 'ready', slot: SLOT };
  mode: CaptureMode | null = null;
  check: () => Promise<SlotCheck> = () => Promise.resolve({ reading: READING, health: { kind: 'ready', slot: SLOT } });
  openStream: (startLsn: bigint) => Promise<FakeStream> = (startLsn) => Promise.resolve(this.streamAt(startLsn));
  readonly asked: string[] = [];
  readonly told: string[] = [];
  readonly streams: FakeStream[] = [];
  readonly capture: WalCapture;
  private isOver = false;

  constructor() {
    const note = (what: string) => () => {
      this.asked.push(what);
    };
    this.capture = new WalCapture({
      reader: {
        poll: () => this.polled(),
        flushedLsn: () => Promise.resolve(100n),
        forceFlush: () => Promise.resolve(),
        writers: () => Promise.resolve({ oldestXid: null, oldest: null }),
        sequence: () =>
          Promise.resolve({ cache: 1n, increment: 1n, isCycling: false, lastPosition: toPosition(99), leavesAhead: 9 }),
        ensureLeaves: () => Promise.resolve(),
        close: () => {
          this.isOver = true;
          return Promise.resolve();
        },
      },
      store: {
        claim: () => Promise.reject(new Error('not part of these tests')),
        save: () => Promise.resolve({ isPaused: false, mode: this.mode, xid: 20n }),
        release: () => Promise.resolve(),
      },
      clock: { nowMs: () => this.nowMs, sleep: () => Promise.resolve() },
      claimed: { high: toPosition(0), gaps: [] },
      options: DEFAULT_POLLING_OPTIONS,
      firstPage: new FirstPage(),
      mode: 'wal',
      modeSet: null,
      slotLimit: { retainedBytesMax: 1_000n, awayMs: 60_000, awayMaxMs: 60_000, forgivenAfterMs: 60_000 },
      readFence: (slotLsn) => Promise.resolve({ slotLsn, flushLsn: 100n, bound: 7n, lastPosition: 0n }),
      openStream: ({ startLsn }) => this.openStream(startLsn),
      keeperOf: () => this.keeper(note),
      changed: ({ message, isWarning }) => {
        this.told.push(`${isWarning ? 'warning' : 'info'}: ${message}`);
      },
    });
  }

  streamAt(startLsn: bigint): FakeStream {
    const stream = new FakeStream(startLsn);
    this.streams.push(stream);
    return stream;
  }

  /** Reads until the stream is read alone. */
  async streaming(): Promise<FakeStream> {
    for (let reads = 0; this.capture.status().reading !== 'stream' && reads < 10; reads += 1) {
      await this.capture.nextPage();
    }
    const stream = this.streams.at(-1);
    if (stream === undefined || this.capture.status().reading !== 'stream') {
      throw new Error('The stream is not read.');
    }
    return stream;
  }

  private polled(): Promise<PollResult> {
    return this.isOver
      ? Promise.reject(new CaptureError('internal', 'The connection to the source has been closed.'))
      : Promise.resolve({
          rows: [],
          isFull: false,
          snapshotXmin: 30n,
          insertLsn: 100n,
          flushLsn: 100n,
          lastPosition: toPosition(99),
        });
  }

  private keeper(note: (what: string) => () => void): CaptureKeeper {
    const current = (): SlotKeeperState => this.state;
    return {
      get state() {
        return current();
      },
      start: note('start'),
      remake: note('remake'),
      letGo: note('let go'),
      check: () => this.check(),
      emitHeartbeat: () => Promise.resolve(),
      stop: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }
}

/** Lets what was begun in the background go as far as it can. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    await Promise.resolve();
  }
}

const OVER_LIMIT = { reading: { ...READING, slots: [{ ...SLOT, retainedBytes: 2_000n }] } };

describe('capture from table and stream', () => {
  it('waits neither with pages nor with renewals for a look at the slot that is not answered', async () => {
    const world = new World();
    world.state = { kind: 'looking' };
    let looks = 0;
    world.check = () => {
      looks += 1;
      return new Promise(() => undefined);
    };
    world.nowMs += 10_000;
    await world.capture.nextPage();
    world.nowMs += 10_000;
    await world.capture.renew();
    expect(looks).toBe(1);
  });

  it('tells nothing of a stream that ends because the claim does', async () => {
    const world = new World();
    const stream = await world.streaming();
    const refused = expect(world.capture.nextPage()).rejects.toThrow('The connection to the source has been closed.');
    await settle();
    await world.capture.close();
    await refused;
    expect(stream.isClosed).toBe(true);
    expect(world.told).toEqual(['info: The route reads its replication stream.']);
  });

  it('opens no other stream before the pages of the last one are settled', async () => {
    const world = new World();
    const lost = await world.streaming();
    lost.queue.push({ xid: 1, committedAtMs: 0, rows: [row(1)], isLast: true, endLsn: 90n });
    const page = await world.capture.nextPage();
    expect(page.rowCount).toBe(1);
    lost.failure = new CaptureError('database_unavailable', 'cut');
    for (let reads = 0; reads < 5; reads += 1) {
      await world.capture.nextPage();
      world.nowMs += 1_000;
      await settle();
    }
    expect(world.streams).toHaveLength(1);

    await world.capture.settle(page);
    await settle();
    expect(world.streams).toHaveLength(2);
  });

  it('closes a stream that was being opened when its slot was let go, and leaves the slot alone', async () => {
    const world = new World();
    const opening = new Latch<FakeStream>();
    world.openStream = () => opening.opened;
    await world.capture.nextPage();
    world.check = () => Promise.resolve({ ...OVER_LIMIT, health: { kind: 'ready', slot: SLOT } });
    world.nowMs += 10_000;
    await world.capture.nextPage();
    await settle();
    expect(world.asked).toEqual(['start', 'let go']);

    world.state = { kind: 'let-go', reason: '' };
    world.check = () => Promise.resolve({ reading: READING, health: { kind: 'absent', name: SLOT.name } });
    const stream = world.streamAt(100n);
    opening.open(stream);
    await settle();
    await world.capture.nextPage();
    expect(stream.isClosed).toBe(true);
    expect(world.asked).toEqual(['start', 'let go']);
  });

  it('lets the slot go while nothing is read, as on a route that is paused', async () => {
    const world = new World();
    const stream = await world.streaming();
    world.mode = 'polling';
    await world.capture.renew();
    expect(stream.isClosed).toBe(true);
    expect(world.asked).toEqual(['start', 'let go']);
  });

  it('has no slot made when the mode has become polling while an unfit stream was being closed', async () => {
    const world = new World();
    const stream = await world.streaming();
    const closing = new Latch<void>();
    stream.closed = closing.opened;
    world.check = () => Promise.resolve({ reading: READING, health: { kind: 'publication-wrong' } });
    world.nowMs += 10_000;
    await world.capture.renew();
    await settle();
    world.mode = 'polling';
    await world.capture.renew();
    await world.capture.nextPage();
    closing.open();
    await settle();
    expect(world.asked).toEqual(['start', 'let go']);
    expect(world.capture.status()).toMatchObject({ mode: 'polling', reading: 'table', streamsLost: 1 });
  });
});
