import { type PublishRow, type RowDescription } from './publish-row.js';
import { type QueueRow } from './queue/queue-row.js';
import { ACKS_LOST, CUT_IN_REQUEST, ONE_UNREACHABLE, SLOW_SINK } from './rows/broken-path.js';
import { BROKERS_AT_RANDOM, FIRST_BROKER_FROZEN, RESPONSES_LOST } from './rows/brokers-at-random.js';
import { KAFKAJS_CONTROL } from './rows/control.js';
import { LEADERS_KILLED, ONLY_BROKER_KILLED, QUORUM_LOST, TOO_FEW_IN_SYNC, ZOMBIE_LEADER } from './rows/kafka-down.js';
import { KILLED_AND_ONE_COPY } from './rows/kills.js';
import { RESENT_AFTER_WINDOW, SLOW_HANDLERS } from './rows/queue-copies.js';
import { FAILED_IGNORED, FIFO_REQUESTS_HARMED, GROUP_TOGETHER, STANDARD_REQUESTS_HARMED } from './rows/queue-faults.js';
import { EVENT_PARKED, EVENT_TOO_LARGE, QUOTA } from './rows/refused.js';
import { KILLED_AFTER_LEDGER, KILLED_BEFORE_LEDGER, RELAY_KILLED } from './rows/relay-killed.js';
import { SHARED_TOPIC } from './rows/shared-topic.js';
import { TOPIC_DELETED } from './rows/topic-gone.js';
import { TOPIC_GROWN } from './rows/topic-grown.js';

/**
 * The rows of the matrix that are about publishing to Kafka, in the order in which they run: first the one with a single
 * broker, so that all others can have the same Kafka.
 */
export const PUBLISH_ROWS: readonly PublishRow[] = [
  ONLY_BROKER_KILLED,
  RELAY_KILLED,
  KILLED_BEFORE_LEDGER,
  KILLED_AFTER_LEDGER,
  SLOW_SINK,
  LEADERS_KILLED,
  ZOMBIE_LEADER,
  TOO_FEW_IN_SYNC,
  ACKS_LOST,
  CUT_IN_REQUEST,
  ONE_UNREACHABLE,
  TOPIC_DELETED,
  TOPIC_GROWN,
  EVENT_TOO_LARGE,
  QUOTA,
  EVENT_PARKED,
  QUORUM_LOST,
  SHARED_TOPIC,
  KILLED_AND_ONE_COPY,
  BROKERS_AT_RANDOM,
  FIRST_BROKER_FROZEN,
  RESPONSES_LOST,
  KAFKAJS_CONTROL,
];

/** Those about publishing to SQS. They run once, whatever the Kafka client. */
export const QUEUE_ROWS: readonly QueueRow[] = [
  FIFO_REQUESTS_HARMED,
  STANDARD_REQUESTS_HARMED,
  FAILED_IGNORED,
  GROUP_TOGETHER,
  RESENT_AFTER_WINDOW,
  SLOW_HANDLERS,
];

/** The rows that are meant by `39a`, by `39`, which is all of that number, or by `D3`. */
export function rowsMeantBy<Row extends RowDescription>(
  rows: readonly Row[],
  names: readonly string[],
): readonly Row[] {
  return rows.filter(({ id }) => names.includes(id) || names.includes(/^D?\d+/.exec(id)?.[0] ?? ''));
}
