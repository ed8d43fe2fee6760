import { type PublishRow } from './publish-row.js';
import { BROKERS_AT_RANDOM, FIRST_BROKER_FROZEN, RESPONSES_LOST } from './rows/brokers-at-random.js';
import { KAFKAJS_CONTROL } from './rows/control.js';

/** The rows of the matrix that are about publishing, in the order in which they run. */
export const PUBLISH_ROWS: readonly PublishRow[] = [
  BROKERS_AT_RANDOM,
  FIRST_BROKER_FROZEN,
  RESPONSES_LOST,
  KAFKAJS_CONTROL,
];
