import { type PublishRow } from './publish-row.js';
import { ACKS_LOST, CUT_IN_REQUEST, ONE_UNREACHABLE, SLOW_SINK } from './rows/broken-path.js';
import { BROKERS_AT_RANDOM, FIRST_BROKER_FROZEN, RESPONSES_LOST } from './rows/brokers-at-random.js';
import { KAFKAJS_CONTROL } from './rows/control.js';
import { LEADERS_KILLED, ONLY_BROKER_KILLED, QUORUM_LOST, TOO_FEW_IN_SYNC, ZOMBIE_LEADER } from './rows/kafka-down.js';
import { EVENT_TOO_LARGE, QUOTA } from './rows/refused.js';
import { KILLED_AND_ONE_COPY } from './rows/kills.js';
import { KILLED_AFTER_LEDGER, KILLED_BEFORE_LEDGER, RELAY_KILLED } from './rows/relay-killed.js';
import { SHARED_TOPIC } from './rows/shared-topic.js';
import { TOPIC_DELETED } from './rows/topic-gone.js';

/** The rows of the matrix that are about publishing, in the order in which they run. */
export const PUBLISH_ROWS: readonly PublishRow[] = [
  RELAY_KILLED,
  KILLED_BEFORE_LEDGER,
  KILLED_AFTER_LEDGER,
  SLOW_SINK,
  ONLY_BROKER_KILLED,
  LEADERS_KILLED,
  ZOMBIE_LEADER,
  TOO_FEW_IN_SYNC,
  ACKS_LOST,
  CUT_IN_REQUEST,
  ONE_UNREACHABLE,
  TOPIC_DELETED,
  EVENT_TOO_LARGE,
  QUOTA,
  QUORUM_LOST,
  SHARED_TOPIC,
  KILLED_AND_ONE_COPY,
  BROKERS_AT_RANDOM,
  FIRST_BROKER_FROZEN,
  RESPONSES_LOST,
  KAFKAJS_CONTROL,
];
