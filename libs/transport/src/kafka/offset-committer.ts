import { type TopicPartition } from './assign-partitions.js';
import { CommitWatermarks } from './commit-watermarks.js';
import { type GroupMember, type PartitionOffset } from './group-member.js';
import { partitionId } from './by-topic.js';
import { KafkaAnswerError } from './kafka-answer.js';

export interface OffsetCommitterOptions {
  readonly member: GroupMember;
  readonly intervalMs: number;
  /** Told of each commit that failed; it is sent again at the next interval, unless the generation is over. */
  readonly onFailure: (error: unknown, partitions: number) => void;
}

/** Sends the newest watermarks of one assignment to the group, once per interval and only when there are new ones. */
export class OffsetCommitter {
  readonly #watermarks = new CommitWatermarks();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(private readonly options: OffsetCommitterOptions) {}

  /** Never blocks and never throws; without effect once closed. */
  raise(partition: TopicPartition, nextOffset: bigint): void {
    if (!this.#isClosed && this.#watermarks.raise(partition, nextOffset)) {
      this.#schedule();
    }
  }

  /** Sends what is left once the send in flight has ended, then takes nothing more. Never rejects. */
  async close(isStillMember: boolean): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#sending;
    if (isStillMember) {
      await this.#send();
    }
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#sending = this.#send().finally(() => {
        this.#timer = undefined;
        if (!this.#isClosed && this.#watermarks.unsent().length > 0) {
          this.#schedule();
        }
      });
    }, this.options.intervalMs);
  }

  async #send(): Promise<void> {
    const offsets = this.#watermarks.unsent();
    if (offsets.length === 0) {
      return;
    }
    try {
      const refused = await this.options.member.commit(offsets);
      const refusedIds = new Set(refused.map(partitionId));
      this.#watermarks.settle(offsets.filter((offset: PartitionOffset) => !refusedIds.has(partitionId(offset))));
      const [first] = refused;
      if (first !== undefined) {
        this.options.onFailure(new KafkaAnswerError(first.errorCode, 'OffsetCommit'), refused.length);
      }
    } catch (error) {
      this.options.onFailure(error, offsets.length);
    }
  }
}
