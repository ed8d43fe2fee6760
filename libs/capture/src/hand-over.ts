import { type CaptureClock } from './capture-clock.js';
import { CaptureError } from './capture.errors.js';
import { type GapBound } from './ledger.js';
import { toCaptureError } from './pg-connection.js';
import { confirmableLsn, FENCE_DOWN, type FenceMarks, fenceStep, type FenceState } from './slot/handover-fence.js';
import { describeSlot } from './slot/slot-health.js';
import { type SlotKeeper } from './slot/slot-keeper.js';
import { type OpenStream } from './stream-reader.js';
import { type TablePage } from './table-reader.js';

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
/** A stream that has lived so long was not in vain. */
const LIVED_MS = 60_000;

/** From the table to the stream. */
export interface HandOverParts {
  readonly clock: CaptureClock;
  readonly keeper: Pick<SlotKeeper, 'state' | 'start' | 'remake' | 'check'>;
  /** `readFenceMarks`, on a connection of the route's own. */
  readonly readFence: (slotLsn: bigint) => Promise<FenceMarks>;
  readonly openStream: (request: { readonly slot: string; readonly startLsn: bigint }) => Promise<OpenStream>;
}

/** What came of the opening of a stream. */
type Opened = { readonly stream: OpenStream } | { readonly error: CaptureError };

/**
 * The hand-over from the table to the stream, while the table is read on: when the slot is there, a fence is put up;
 * when it has fallen, a stream is opened at the LSN that it gave, in the background. Nothing waits for it.
 */
export class HandOver {
  private fence: FenceState = FENCE_DOWN;
  private bound: GapBound | undefined;
  private opening: Promise<void> | null = null;
  private opened: Opened | null = null;
  private isOver = false;
  /** How often all was abandoned. */
  private abandoned = 0;
  private failures = 0;
  /** `null` while there is no stream. */
  private openedAtMs: number | null = null;
  private notBeforeMs = 0;

  constructor(private readonly parts: HandOverParts) {}

  /** The bound of the fence that is up: the writers below it are looked at. */
  get fenceBound(): GapBound | undefined {
    return this.fence.kind === 'up' ? this.bound : undefined;
  }

  /** To be called before each poll. Throws `CaptureError` of the source. */
  async beforePoll(): Promise<void> {
    const { state } = this.parts.keeper;
    if (state.kind !== 'ready') {
      this.reset();
    } else if (this.isIdle && this.parts.clock.nowMs() >= this.notBeforeMs) {
      const marks = await this.parts.readFence(state.slot.confirmedFlushLsn ?? 0n);
      this.fence = fenceStep(this.fence, { kind: 'put-up', marks });
      this.bound = { xid: marks.bound, knownAtMs: this.parts.clock.nowMs() };
    }
  }

  /**
   * To be called after each poll. A poll leaves out what is on its way from an earlier stream: the fence falls when that
   * is settled too.
   */
  pageRead({ lastChanged, endedBelow, coveredTo }: TablePage): void {
    const isChanged = lastChanged > 0;
    this.fence = fenceStep(this.fence, { kind: 'page-read', page: lastChanged, isChanged, endedBelow, coveredTo });
    this.openWhenFallen();
  }

  /** To be called after each ledger write, of whatever page. */
  pageSettled(page: number): void {
    this.fence = fenceStep(this.fence, { kind: 'page-settled', page });
    this.openWhenFallen();
  }

  /** The stream, once it is open; from then on it is the caller's. Throws why it could not be opened, once. */
  takeStream(): OpenStream | null {
    const { opened } = this;
    this.opened = null;
    if (opened === null) {
      return null;
    }
    if ('error' in opened) {
      this.streamLost();
      throw opened.error;
    }
    this.openedAtMs = this.parts.clock.nowMs();
    return opened.stream;
  }

  /** The next stream is opened after a wait that grows while streams are lost soon. */
  streamLost(): void {
    const { clock } = this.parts;
    this.failures = this.openedAtMs !== null && clock.nowMs() - this.openedAtMs >= LIVED_MS ? 0 : this.failures;
    this.openedAtMs = null;
    this.notBeforeMs = clock.nowMs() + Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.failures);
    this.failures += 1;
    this.reset();
  }

  /** What the fence gave is void; a stream that is being opened is handed out all the same. */
  reset(): void {
    this.fence = fenceStep(this.fence, { kind: 'slot-lost' });
    this.bound = undefined;
  }

  /** The slot is let go: a stream that waits to be taken is closed, and one that is being opened as soon as it is open. */
  async abandon(): Promise<void> {
    this.abandoned += 1;
    this.reset();
    const { opened } = this;
    this.opened = null;
    await closeOf(opened);
  }

  /** A stream that is still being opened is closed as soon as it is open. */
  async close(): Promise<void> {
    this.isOver = true;
    await this.opening;
    await closeOf(this.opened);
  }

  private get isIdle(): boolean {
    const isDown = this.fence.kind === 'down' && confirmableLsn(this.fence) === null;
    return isDown && this.opening === null && this.opened === null;
  }

  private openWhenFallen(): void {
    const startLsn = confirmableLsn(this.fence);
    const { state } = this.parts.keeper;
    if (startLsn !== null && state.kind === 'ready' && this.opening === null && this.opened === null && !this.isOver) {
      const { abandoned } = this;
      const isVoid = (): boolean => this.abandoned !== abandoned;
      this.opening = this.open(state.slot.name, startLsn, isVoid)
        .then(
          (stream) => ({ stream }),
          (error: unknown) => ({ error: toCaptureError(error) }),
        )
        .then(async (opened) => {
          if (isVoid()) {
            await closeOf(opened);
          } else {
            this.opened = opened;
          }
          this.opening = null;
          this.reset();
        });
    }
  }

  /** Only a slot that we hold can be judged: before, somebody may move it between the look and the start. */
  private async open(slot: string, startLsn: bigint, isVoid: () => boolean): Promise<OpenStream> {
    const { keeper, openStream } = this.parts;
    const stream = await openStream({ slot, startLsn });
    try {
      if (isVoid()) {
        return stream;
      }
      if (stream.startLsn > startLsn) {
        keeper.remake();
        throw new CaptureError(
          'slot_lost',
          `Replication slot ${slot} stands ahead of what this relay has settled: somebody advanced it, or dropped it and ` +
            'made it anew. The route reads from the table what the slot passed over, and the slot is made anew.',
        );
      }
      const { health } = await keeper.check(() => ({ ourPid: stream.pid, confirmedLsn: stream.confirmedLsn }));
      if (health.kind !== 'ready' && !isVoid()) {
        (health.kind === 'ahead-of-us' ? keeper.remake : keeper.start).call(keeper);
        throw new CaptureError('slot_lost', describeSlot(health));
      }
      return stream;
    } catch (error) {
      await stream.close();
      throw error;
    }
  }
}

async function closeOf(opened: Opened | null): Promise<void> {
  if (opened !== null && 'stream' in opened) {
    await opened.stream.close();
  }
}
