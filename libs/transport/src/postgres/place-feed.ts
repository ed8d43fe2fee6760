import {
  type AssignedPartition,
  type DeliveredChunk,
  type PartitionReceiver,
  type SubscriptionListener,
} from '../subscription-port.js';

/** A partition that this member has claimed. */
export interface ClaimedPlace {
  readonly partitionId: number;
  readonly topic: string;
  readonly partition: number;
  readonly committedOffset: bigint | null;
}

/** What a feed tells its session. */
export interface PlaceFeedEvents {
  /** It can take records, or has committed some, or is closed: there may be something to do. */
  changed(): void;
  /** The receiver has failed: the session is of no use any more. */
  failed(error: unknown): void;
}

/** The receiver's own fault: everything from the last commit on comes again. */
export class ReceiverFaultError extends Error {
  override readonly name = 'ReceiverFaultError';
}

/** One assignment: its receiver, where it reads next, and what it has committed. */
export class PlaceFeed {
  readonly #ending = new AbortController();
  #receiver: PartitionReceiver | null = null;
  #opening: Promise<void>;
  #receiving: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #isClosed = false;
  #next: bigint;
  #committed: bigint | null;
  #written: bigint | null;

  constructor(
    readonly place: ClaimedPlace,
    listener: SubscriptionListener,
    private readonly events: PlaceFeedEvents,
  ) {
    this.#next = place.committedOffset ?? 0n;
    this.#committed = place.committedOffset;
    this.#written = place.committedOffset;
    this.#opening = this.#open(listener);
  }

  /** The offset from which on it wants records. */
  get next(): bigint {
    return this.#next;
  }

  /** It is open and has nothing to do. */
  get isHungry(): boolean {
    return this.#receiver !== null && this.#receiving === null && this.#closing === null;
  }

  get isClosing(): boolean {
    return this.#closing !== null;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The offset that is to be written; null when there is none that is not. */
  get uncommitted(): bigint | null {
    return this.#committed === this.#written ? null : this.#committed;
  }

  /** It is in the database. */
  written(offset: bigint): void {
    this.#written = offset;
  }

  /** Goes on from another offset than it was at: what lay between is not there any more. */
  moveTo(offset: bigint): void {
    this.#next = offset;
  }

  /** Only while it is hungry. */
  take(chunk: DeliveredChunk): void {
    this.#next = chunk.nextOffset;
    this.#receiving = this.#receive(chunk);
  }

  /** Takes no more; resolves when the receiver is closed. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(listener: SubscriptionListener): Promise<void> {
    const { topic, partition, committedOffset } = this.place;
    const assigned: AssignedPartition = {
      topic,
      partition,
      committedOffset,
      commit: (nextOffset) => {
        if (!this.#isClosed) {
          this.#committed = nextOffset;
        }
      },
    };
    try {
      const receiver = await listener.open(assigned, this.#ending.signal);
      const { startOffset = null } = receiver;
      if (startOffset !== null && startOffset < this.#next) {
        this.#next = startOffset;
      }
      this.#receiver = receiver;
      this.events.changed();
    } catch (error) {
      this.#fail('could not be made', error);
    }
  }

  async #receive(chunk: DeliveredChunk): Promise<void> {
    try {
      await this.#receiver?.receive(chunk);
    } catch (error) {
      this.#fail('failed', error);
    }
    this.#receiving = null;
    this.events.changed();
  }

  async #close(): Promise<void> {
    this.#ending.abort();
    await this.#opening;
    await this.#receiver?.close().catch(() => undefined);
    await this.#receiving;
    this.#isClosed = true;
    this.events.changed();
  }

  #fail(what: string, cause: unknown): void {
    if (!this.#ending.signal.aborted) {
      const { topic, partition } = this.place;
      this.events.failed(new ReceiverFaultError(`The receiver of ${topic}/${partition} ${what}.`, { cause }));
    }
  }
}
