import { type SinkRecord } from '../sink-port.js';
import { type ConnectionSettings } from './client-settings.js';
import { type KafkaCompression } from './kafka-config.js';

/** Every in-sync replica has the batch before it is acknowledged. There is no other setting. */
export const ACKS_ALL = -1;

export interface KafkaLane {
  readonly topic: string;
  readonly partition: number;
}

/** One send: one topic, one partition, in this order. */
export interface KafkaBatch extends KafkaLane {
  readonly records: readonly SinkRecord[];
  readonly acks: typeof ACKS_ALL;
  /** When the send began, milliseconds since 1970: the time of its records. */
  readonly sentMs: number;
  /** In idempotent mode. */
  readonly stamp?: ProducerStamp | undefined;
}

/** Who sends, to the brokers that count. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** By what a broker knows a batch that it has stored already. */
export interface ProducerStamp extends ProducerIdentity {
  /** The number of its first record in the partition, under this producer id. */
  readonly baseSequence: number;
}

/** One partition that the cluster says it has stored a batch in. */
export interface KafkaAck {
  readonly topic: string;
  readonly partition: number;
  /** -1 when the client was not told. */
  readonly baseOffset: bigint;
}

/**
 * What `KafkaSink` needs of a Kafka client, and all that an adapter may do.
 *
 * An adapter never retries a batch, never prints, keeps no queue and decides nothing: it rejects with what the client
 * gave it, and `kafka-errors.ts` says what that means.
 */
export interface KafkaProducerPort {
  /** Reaches a broker and authenticates; called once. */
  connect(): Promise<void>;
  /** Asks the cluster, never a cache, and takes the leaders of the answer over. Undefined: there is no such topic. */
  refreshTopic(topic: string): Promise<number | undefined>;
  /** Resolves too when the topic is there already. */
  createTopic(topic: string, shape: KafkaTopicShape): Promise<void>;
  /** Whether each leader serves its partition; in a new topic it refuses for some milliseconds. May reject instead. */
  isTopicServed(topic: string, partitions: number): Promise<boolean>;
  /** A producer id that nobody had before, of the lane's leader. Absent where a client keeps ids and numbers to itself. */
  readonly newProducerId?: (lane: KafkaLane) => Promise<ProducerIdentity>;
  /** Resolves with what the cluster acknowledged; the caller verifies it. */
  produce(batch: KafkaBatch): Promise<readonly KafkaAck[]>;
  /** Ends every socket at once; what is in flight rejects. Never rejects itself. */
  close(): Promise<void>;
}

export interface KafkaTopicShape {
  readonly partitions: number;
  readonly replication: number;
  /** By Kafka's names. */
  readonly settings: Readonly<Record<string, string>>;
}

/** What an adapter is made from: options with their defaults. */
export interface KafkaClientSettings extends ConnectionSettings {
  readonly clientId: string;
  readonly compression: KafkaCompression;
  readonly connectTimeoutMs: number;
  /** How long the broker waits for the replicas; below `requestTimeoutMs`. */
  readonly brokerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly metadataMaxAgeMs: number;
}
