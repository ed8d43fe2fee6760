import { toPosition } from '@millrace/events';
import { type DataSource } from 'typeorm';
import { type PartitionProgress } from './inbox-port.js';
import {
  PRUNE_EXPIRED,
  PRUNE_SEALED,
  READ_FLOORS,
  READ_PARTITION,
  SAVE_PROGRESS,
  SEAL_FLOORS,
} from './inbox-progress.sql.js';
import { runStatement } from './inbox-transaction.js';

const PRUNE_INTERVAL_MS = 1_000;
const EXPIRE_INTERVAL_MS = 60_000;
const PRUNE_ROWS = 5_000;
const PRUNE_ROUNDS = 20;

/** How far one consumer has applied its partitions, and the removal of the claims that this makes superfluous. */
export class InboxProgress {
  private prunedAtMs = Number.NEGATIVE_INFINITY;
  private expiredAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly dataSource: DataSource,
    private readonly consumer: string,
  ) {}

  async read(topic: string, partition: number): Promise<PartitionProgress> {
    const values = [this.consumer, topic, partition];
    const place = await runStatement<{ next_offset: string; hole_from: string | null; hole_to: string | null }>(
      this.dataSource,
      { text: READ_PARTITION, values },
    );
    const floors = await runStatement<{ source: string; route: string; floor: string }>(this.dataSource, {
      text: READ_FLOORS,
      values,
    });
    const [row] = place.rows;
    const isFrozen = row !== undefined && row.hole_from !== null && row.hole_to !== null;
    return {
      topic,
      partition,
      nextOffset: row === undefined ? null : BigInt(row.next_offset),
      hole: isFrozen ? { from: BigInt(row.hole_from ?? 0), to: BigInt(row.hole_to ?? 0) } : null,
      floors: floors.rows.map(({ source, route, floor }) => ({ source, route, floor: toPosition(floor) })),
    };
  }

  /** One statement for all partitions; then, at most once a second, the claims that are not needed any more are removed. */
  async save(progress: readonly PartitionProgress[]): Promise<void> {
    const moved = progress.filter(({ nextOffset }) => nextOffset !== null);
    if (moved.length > 0) {
      await runStatement(this.dataSource, {
        name: 'millrace_inbox_save_progress',
        text: SAVE_PROGRESS,
        values: [this.consumer, ...columnsOf(moved)],
      });
    }
    await this.prune();
  }

  private async prune(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.prunedAtMs < PRUNE_INTERVAL_MS) {
      return;
    }
    this.prunedAtMs = nowMs;
    await runStatement(this.dataSource, { text: SEAL_FLOORS, values: [this.consumer] });
    await this.removeAll(PRUNE_SEALED);
    if (nowMs - this.expiredAtMs >= EXPIRE_INTERVAL_MS) {
      this.expiredAtMs = nowMs;
      await this.removeAll(PRUNE_EXPIRED);
    }
  }

  /** In batches, so that no statement is long; what is left after them is for the next time. */
  private async removeAll(text: string): Promise<void> {
    for (let round = 0; round < PRUNE_ROUNDS; round++) {
      const { rowCount } = await runStatement(this.dataSource, { text, values: [this.consumer, PRUNE_ROWS] });
      if (rowCount !== PRUNE_ROWS) {
        return;
      }
    }
  }
}

/** In the order of the statement's parameters. */
function columnsOf(progress: readonly PartitionProgress[]): unknown[] {
  const floors = progress.flatMap(({ topic, partition, floors: own }) =>
    own.map((floor) => ({ topic, partition, ...floor })),
  );
  return [
    progress.map(({ topic }) => topic),
    progress.map(({ partition }) => partition),
    progress.map(({ nextOffset }) => String(nextOffset)),
    progress.map(({ hole }) => (hole === null ? null : String(hole.from))),
    progress.map(({ hole }) => (hole === null ? null : String(hole.to))),
    floors.map(({ topic }) => topic),
    floors.map(({ partition }) => partition),
    floors.map(({ source }) => source),
    floors.map(({ route }) => route),
    floors.map(({ floor }) => String(floor)),
  ];
}
