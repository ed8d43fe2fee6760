import {
  type CapturedPage,
  type CaptureMode,
  type CapturePort,
  type CaptureStatus,
  type SettleResult,
} from './capture-port.js';
import { GapProbes } from './gap-probes.js';
import { HandOver } from './hand-over.js';
import { type LedgerPage, LedgerPages } from './ledger-pages.js';
import { type LedgerSaved } from './ledger-store.js';
import { type LedgerNotes } from './offsets/lane-offset.js';
import { toCaptureError } from './pg-connection.js';
import { ledgerStatus, settleResult } from './polling-capture.js';
import { describeSlot, type SlotHealth } from './slot/slot-health.js';
import { describeKeeper, type SlotKeeperState } from './slot/slot-keeper-state.js';
import { DEFAULT_SLOT_LIMIT } from './slot/slot-limit.js';
import { SlotWatch } from './slot/slot-watch.js';
import { StreamReader } from './stream-reader.js';
import { TableReader } from './table-reader.js';
import { type CaptureKeeper, type WalCaptureParts } from './wal-capture-parts.js';

/** A reader that waits for the stream comes back so often to see to what else there is. */
const WAIT_MS = 1_000;
/** In mode `auto` the table is read from so many positions, or bytes of WAL, behind. */
const FAR_BEHIND_POSITIONS = 100_000n;
const FAR_BEHIND_BYTES = 256n * 1024n * 1024n;
/** A stream cannot be read for the gaps alone, and one that stands still would never bring what fills them. */
const CROWDED =
  'There are too many gaps, so that of the table too only they are read until there are fewer; the status names who holds them open.';

/**
 * Capture in any mode, and from one mode to another while it runs. Contract: `CapturePort`.
 *
 * The table is the truth, the stream is the bell. Every claim begins by reading the table; the slot is made in the
 * background, and a fence tells from where the stream may go on. Until the stream has caught up with where the WAL ended
 * when it was opened, both are read. Whatever is in doubt about slot or stream ends in that start. Neither loses, doubles
 * or reorders: both fill one ledger, which hands out a position once; and whatever was taken from either, with each event
 * of a key all earlier ones of that key were taken.
 */
export class WalCapture implements CapturePort {
  readonly isSettled: CapturePort['isSettled'] = (position) => this.pages.isSettled(position);
  private readonly pages: LedgerPages;
  private readonly table: TableReader;
  private readonly probes: GapProbes;
  private readonly keeper: CaptureKeeper;
  private readonly handOver: HandOver;
  private readonly watch: SlotWatch;
  private mode: CaptureMode;
  private appliedMode: CaptureMode | null = null;
  private stream: StreamReader | null = null;
  /** Where the WAL ended when the stream was opened; `null` once the stream has come so far, and is read alone. */
  private joinLsn: bigint | null = null;
  /** Where the WAL ended when the table was read last. */
  private tableLsn = 0n;
  private isCaughtUp = false;
  private isReading = false;
  private isLooking = false;
  /** The mode, and the limit, want the slot; whatever befalls a stream, one that was let go stays away. */
  private isSlotWanted = false;
  private isClosed = false;
  private streamsLost = 0;

  constructor(private readonly parts: WalCaptureParts) {
    this.pages = new LedgerPages(parts.store, parts.clock, parts.claimed);
    this.table = new TableReader(parts, this.pages);
    this.probes = new GapProbes(parts.clock, this.pages, this.table);
    this.keeper = parts.keeperOf((state) => {
      this.keeperChanged(state);
    });
    this.handOver = new HandOver({ ...parts, keeper: this.keeper });
    this.watch = new SlotWatch(this.keeper, parts.clock, parts.slotLimit ?? DEFAULT_SLOT_LIMIT);
    this.mode = parts.modeSet ?? parts.mode;
  }

  async nextPage(): Promise<CapturedPage> {
    this.isReading = true;
    try {
      await this.applyMode();
      await this.table.takeCare();
      this.lookAtSlot();
      await this.openedStream();
      return (await this.streamPage()) ?? (await this.tablePage());
    } finally {
      this.isReading = false;
    }
  }

  async settle(page: CapturedPage, notes?: LedgerNotes): Promise<SettleResult> {
    const saved = await this.pages.settle(page, notes);
    this.handOver.pageSettled(page.number);
    this.stream?.settled();
    return this.saved(saved);
  }

  async renew(notes?: LedgerNotes): Promise<SettleResult> {
    const result = this.saved(await this.pages.renew(notes));
    if (!this.isReading) {
      await this.applyMode();
      await this.table.takeCare();
      this.lookAtSlot();
    }
    return result;
  }

  status(): CaptureStatus {
    const { mode, streamsLost } = this;
    return {
      mode,
      reading: this.isStreaming ? 'stream' : 'table',
      slot: mode === 'polling' ? null : this.watch.status(this.stream?.confirmedLsn ?? null),
      streamsLost,
      ...ledgerStatus(this.pages, this.table),
    };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const { store, reader } = this.parts;
    await Promise.all([
      store.release(),
      reader.close(),
      this.stream?.close(),
      this.handOver.close(),
      this.keeper.close(),
    ]);
  }

  private get isStreaming(): boolean {
    return this.stream !== null && this.joinLsn === null;
  }

  private saved({ mode, ...saved }: LedgerSaved): SettleResult {
    this.mode = mode ?? this.parts.mode;
    return settleResult(saved);
  }

  /** A change of mode takes effect between two reads, also while nothing is read because the route is paused. */
  private async applyMode(): Promise<void> {
    const before = this.appliedMode;
    if (before === this.mode) {
      return;
    }
    this.appliedMode = this.mode;
    if (this.mode !== 'polling') {
      if (before === null || before === 'polling') {
        this.isSlotWanted = true;
        this.keeper.start();
      }
      return;
    }
    // a slot of an earlier mode or configuration would hold the server's WAL for ever
    this.isSlotWanted = false;
    await this.leaveStream('The route is captured by polling.', false);
    await this.letSlotGo('The route is captured by polling and has no slot.');
  }

  /** In the background: no page waits for a slot. */
  private lookAtSlot(): void {
    if (this.appliedMode === null || this.appliedMode === 'polling' || this.isLooking) {
      return;
    }
    this.isLooking = true;
    void this.look(this.stream).finally(() => {
      this.isLooking = false;
    });
  }

  private async look(stream: StreamReader | null): Promise<void> {
    const look = await this.watch.lookWhenDue(() => ({
      ourPid: stream?.pid ?? null,
      confirmedLsn: stream?.confirmedLsn ?? null,
      isCaughtUp: this.isCaughtUp,
    }));
    if (this.isClosed || this.appliedMode === 'polling') {
      return;
    }
    if (look.kind === 'over-limit') {
      this.isSlotWanted = false;
      await this.leaveStream(look.reason, true);
      await this.letSlotGo(look.reason);
    } else if (look.kind === 'return') {
      this.isSlotWanted = true;
      this.keeper.start();
    } else if (look.kind === 'looked' && stream !== null && stream === this.stream) {
      await this.judge(look.health);
    }
  }

  /** Unless it is wanted again since. */
  private async letSlotGo(reason: string): Promise<void> {
    const abandoned = this.handOver.abandon();
    if (!this.isSlotWanted) {
      this.keeper.letGo(reason);
    }
    await abandoned;
  }

  private async judge(health: SlotHealth): Promise<void> {
    if (health.kind !== 'ready') {
      await this.leaveStream(describeSlot(health), true);
      this.mend(health.kind === 'ahead-of-us' ? 'remake' : 'start');
    } else if (this.appliedMode === 'auto' && this.isStreaming && this.isFarBehind) {
      await this.leaveStream(
        'The route is far behind and reads the table, which is faster, until it is near again.',
        false,
      );
    }
  }

  private get isFarBehind(): boolean {
    const positions = this.table.lastPosition - this.pages.state.high;
    return positions > FAR_BEHIND_POSITIONS || this.watch.walBehind(this.stream?.takenLsn ?? 0n) > FAR_BEHIND_BYTES;
  }

  /** Takes over a stream that has been opened meanwhile. */
  private async openedStream(): Promise<void> {
    try {
      const stream = this.handOver.takeStream();
      if (stream === null) {
        return;
      }
      if (this.stream !== null || !this.isSlotWanted || this.isClosed) {
        await stream.close();
        return;
      }
      const { pageRowsMax: rowsMax, pageBytesMax: bytesMax } = this.parts.options;
      this.stream = new StreamReader(stream, this.pages, { rowsMax, bytesMax });
      this.joinLsn = this.tableLsn;
    } catch (error) {
      this.tell(toCaptureError(error).message, true);
      this.streamsLost += 1;
      this.mend('start');
    }
  }

  private mend(how: 'start' | 'remake'): void {
    if (this.isSlotWanted) {
      this.keeper[how]();
    }
  }

  private async streamPage(): Promise<LedgerPage | null> {
    const { stream } = this;
    if (stream === null) {
      return null;
    }
    if (this.table.isCrowded) {
      await this.leaveStream(CROWDED, false);
      return null;
    }
    const died = this.isStreaming ? await this.probes.next(stream) : null;
    if (died !== null) {
      return died;
    }
    try {
      const page = stream.take(this.isStreaming ? this.tableLsn : null);
      this.tell(stream.strayNews(), true);
      return page ?? (await this.nothingCame(stream));
    } catch (error) {
      await this.streamFailed(stream, error);
      return null;
    }
  }

  private async nothingCame(stream: StreamReader): Promise<LedgerPage | null> {
    if (this.joinLsn !== null) {
      this.join(stream, this.joinLsn);
      return null;
    }
    this.isCaughtUp = true;
    await stream.arrival(this.probes.waitMs(WAIT_MS));
    return stream.take(this.tableLsn) ?? this.pages.nothing();
  }

  /** The stream is read alone once it has come to where the table was when the stream was opened. */
  private join(stream: StreamReader, joinLsn: bigint): void {
    if (stream.takenLsn >= joinLsn) {
      this.joinLsn = null;
      this.tell('The route reads its replication stream.', false);
    } else {
      stream.askForProgress();
    }
  }

  private async tablePage(): Promise<LedgerPage> {
    const { appliedMode } = this;
    if (appliedMode !== 'polling' && this.stream === null) {
      await this.handOver.beforePoll();
    }
    const read = await this.table.readPage(this.handOver.fenceBound);
    this.tableLsn = read.insertLsn;
    this.isCaughtUp = !read.page.isFull;
    this.handOver.pageRead(read);
    return read.page;
  }

  private async streamFailed(stream: StreamReader, error: unknown): Promise<void> {
    if (this.stream === stream) {
      await this.leaveStream(toCaptureError(error).message, true);
      this.mend('start');
    }
  }

  /** What was not taken is read from the table. */
  private async leaveStream(why: string, isLost: boolean): Promise<void> {
    const { stream } = this;
    if (stream === null) {
      return;
    }
    this.stream = null;
    this.joinLsn = null;
    this.isCaughtUp = false;
    this.probes.reset();
    if (isLost) {
      this.streamsLost += 1;
      this.handOver.streamLost();
    } else {
      this.handOver.reset();
    }
    this.tell(`The route reads the table. ${why}`, isLost);
    await stream.close();
  }

  private keeperChanged(state: SlotKeeperState): void {
    if (this.mode === 'polling') {
      if (state.kind === 'let-go') {
        void this.keeper.stop(); // its connection is not needed any more
      } else if (state.kind === 'failed') {
        this.tell(`The slot of the route could not be dropped. ${describeKeeper(state)}`, true);
      }
    } else if (state.kind !== 'idle') {
      this.tell(describeKeeper(state), state.kind === 'held-up' || state.kind === 'failed' || state.kind === 'let-go');
    }
  }

  private tell(message: string | null, isWarning: boolean): void {
    if (this.isClosed || message === null) {
      return; // a stream that ends with its claim is no news
    }
    const { reading, slot } = this.status();
    this.parts.changed({ reading, slot: slot?.state ?? null, message, isWarning });
  }
}
