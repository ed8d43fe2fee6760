import { type PayloadStore } from '../storage/payload-store.js';
import { type SubscriptionPort } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { createAwsSqsClient } from './aws-sqs-client.js';
import { endpointOf, queueUrlOf, type SqsConnection, type SqsQueues } from './sqs-config.js';
import { type SubscribedQueue, SqsSubscription } from './sqs-subscription.js';
import { type SqsSubscriptionEvent } from './sqs-subscription-events.js';

/** What `createSqsSubscription` takes. */
export interface SqsSubscriptionOptions {
  readonly connection: SqsConnection;
  /** Where the events of a topic come from. A queue belongs to one consumer: what one takes no other gets. */
  readonly queues: SqsQueues;
  /** At least one; several may share a queue. */
  readonly topics: readonly string[];
  /** Where payloads lie that a queue does not take; the same store as the relay's. */
  readonly payloads?: PayloadStore;
  /** How long SQS hides a message that is in work; extended while it is. 3 to 43,200, default 30. */
  readonly visibilitySeconds?: number;
  /** How long SQS waits for a message before it answers that there is none; so long `stop` may take. 1 to 20, default 5. */
  readonly waitSeconds?: number;
  /** Messages of a queue in work at a time. 1 to 10,000, default 100. */
  readonly inFlightMax?: number;
  /** A queue with a dead-letter queue must allow more receives than this (`maxReceiveCount`). Default 20. */
  readonly receivesMin?: number;
  /** How long the closing of receivers is waited for, in milliseconds. Default 10,000. */
  readonly drainMs?: number;
  /** One answer of SQS, in milliseconds, beside the wait for a message. Default 9,000. */
  readonly requestTimeoutMs?: number;
  /** Between two looks for a queue that is missing, in milliseconds. Default 5,000. */
  readonly missingQueuePollMs?: number;
  /** For logs and metrics; must not throw. */
  readonly onEvent?: (event: SqsSubscriptionEvent) => void;
}

/**
 * A subscription to queues of SQS; nothing is opened before `start`. The AWS SDK (`@aws-sdk/client-sqs`) is an optional
 * peer dependency, loaded at `start`. Each queue is one partition without offsets: `AssignedPartition.settle`. Throws
 * `SinkError` `configuration` for options that make no sense.
 */
export function createSqsSubscription(options: SqsSubscriptionOptions): SubscriptionPort {
  const { connection, queues, visibilitySeconds = 30, waitSeconds = 5, inFlightMax = 100, receivesMin = 20 } = options;
  assertWithin('visibilitySeconds', visibilitySeconds, 3, 43_200);
  assertWithin('waitSeconds', waitSeconds, 1, 20);
  assertWithin('inFlightMax', inFlightMax, 1, 10_000);
  assertWithin('receivesMin', receivesMin, 1, 999);
  const endpoint = endpointOf(connection, queues);
  return new SqsSubscription({
    create: () => createAwsSqsClient(connection, endpoint),
    queues: subscribedQueues(options),
    payloads: options.payloads ?? null,
    limits: { visibilitySeconds, waitSeconds, inFlightMax, receivesMin, drainMs: options.drainMs ?? 10_000 },
    requestTimeoutMs: options.requestTimeoutMs ?? 9_000,
    missingQueuePollMs: options.missingQueuePollMs ?? 5_000,
    onEvent: options.onEvent ?? (() => undefined),
  });
}

/** Each queue once, however many topics are in it. */
function subscribedQueues({ queues, topics }: SqsSubscriptionOptions): readonly SubscribedQueue[] {
  if (topics.length === 0) {
    throw new SinkError('configuration', 'topics must name at least one topic.');
  }
  const byUrl = new Map<string, SubscribedQueue>();
  for (const topic of topics) {
    const url = queueUrlOf(queues, topic);
    byUrl.set(url, byUrl.get(url) ?? { url, topic });
  }
  return [...byUrl.values()];
}

function assertWithin(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new SinkError('configuration', `${name} is ${value} and must be a whole number from ${least} to ${most}.`);
  }
}
