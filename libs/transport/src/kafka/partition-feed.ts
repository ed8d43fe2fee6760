import { type DeliveredChunk, type PartitionReceiver, type SubscriptionListener } from '../subscription-port.js';
import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { within } from '../deadline.js';

/** A receiver did not do its part. `message` names the partition and the kind of error, and quotes nothing of it. */
export class ReceiverFailedError extends Error {
  override readonly name = 'ReceiverFailedError';

  constructor(partition: TopicPartition, verb: string, cause: unknown) {
    const kind = cause instanceof Error ? cause.name : typeof cause;
    super(`The receiver of ${partitionId(partition)} failed to ${verb}: ${kind}.`, { cause });
  }
}

/** Records of one fetch for one partition, read part by part when their turn comes. */
export interface FeedChunk {
  readonly firstOffset: bigint;
  readonly nextOffset: bigint;
  /** What it throws is a fault of the records. */
  read(): Iterable<DeliveredChunk>;
}

export interface PartitionFeedOptions extends TopicPartition {
  readonly committedOffset: bigint | null;
  readonly listener: SubscriptionListener;
  readonly commit: (nextOffset: bigint) => void;
  /** It can take another chunk. */
  readonly onHungry: () => void;
  /** What comes next cannot be read: it is hungry again, where that begins. */
  readonly onUnreadable: (error: unknown) => void;
  /** The receiver failed, or could not be opened; told once at most. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * One assigned partition: gives its receiver one chunk after the other, and keeps at most one more waiting. Where the next
 * fetch begins is its to know.
 */
export class PartitionFeed implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The offset of the next fetch. */
  position: bigint;
  readonly #opening: Promise<void>;
  #receiver: PartitionReceiver | undefined;
  #waiting: FeedChunk | undefined;
  #isBusy = false;
  #hasDelivered = false;
  readonly #closing = new AbortController();

  constructor(private readonly options: PartitionFeedOptions) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.position = options.committedOffset ?? 0n;
    this.#opening = this.#open();
  }

  /** False while there is neither a committed offset nor a record before: then any first offset will do. */
  get expectsOffset(): boolean {
    return this.options.committedOffset !== null || this.#hasDelivered;
  }

  get hasDelivered(): boolean {
    return this.#hasDelivered;
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  get isHungry(): boolean {
    return this.#receiver !== undefined && this.#waiting === undefined && !this.#isClosed;
  }

  /** Refuses, and stays where it is, unless it is hungry. */
  offer(chunk: FeedChunk): void {
    if (this.isHungry) {
      this.position = chunk.nextOffset;
      this.#hasDelivered = true;
      this.#waiting = chunk;
      void this.#deliver();
    }
  }

  /** Gives nothing more to the receiver and closes it. False when that took longer than `drainMs`. Never rejects. */
  async close(drainMs: number): Promise<boolean> {
    this.#closing.abort();
    this.#waiting = undefined;
    return within(drainMs, this.#closeReceiver(), () => false);
  }

  async #open(): Promise<void> {
    const { topic, partition, committedOffset, commit, listener, onHungry, onFailure } = this.options;
    try {
      this.#receiver = await listener.open({ topic, partition, committedOffset, commit }, this.#closing.signal);
      this.#beginAt(this.#receiver.startOffset ?? null);
      onHungry();
    } catch (error) {
      if (!this.#isClosed) {
        onFailure(new ReceiverFailedError(this, 'open', error));
      }
    }
  }

  async #closeReceiver(): Promise<boolean> {
    await this.#opening;
    try {
      await this.#receiver?.close();
    } catch (error) {
      this.options.onFailure(new ReceiverFailedError(this, 'close', error));
    }
    return true;
  }

  async #deliver(): Promise<void> {
    if (this.#isBusy) {
      return;
    }
    this.#isBusy = true;
    try {
      for (let chunk = this.#take(); chunk !== undefined; chunk = this.#take()) {
        await this.#give(chunk);
      }
    } catch (error) {
      this.#closing.abort();
      this.options.onFailure(error);
    }
    this.#isBusy = false;
  }

  async #give(chunk: FeedChunk): Promise<void> {
    let { firstOffset: next } = chunk;
    try {
      for (const part of chunk.read()) {
        if (this.#isClosed) {
          return;
        }
        await this.#receive(part);
        next = part.nextOffset;
      }
    } catch (error) {
      if (error instanceof ReceiverFailedError) {
        throw error;
      }
      this.#goBack(next, error);
    }
  }

  #goBack(next: bigint, error: unknown): void {
    if (!this.#isClosed) {
      this.#waiting = undefined;
      this.position = next;
      this.options.onUnreadable(error);
    }
  }

  /** Only ever back: a topic that was made again begins anew, whatever its receiver remembers. */
  #beginAt(startOffset: bigint | null): void {
    if (startOffset !== null && startOffset < this.position) {
      this.position = startOffset;
    }
  }

  async #receive(chunk: DeliveredChunk): Promise<void> {
    try {
      await this.#receiver?.receive(chunk);
    } catch (error) {
      throw new ReceiverFailedError(this, 'receive', error);
    }
  }

  #take(): FeedChunk | undefined {
    const chunk = this.#waiting;
    this.#waiting = undefined;
    if (chunk !== undefined) {
      this.options.onHungry();
    }
    return chunk;
  }
}
