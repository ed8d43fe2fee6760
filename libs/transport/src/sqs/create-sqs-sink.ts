import { type SinkPort } from '../sink-port.js';
import { type PayloadStore } from '../storage/payload-store.js';
import { SinkError } from '../transport.errors.js';
import { createAwsSqsClient } from './aws-sqs-client.js';
import { MessageWriter } from './message-writer.js';
import { areFifoQueues, endpointOf, type SqsConnection, type SqsQueues } from './sqs-config.js';
import { SqsSink } from './sqs-sink.js';

/** What `createSqsSink` takes. Times in milliseconds. */
export interface SqsSinkOptions {
  readonly connection: SqsConnection;
  /** Where the events of a topic go. All FIFO queues, or all standard ones. */
  readonly queues: SqsQueues;
  /** Requests in flight per topic, at most. 1 to 256, default 16. */
  readonly lanes?: number;
  /** Where payloads go that a queue does not take; without it such an event is refused. */
  readonly payloads?: PayloadStore;
  /** One answer of SQS. Default 9,000. */
  readonly requestTimeoutMs?: number;
  /** One send, which may take several requests. Default 60,000. */
  readonly sendDeadlineMs?: number;
  /** How long `stop` waits for sends in flight. Default 10,000. */
  readonly drainMs?: number;
}

const LANES_MAX = 256;
const BATCH_RECORDS_MAX = 100;
const BATCH_BYTES_MAX = 4_194_304;
/** What SQS takes of one message, and what is read into memory when it is a claim. */
const RECORD_BYTES_MAX = 1_048_576;
const CLAIM_BYTES_MAX = 268_435_456;

/**
 * A sink for SQS; nothing is opened before `start`. The AWS SDK (`@aws-sdk/client-sqs`) is an optional peer dependency,
 * loaded at `start`. Queues are not created. Throws `SinkError` `configuration` for options that make no sense.
 */
export function createSqsSink(options: SqsSinkOptions): SinkPort {
  const { connection, queues, lanes = 16, payloads = null } = options;
  const isOrdered = areFifoQueues(queues);
  const endpoint = endpointOf(connection, queues);
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > LANES_MAX) {
    throw new SinkError('configuration', `lanes is ${lanes} and must be a whole number from 1 to ${LANES_MAX}.`);
  }
  return new SqsSink({
    create: () => createAwsSqsClient(connection, endpoint),
    queues,
    writer: new MessageWriter(payloads),
    features: {
      isOrdered,
      isBatchAtomic: false,
      // for five minutes
      isDeduplicating: isOrdered,
      recordBytesMax: payloads === null ? RECORD_BYTES_MAX : CLAIM_BYTES_MAX,
      batchRecordsMax: BATCH_RECORDS_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
    },
    lanes,
    requestTimeoutMs: options.requestTimeoutMs ?? 9_000,
    sendDeadlineMs: options.sendDeadlineMs ?? 60_000,
    drainMs: options.drainMs ?? 10_000,
    now: () => performance.now(),
  });
}
