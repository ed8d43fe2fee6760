import { type Delivery } from './subscription-port.js';
import { type SinkError } from './transport.errors.js';

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

/** What the sink says of an accepted batch. */
export interface SinkReceipt {
  /** The offset of its first record in the lane; null where a sink has none, such as a queue. */
  readonly baseOffset: bigint | null;
}

/** What an implementation promises; the conformance suite and the route's lanes are driven by it. */
export interface SinkFeatures {
  /** The records of a key are stored in the order in which they were sent. */
  readonly isOrdered: boolean;
  /** The batch of a send is stored whole or not at all. */
  readonly isBatchAtomic: boolean;
  /** What this sink takes again after an outcome that is not known is stored once. */
  readonly isDeduplicating: boolean;
  /** By `recordBytes`; larger ones are refused. A server may take less. */
  readonly recordBytesMax: number;
  readonly batchRecordsMax: number;
  readonly batchBytesMax: number;
}

/** What to read back. */
export interface ReadBackRequest {
  /** Asked of every topic that there is. */
  readonly isWanted: (topic: string) => boolean;
  /** Milliseconds since 1970: older records are not needed, by the time that stands on them. */
  readonly sinceMs: number;
  readonly signal: AbortSignal;
}

/** `incomplete`: not everything since then is certain to be there still; `reason` is a sentence for an operator. */
export type ReadBackResult = { readonly kind: 'complete' } | { readonly kind: 'incomplete'; readonly reason: string };

/** Where the reading of a lane begins, and what is known of it from before. */
export interface TailFrom {
  readonly offset: bigint;
  /** Of the topic, when the offset was noted; `null`: it had none. */
  readonly topicId: string | null;
  /** Milliseconds since 1970: older records are not needed, by the time that stands on them. */
  readonly sinceMs: number;
  /** Records from this offset on are not needed; without it, all up to the end are. */
  readonly to?: bigint;
}

/** A lane whose end is wanted, and, unless `from` is `null`, what was stored there since. */
export interface TailStart {
  readonly topic: string;
  readonly partition: number;
  readonly from: TailFrom | null;
}

/**
 * What came of a lane. `read`: all records from where it began to `end` were handed on, but for `unreadable` batches that
 * are broken, or in a form that is not understood. `replaced`: there is no such lane, or its topic is another one now,
 * made anew under the same name. `cut`: the lane ends below where the reading was to begin. `topicId` is the present one,
 * `null` where the sink has none.
 */
export type TailEnd = { readonly topic: string; readonly partition: number } & (
  | {
      readonly kind: 'read';
      readonly topicId: string | null;
      readonly end: bigint;
      readonly records: number;
      readonly unreadable: number;
    }
  | { readonly kind: 'replaced'; readonly topicId: string | null }
  | { readonly kind: 'cut'; readonly topicId: string | null; readonly end: bigint }
  | { readonly kind: 'failed'; readonly error: SinkError }
);

/** Which lanes to read to their ends, and who is told. `take` and `ended` are called at once, and must not throw. */
export interface ReadTailsRequest {
  readonly lanes: readonly TailStart[];
  readonly signal: AbortSignal;
  /** Records of one lane, in their order, whoever sent them. */
  readonly take: (records: readonly Delivery[]) => void;
  /** Once for each lane, as soon as it is known. */
  readonly ended: (end: TailEnd) => void;
}

/**
 * Where a route's events go.
 *
 * Delivery: `send` resolves only when the sink has durably accepted every record of the batch, in the given order.
 * A rejection is a `SinkError`. Its `outcome` is `refused` only when the sink definitely stored nothing and never
 * will (too large, invalid, not authorised); where a sink takes records one by one, others of the batch may be stored, and
 * are left out when they come again in smaller batches. Everything else is `unknown`: the records may or may not be there, and
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
  /**
   * Reads back what topics have stored, whoever sent it: hands on the records of each lane in their order, a batch at a
   * time, up to the end that the lane had when it was looked at. Bounded in memory. Absent where a sink cannot be read.
   * Throws `SinkError`; what `take` throws comes through.
   */
  readonly readBack?: (
    request: ReadBackRequest,
    take: (records: readonly Delivery[]) => Promise<void>,
  ) => Promise<ReadBackResult>;
  /**
   * Reads lanes to the ends that they have when they are looked at; what fails is told lane by lane. Bounded in memory.
   * Absent where a sink cannot be read. Throws `SinkError` when nothing at all can be learnt.
   */
  readonly readTails?: (request: ReadTailsRequest) => Promise<void>;
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
