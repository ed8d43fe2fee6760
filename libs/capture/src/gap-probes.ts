import { type CaptureClock } from './capture-clock.js';
import { type GapRange } from './ledger.js';
import { type LedgerPage, type LedgerPages } from './ledger-pages.js';
import { type StreamReader } from './stream-reader.js';
import { type GapProbe, type TableReader } from './table-reader.js';

const INTERVAL_MIN_MS = 250;
const INTERVAL_MAX_MS = 2_000;
const ASK_MS = 100;

/**
 * How gaps die while a stream is read: a stream never tells of a rollback. A probe reads the gaps from the table. It only
 * kills, and publishes nothing (the table is ahead of the stream: an earlier event of the same key may still be on its
 * way), and what it found dead is settled once the stream has passed the place that the WAL had reached at the probe.
 */
export class GapProbes {
  private found: GapProbe | null = null;
  private intervalMs = INTERVAL_MIN_MS;
  private dueAtMs = 0;
  private askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly clock: CaptureClock,
    private readonly pages: LedgerPages,
    private readonly table: Pick<TableReader, 'probe'>,
  ) {}

  /** A page with which positions die; `null` when none do now. Throws `CaptureError` of the source. */
  async next(stream: Pick<StreamReader, 'takenLsn' | 'askForProgress'>): Promise<LedgerPage | null> {
    if (this.found !== null) {
      return this.bury(this.found, stream);
    }
    const nowMs = this.clock.nowMs();
    if (nowMs >= this.dueAtMs && this.pages.state.gaps.some(isBounded)) {
      const probe = await this.table.probe();
      const hasFound = probe.dead.length > 0;
      this.found = hasFound ? probe : null;
      this.intervalMs = hasFound ? INTERVAL_MIN_MS : Math.min(INTERVAL_MAX_MS, this.intervalMs * 2);
      this.dueAtMs = nowMs + this.intervalMs;
    }
    return null;
  }

  /** So long a reader may wait for rows before it comes back here. */
  waitMs(atMost: number): number {
    if (this.found !== null) {
      return Math.min(atMost, ASK_MS);
    }
    const { gaps } = this.pages.state;
    if (gaps.length === 0) {
      return atMost;
    }
    // a gap cannot be looked at before the ledger was written after its page was read: when the sink has answered, or to renew
    const leastMs = gaps.some(isBounded) ? 1 : INTERVAL_MIN_MS;
    return Math.min(atMost, Math.max(this.dueAtMs - this.clock.nowMs(), leastMs));
  }

  /** What was found belongs to a stream that is no more. */
  reset(): void {
    this.found = null;
  }

  private bury(found: GapProbe, stream: Pick<StreamReader, 'takenLsn' | 'askForProgress'>): LedgerPage | null {
    if (stream.takenLsn < found.insertLsn) {
      this.ask(stream);
      return null;
    }
    this.found = null;
    const page = this.pages.bury(found.dead);
    return page.isChanged ? page : null;
  }

  private ask(stream: Pick<StreamReader, 'askForProgress'>): void {
    const nowMs = this.clock.nowMs();
    if (nowMs - this.askedAtMs >= ASK_MS) {
      this.askedAtMs = nowMs;
      stream.askForProgress();
    }
  }
}

function isBounded({ bound }: GapRange): boolean {
  return bound.xid !== null;
}
