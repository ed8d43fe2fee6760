/** One record as it came. Its bytes belong to the receiver; nothing below changes them. */
export interface Delivery {
  readonly topic: string;
  readonly partition: number;
  /** Where a broker has no offsets: by which the records of a key are in order. */
  readonly offset: bigint;
  /** The broker's own name of the record, where offsets do not name it. */
  readonly messageId?: string;
  /** Null where the producer gave none. */
  readonly key: Buffer | null;
  /** Null for a tombstone of a compacted topic. */
  readonly value: Buffer | null;
  /** By name in UTF-8; of a name that came more than once, the last value. */
  readonly headers: ReadonlyMap<string, Buffer>;
  /** Milliseconds since 1970, as the producer or the broker stamped it. */
  readonly timestampMs: number;
}

/** Records that follow each other, and the offsets that they stand for. */
export interface DeliveredChunk {
  /** In the order of their offsets; none where there is nothing but what a reader never gets, such as marks of transactions. */
  readonly deliveries: readonly Delivery[];
  /**
   * The first offset that the chunk covers: all that the broker has from here to `nextOffset` is in `deliveries`. It is the
   * `nextOffset` of the chunk before, unless what lay between is gone from the broker.
   */
  readonly firstOffset: bigint;
  readonly nextOffset: bigint;
  /** How many stay in memory for as long as any delivery of it is kept. */
  readonly bytes: number;
}

/**
 * A partition that is ours until its receiver is closed. Each assignment is a new object: one of an earlier assignment
 * has lost its meaning, and what it commits is ignored.
 */
export interface AssignedPartition {
  readonly topic: string;
  readonly partition: number;
  /** The offset that the group goes on from; null when it has none, then deliveries begin at the earliest record. */
  readonly committedOffset: bigint | null;
  /**
   * Lets the group go on from `nextOffset`, the first offset that is not done. Never blocks and never throws: the
   * subscription sends the newest value of each partition once per interval, and again when it is closed or stopped.
   * Call it only once everything below is durable.
   */
  commit(nextOffset: bigint): void;
  /**
   * Only there where a broker has no offsets (a queue). Then nothing may be kept by offset, and `commit` does nothing:
   * records are done one by one, in any order. Call it for each as soon as it is durable; it never blocks and never throws.
   */
  readonly settle?: (delivery: Delivery) => void;
}

/** Takes the records of one assignment. */
export interface PartitionReceiver {
  /**
   * The first offset that the receiver has not done, where it keeps that itself. Deliveries begin there when it lies below
   * the committed offset: a receiver whose database was set back asks for what it has lost. One above it is ignored.
   */
  readonly startOffset?: bigint | null;
  /**
   * Takes chunks in the order of their offsets and resolves when it can take more: until then the subscription gives it
   * none, and fetches only what its byte limit allows. Calls do not overlap. A rejection is a fault of the receiver: the
   * subscription is built anew, and everything from the last commit on comes again.
   */
  receive(chunk: DeliveredChunk): Promise<void>;
  /**
   * The assignment ends (rebalance, rebuild, stop). Resolves when what had begun is done and committed; what had not
   * begun is dropped. Called once, possibly while a `receive` is pending, which it must let end. Must not reject. The
   * subscription waits for it no longer than its drain time.
   */
  close(): Promise<void>;
}

/** Makes the receivers of a subscription. */
export interface SubscriptionListener {
  /**
   * A partition has become ours. Records follow once it resolves; a rejection builds the subscription anew. `signal` is
   * aborted when the assignment ends before that; then what it resolves or rejects with is closed or ignored.
   */
  open(partition: AssignedPartition, signal: AbortSignal): Promise<PartitionReceiver>;
}

/** How a subscription stands. `reason` is a sentence for an operator; no payload, no secret. */
export type SubscriptionStatus =
  | { readonly kind: 'idle' }
  /** Joining the group. */
  | { readonly kind: 'joining' }
  /** A member of the group; `partitions` may be 0 when others have them all. `missingTopics` do not exist yet. */
  | { readonly kind: 'running'; readonly partitions: number; readonly missingTopics: readonly string[] }
  /** The client failed and a new one is being built, for the `attempt`-th time since it last ran. */
  | { readonly kind: 'rebuilding'; readonly reason: string; readonly attempt: number }
  | { readonly kind: 'stopped' };

/**
 * Where a consumer's records come from.
 *
 * Delivery: at least once, in offset order per partition, from the group's committed offset on; where there is none, or
 * it lies outside of what the broker still has, from the earliest record. Never skips to the end. A partition is
 * delivered to one receiver at a time within this process; across processes a member that was thought dead may still be
 * at work, so the receiver needs its own guard against twins.
 *
 * Failure: supervises its client itself: a crash, a missed heartbeat, a failed fetch or a receiver's rejection closes all
 * receivers and builds a new client, with growing pauses, for ever. A topic that does not exist yet is waited for.
 */
export interface SubscriptionPort {
  readonly kind: string;
  status(): SubscriptionStatus;
  /** Begins; returns at once, joining goes on behind it. Throws `SinkError` `configuration` for what no retry can mend. */
  start(listener: SubscriptionListener): Promise<void>;
  /** Stops fetching, closes the receivers, sends the last commits, leaves the group. Idempotent, safe before start. */
  stop(): Promise<void>;
}
