import { type CaptureClock } from './capture-clock.js';
import { type GapBound } from './ledger.js';
import { type OutboxReaderPort } from './outbox-reader.js';

const OLD_GAP_MS = 1_000;
const WATCH_INTERVAL_MS = 250;

/**
 * The lock rule of gap death. An INSERT holds RowExclusiveLock on the outbox until its transaction (or the savepoint
 * it stands in) ends, so a bound below the xid of every holder belongs to writers that have all ended; a long
 * transaction elsewhere in the cluster, which holds back the snapshot's xmin, does not matter. The evidence counts
 * only for statements that begin after it was taken, hence it is gathered before the poll that uses it.
 *
 * Rests on: rows are inserted through the parent table, and positions come from the column's default alone (grants).
 */
export class WriterWatch {
  private ended = 0n;
  private watchedAtMs = Number.NEGATIVE_INFINITY;
  private oldestWriter: string | null = null;

  constructor(
    private readonly reader: OutboxReaderPort,
    private readonly clock: CaptureClock,
  ) {}

  /** Every outbox writer with an xid below this had ended when it was last looked at. */
  get endedBelow(): bigint {
    return this.ended;
  }

  /** The writer that has held gaps open longest, for an alarm. */
  get oldest(): string | null {
    return this.oldestWriter;
  }

  /**
   * Looks at the locks when what some bound stands for has outlived the usual way to end, or at once when `isUrgent`: the
   * bounds of gaps, and that of a fence.
   */
  async watch(bounds: Iterable<GapBound>, isUrgent: boolean): Promise<void> {
    const nowMs = this.clock.nowMs();
    if (nowMs - this.watchedAtMs < WATCH_INTERVAL_MS) {
      return;
    }
    // a bound that is known now was drawn before the statement below begins; later ones it says nothing of
    const covered = highestBound(bounds, isUrgent ? nowMs : nowMs - OLD_GAP_MS);
    if (covered <= this.ended) {
      return;
    }
    const { oldestXid, oldest } = await this.reader.writers();
    this.watchedAtMs = nowMs;
    this.oldestWriter = oldest;
    if (oldestXid === 'unknown') {
      return;
    }
    const ended = oldestXid !== null && oldestXid < covered ? oldestXid : covered;
    this.ended = ended > this.ended ? ended : this.ended;
  }
}

function highestBound(bounds: Iterable<GapBound>, knownBeforeMs: number): bigint {
  let highest = 0n;
  for (const { xid, knownAtMs } of bounds) {
    if (xid !== null && xid > highest && knownAtMs <= knownBeforeMs) {
      highest = xid;
    }
  }
  return highest;
}
