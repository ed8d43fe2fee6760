import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { type PartitionOffset } from './group-member.js';

interface Watermark extends TopicPartition {
  offset: bigint;
  sent: bigint | undefined;
  isPinned: boolean;
}

/** The newest offset of each partition of one assignment, and what of it the group has. Pure. */
export class CommitWatermarks {
  readonly #watermarks = new Map<string, Watermark>();
  readonly #forgotten = new Set<string>();

  /** Takes a watermark; one that is not above the last of its partition is ignored. True when there is now one to send. */
  raise({ topic, partition }: TopicPartition, offset: bigint): boolean {
    const id = partitionId({ topic, partition });
    if (this.#forgotten.has(id)) {
      return false;
    }
    const watermark = this.#watermarks.get(id);
    if (watermark === undefined) {
      this.#watermarks.set(id, { topic, partition, offset, sent: undefined, isPinned: false });
      return true;
    }
    if (offset > watermark.offset && !watermark.isPinned) {
      watermark.offset = offset;
      return true;
    }
    return false;
  }

  /** The group is to go on from `offset`, wherever it is, and what is raised after that does not count. */
  pin({ topic, partition }: TopicPartition, offset: bigint): void {
    this.#watermarks.set(partitionId({ topic, partition }), {
      topic,
      partition,
      offset,
      sent: undefined,
      isPinned: true,
    });
  }

  /** The group is to have no offset of this partition from here: what was raised, and is raised after that, does not count. */
  forget(partition: TopicPartition): void {
    this.#forgotten.add(partitionId(partition));
  }

  /** What the group does not have yet. */
  unsent(): readonly PartitionOffset[] {
    return [...this.#watermarks.values()]
      .filter((watermark) => watermark.offset !== watermark.sent && !this.#forgotten.has(partitionId(watermark)))
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
