import { type ConnectionSettings } from './client-settings.js';
import { type Decompress } from './record-chunk.js';

/** A request of Kafka's protocol, encoded; in a version without tagged fields. */
export interface WireRequest {
  readonly name: string;
  readonly key: number;
  readonly version: number;
  readonly body: Buffer;
}

/**
 * One broker, connected and logged in. A Fetch has a connection of its own, so that a broker that waits for records holds
 * up nothing else; requests on the same connection are answered in their order.
 */
export interface BrokerLink {
  /** Resolves with the answer's body. Rejects when the connection ends; has no deadline of its own that matters. */
  send(request: WireRequest): Promise<Buffer>;
  /** Ends the sockets at once; what is in flight rejects. */
  close(): void;
}

/**
 * What `KafkaSubscription` needs of a Kafka client, and all that an adapter may do: connections with TLS and login. An
 * adapter never retries, never prints and decides nothing: it rejects with what the client gave it, and
 * `kafka-errors.ts` says what that means.
 */
export interface KafkaConsumerPort {
  readonly decompress: Decompress;
  /** `address` is `host:port`. */
  connect(address: string): Promise<BrokerLink>;
}

/** What an adapter is made from. */
export interface KafkaConsumerSettings extends Omit<ConnectionSettings, 'brokers'> {
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  /** Longer than any request of ours is waited for. */
  readonly requestTimeoutMs: number;
  /** What one batch may unfold to. */
  readonly decompressedBytesMax: number;
}
