import { type SubscriptionEvent } from '../kafka/subscription-events.js';

/** What `createPostgresSink` takes. Times in milliseconds, sizes in bytes. */
export interface PostgresSinkOptions {
  /** The database that takes the events, with schema `millrace`; its user is a member of millrace_relay. */
  readonly databaseUrl: string;
  /** Of each topic that is made; topics that are there keep theirs. 1 to 1,000, default 6. */
  readonly partitions?: number;
  /** So long records stay that a consumer has not read. Default 604,800,000, seven days. */
  readonly keepMs?: number;
  /** So long records stay that all consumers have read: so far a repair after a fail-over can look back. Default 3,600,000. */
  readonly keepReadMs?: number;
  /** Connections, and so partitions that are written to side by side. Default 4. */
  readonly connectionsMax?: number;
  /** Of key, value and headers of one record. Default 8,388,608. */
  readonly recordBytesMax?: number;
  /** A send that has no answer by then is given up. Default 30,000. */
  readonly sendDeadlineMs?: number;
  /** How long a stop waits for the sends in flight. Default 10,000. */
  readonly drainMs?: number;
  /** Between two removals of old records. Default 5,000. */
  readonly removeIntervalMs?: number;
}

/** What `createPostgresSubscription` takes. Times in milliseconds, sizes in bytes. */
export interface PostgresSubscriptionOptions {
  /** The database that the relay delivers into; its user is a member of millrace_consumer. */
  readonly databaseUrl: string;
  /** The consumer's name: its members share the partitions, and its places are kept under it. */
  readonly consumer: string;
  /** At least one; topics that do not exist yet are waited for. */
  readonly topics: readonly string[];
  /** So long after its last sign of life a member keeps its partitions. Default 10,000. */
  readonly leaseMs?: number;
  /** Between two signs of life; at most a third of the lease. Default 1,000. */
  readonly beatMs?: number;
  /** The longest wait between two looks for new records while none come. Default 100. */
  readonly pollMs?: number;
  /** Between two writes of the places. Default 250. */
  readonly commitIntervalMs?: number;
  /** How long the closing of receivers is waited for. Default 5,000. */
  readonly drainMs?: number;
  /** Records and bytes of one chunk of one partition. Default 1,000 and 1,048,576; one record may be larger. */
  readonly chunkRecordsMax?: number;
  readonly chunkBytesMax?: number;
  /** For logs and metrics; must not throw. */
  readonly onEvent?: (event: SubscriptionEvent) => void;
}
