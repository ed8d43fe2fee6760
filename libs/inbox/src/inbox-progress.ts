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

const EXPIRE_INTERVAL_MS = 60_000;
const PRUNE_ROWS = 5_000;

/** How far one consumer has applied its partitions, and the removal of the claims that this makes superfluous. */
export class InboxProgress {
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

  /** One statement for all partitions. */
  async save(progress: readonly PartitionProgress[]): Promise<void> {
    const moved = progress.filter(({ nextOffset }) => nextOffset !== null);
    if (moved.length > 0) {
      await runStatement(this.dataSource, {
        name: 'millrace_inbox_save_progress',
        text: SAVE_PROGRESS,
        values: [this.consumer, ...columnsOf(moved)],
      });
    }
  }

  /** Seals floors and removes one batch of claims, so that no statement is long. */
  async prune(): Promise<{ readonly isMoreLeft: boolean }> {
    await runStatement(this.dataSource, { text: SEAL_FLOORS, values: [this.consumer] });
    if (await this.removeBatch(PRUNE_SEALED)) {
      return { isMoreLeft: true };
    }
    if (performance.now() - this.expiredAtMs < EXPIRE_INTERVAL_MS) {
      return { isMoreLeft: false };
    }
    const isMoreLeft = await this.removeBatch(PRUNE_EXPIRED);
    if (!isMoreLeft) {
      this.expiredAtMs = performance.now();
    }
    return { isMoreLeft };
  }

  private async removeBatch(text: string): Promise<boolean> {
    const { rowCount } = await runStatement(this.dataSource, { text, values: [this.consumer, PRUNE_ROWS] });
    return rowCount === PRUNE_ROWS;
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
