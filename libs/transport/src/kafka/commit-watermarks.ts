import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { type PartitionOffset } from './group-member.js';

interface Watermark extends TopicPartition {
  offset: bigint;
  sent: bigint | undefined;
}

/** The newest offset of each partition of one assignment, and what of it the group has. Pure. */
export class CommitWatermarks {
  readonly #watermarks = new Map<string, Watermark>();

  /** Takes a watermark; one that is not above the last of its partition is ignored. True when there is now one to send. */
  raise({ topic, partition }: TopicPartition, offset: bigint): boolean {
    const id = partitionId({ topic, partition });
    const watermark = this.#watermarks.get(id);
    if (watermark === undefined) {
      this.#watermarks.set(id, { topic, partition, offset, sent: undefined });
      return true;
    }
    if (offset > watermark.offset) {
      watermark.offset = offset;
      return true;
    }
    return false;
  }

  /** What the group does not have yet. */
  unsent(): readonly PartitionOffset[] {
    return [...this.#watermarks.values()]
      .filter(({ offset, sent }) => offset !== sent)
      .map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  /** The group has taken these. */
  settle(offsets: readonly PartitionOffset[]): void {
    for (const offset of offsets) {
      const watermark = this.#watermarks.get(partitionId(offset));
      if (watermark !== undefined) {
        watermark.sent = offset.offset;
      }
    }
  }
}
