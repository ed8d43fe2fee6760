import { type SubscriptionPort } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { connectionSettings, rotated } from './client-settings.js';
import { GroupMember } from './group-member.js';
import { GroupSession, type GroupSessionLimits } from './group-session.js';
import { KafkaCluster } from './kafka-cluster.js';
import { type KafkaClientName, type KafkaConnection } from './kafka-config.js';
import { type KafkaConsumerPort, type KafkaConsumerSettings } from './kafka-consumer-port.js';
import { KafkaSubscription } from './kafka-subscription.js';
import { createKafkajsConsumer } from './kafkajs-consumer.js';
import { createPlatformaticConsumer } from './platformatic-consumer.js';
import { type SubscriptionEvent } from './subscription-events.js';

/** What `createKafkaSubscription` takes. Times in milliseconds, sizes in bytes. */
export interface KafkaSubscriptionOptions {
  readonly client: KafkaClientName;
  readonly connection: KafkaConnection;
  /** Members of the same group share the partitions; offsets are kept by its name. */
  readonly groupId: string;
  /** At least one; topics that do not exist yet are waited for. */
  readonly topics: readonly string[];
  /** Shown in the brokers' logs and quotas. Default `millrace`. */
  readonly clientId?: string;
  /** After so long without a heartbeat the group gives the partitions to others. Default 30,000. */
  readonly sessionTimeoutMs?: number;
  /** Default 3,000; at most a third of the session timeout. */
  readonly heartbeatMs?: number;
  /** Of one answer of a broker; of a partition in it, a quarter. 262,144 to 16,777,216, default 2,097,152. */
  readonly fetchBytesMax?: number;
  /** What one batch may unfold to; one that is larger stops its partition. 1,048,576 to 1,073,741,824, default 134,217,728. */
  readonly decompressedBytesMax?: number;
  /** How long a broker waits for records before it answers that there are none. 10 to 5,000, default 1,000. */
  readonly maxWaitMs?: number;
  /** Between two commits. Default 250. */
  readonly commitIntervalMs?: number;
  /** How long the closing of receivers is waited for. Below the session timeout, default 10,000. */
  readonly drainMs?: number;
  /** Between two looks for topics that are missing; ten times that for new partitions. Default 1,000. */
  readonly missingTopicPollMs?: number;
  /** For logs and metrics; must not throw. */
  readonly onEvent?: (event: SubscriptionEvent) => void;
}

const CONNECT_TIMEOUT_MS = 3_000;
/** Connection, handshake and login. */
const LINK_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 9_000;
const FAREWELL_MS = 3_000;
const PAUSE = { firstMs: 250, maxMs: 3_000 };
const RAN_WELL_MS = 30_000;
/** A group waits for a member's drain and then some. */
const REBALANCE_MARGIN_MS = 20_000;

const CREATE: Readonly<Record<KafkaClientName, (settings: KafkaConsumerSettings) => Promise<KafkaConsumerPort>>> = {
  platformatic: createPlatformaticConsumer,
  kafkajs: createKafkajsConsumer,
};

/**
 * A subscription to topics of Kafka as a member of a consumer group, on the client of your choice; nothing is opened
 * before `start`. The client's package is an optional peer dependency, loaded at `start`. Throws `SinkError`
 * `configuration` for options that make no sense. Guarantees and errors: `SubscriptionPort`, and the README of this lib.
 */
export function createKafkaSubscription(options: KafkaSubscriptionOptions): SubscriptionPort {
  assertNames(options);
  const limits = limitsOf(options);
  const { fetchBytesMax = 2_097_152, decompressedBytesMax = 134_217_728, maxWaitMs = 1_000 } = options;
  assertWithin('fetchBytesMax', fetchBytesMax, 262_144, 16_777_216);
  assertWithin('decompressedBytesMax', decompressedBytesMax, 1_048_576, 1_073_741_824);
  assertWithin('maxWaitMs', maxWaitMs, 10, 5_000);
  const rebalanceTimeoutMs = limits.drainMs + REBALANCE_MARGIN_MS;
  return new KafkaSubscription({
    createClient: async () =>
      CREATE[options.client]({
        ...(await connectionSettings(options.connection)),
        clientId: options.clientId ?? 'millrace',
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        requestTimeoutMs: rebalanceTimeoutMs + 2 * REQUEST_TIMEOUT_MS,
        decompressedBytesMax,
      }),
    createSession: (client, parts) => {
      const cluster = new KafkaCluster({
        client,
        bootstrap: rotated(options.connection.brokers),
        connectTimeoutMs: LINK_TIMEOUT_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
      });
      const { groupId, topics } = options;
      const { sessionTimeoutMs } = limits;
      return new GroupSession({
        ...parts,
        cluster,
        member: new GroupMember(cluster, {
          groupId,
          sessionTimeoutMs,
          rebalanceTimeoutMs,
          requestTimeoutMs: REQUEST_TIMEOUT_MS,
        }),
        topics: [...new Set(topics)],
        limits,
        fetch: {
          decompress: client.decompress,
          bytesMax: fetchBytesMax,
          partitionBytesMax: Math.ceil(fetchBytesMax / 4),
          maxWaitMs,
          requestTimeoutMs: REQUEST_TIMEOUT_MS,
        },
      });
    },
    pause: PAUSE,
    ranWellMs: RAN_WELL_MS,
    onEvent: options.onEvent ?? (() => undefined),
  });
}

function limitsOf(options: KafkaSubscriptionOptions): GroupSessionLimits {
  const { sessionTimeoutMs = 30_000, missingTopicPollMs = 1_000 } = options;
  const { heartbeatMs = 3_000, commitIntervalMs = 250, drainMs = 10_000 } = options;
  assertWithin('sessionTimeoutMs', sessionTimeoutMs, 6_000, 1_800_000);
  assertWithin('heartbeatMs', heartbeatMs, 100, Math.floor(sessionTimeoutMs / 3));
  assertWithin('commitIntervalMs', commitIntervalMs, 10, 60_000);
  assertWithin('drainMs', drainMs, 0, sessionTimeoutMs - 1_000);
  assertWithin('missingTopicPollMs', missingTopicPollMs, 50, 60_000);
  return {
    sessionTimeoutMs,
    heartbeatMs,
    commitIntervalMs,
    drainMs,
    missingTopicPollMs,
    topicPollMs: 10 * missingTopicPollMs,
    farewellMs: FAREWELL_MS,
  };
}

function assertNames({ groupId, topics, connection }: KafkaSubscriptionOptions): void {
  if (groupId === '' || groupId.length > 249) {
    throw new SinkError('configuration', 'groupId must have 1 to 249 characters: give the name of the consumer group.');
  }
  if (topics.length === 0 || topics.some((topic) => topic === '')) {
    throw new SinkError('configuration', 'topics must name at least one topic, and none of them may be empty.');
  }
  if (connection.brokers.length === 0) {
    throw new SinkError('configuration', 'connection.brokers must name at least one broker as host:port.');
  }
}

function assertWithin(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new SinkError('configuration', `${name} is ${value} and must be a whole number from ${least} to ${most}.`);
  }
}
