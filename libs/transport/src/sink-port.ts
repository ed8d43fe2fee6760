/** Name and value of a header. Share one Buffer per name, and per value that repeats: nothing below changes them. */
export type SinkHeader = readonly [name: Buffer, value: Buffer];

/** One record for a sink: bytes only, so that no client can print, parse or reinterpret a value. */
export interface SinkRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  /** In the order in which they go on the wire. */
  readonly headers: readonly SinkHeader[];
}

/** One ordered stream of a sink; at most one send of it may be in flight. For Kafka: a partition of a topic. */
export interface SinkLane {
  /** Unique within the sink, for maps, logs and metrics: `topic/partition`. */
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
}

/** What the sink says of an accepted batch: the offset of its first record in the lane. */
export interface SinkReceipt {
  readonly baseOffset: bigint;
}

/** What an implementation promises; the conformance suite and the route's lanes are driven by it. */
export interface SinkFeatures {
  readonly isOrdered: boolean;
  readonly recordBytesMax: number;
  readonly batchRecordsMax: number;
  readonly batchBytesMax: number;
}

/**
 * Where a route's events go.
 *
 * Delivery: `send` resolves only when the sink has durably accepted every record of the batch, in the given order.
 * A rejection is a `SinkError`. Its `outcome` is `refused` only when the sink definitely stored nothing and never
 * will (too large, invalid, not authorised); everything else is `unknown`: the records may or may not be there, and
 * the caller sends the same records in the same order again. Waiting before a resend is the caller's business;
 * refreshing the client's view of the cluster is the sink's and is done before `send` rejects.
 */
export interface SinkPort {
  readonly kind: string;
  readonly features: SinkFeatures;
  /** Connects; retries are the caller's. Idempotent. */
  start(): Promise<void>;
  /**
   * Makes or demands the topic and pins its lane count; cached per topic. A topic whose count has changed since is
   * pinned anew, and lanes of the earlier opening are refused; one that a send found deleted is made or demanded
   * again. Throws `SinkError` `topic_missing`.
   */
  openTopic(topic: string): Promise<SinkTopic>;
  send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt>;
  /** Waits for the sends in flight (bounded), then closes. Idempotent, safe before start. */
  stop(): Promise<void>;
}

/** A topic whose number of lanes is known. */
export interface SinkTopic {
  readonly name: string;
  readonly lanes: readonly SinkLane[];
  /** The lane of a key: the same for every producer, in every language, of this kind of sink. */
  laneOf(key: Buffer): SinkLane;
}
