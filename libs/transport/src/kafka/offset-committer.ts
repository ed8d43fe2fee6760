import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { CommitWatermarks } from './commit-watermarks.js';
import { isRejoinError, type PartitionOffset } from './group-member.js';
import { growingPauseMs } from '../growing-pause.js';
import { KafkaAnswerError } from './kafka-answer.js';
import { type PartitionResult } from './wire/group-apis.js';

export interface OffsetCommitterOptions {
  /** Resolves with the partitions that were refused; must reject once the generation is over. */
  readonly commit: (offsets: readonly PartitionOffset[]) => Promise<readonly PartitionResult[]>;
  readonly intervalMs: number;
  /** Told of the first of the commits that fail in a row, and of one that ends the generation. Others are sent again, after growing pauses. */
  readonly onFailure: (error: unknown, partitions: number) => void;
}

const MAX_PAUSE_MS = 5_000;

/** Sends the newest watermarks of one assignment to the group, once per interval and only when there are new ones. */
export class OffsetCommitter {
  readonly #watermarks = new CommitWatermarks();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #failures = 0;
  #isClosed = false;

  constructor(private readonly options: OffsetCommitterOptions) {}

  /** Never blocks and never throws; without effect once closed. */
  raise(partition: TopicPartition, nextOffset: bigint): void {
    if (!this.#isClosed && this.#watermarks.raise(partition, nextOffset)) {
      this.#schedule();
    }
  }

  /**
   * The group is to go on from `offset`, also when that is below what it has: the log was cut, or its topic made again.
   * What the receiver still raises belongs to the log of before and is ignored.
   */
  goBack(partition: TopicPartition, offset: bigint): void {
    this.#watermarks.pin(partition, offset);
    this.#schedule();
  }

  /** The log of this partition is gone: the offsets in it mean nothing to one that takes its place. */
  forget(partition: TopicPartition): void {
    this.#watermarks.forget(partition);
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
    const { intervalMs } = this.options;
    const pauseMs =
      this.#failures === 0
        ? intervalMs
        : growingPauseMs(this.#failures, { firstMs: 2 * intervalMs, maxMs: MAX_PAUSE_MS });
    this.#timer ??= setTimeout(() => {
      this.#sending = this.#send().finally(() => {
        this.#timer = undefined;
        if (!this.#isClosed && this.#watermarks.unsent().length > 0) {
          this.#schedule();
        }
      });
    }, pauseMs);
  }

  async #send(): Promise<void> {
    const offsets = this.#watermarks.unsent();
    if (offsets.length === 0) {
      return;
    }
    try {
      const refused = await this.options.commit(offsets);
      const refusedIds = new Set(refused.map(partitionId));
      this.#watermarks.settle(offsets.filter((offset: PartitionOffset) => !refusedIds.has(partitionId(offset))));
      const [first] = refused;
      if (first === undefined) {
        this.#failures = 0;
      } else {
        this.#fail(new KafkaAnswerError(first.errorCode, 'OffsetCommit'), refused.length);
      }
    } catch (error) {
      this.#fail(error, offsets.length);
    }
  }

  #fail(error: unknown, partitions: number): void {
    this.#failures += 1;
    if (this.#failures === 1 || isRejoinError(error)) {
      this.options.onFailure(error, partitions);
    }
  }
}
