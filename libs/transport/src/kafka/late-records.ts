import { SinkError } from '../transport.errors.js';
import { type KafkaTopicPolicy } from './kafka-config.js';

const DAY_MS = 86_400_000;
/** What decides about the time of a record. */
const OF_THE_TIME = 'message.timestamp.';

/** All settings of a topic that is made, by Kafka's names. */
export function topicSettingsOf({
  settings = {},
  refuseOlderThanMs,
}: Extract<KafkaTopicPolicy, { readonly create: true }>): Readonly<Record<string, string>> {
  if (refuseOlderThanMs === undefined) {
    return settings;
  }
  const limit = String(refuseOlderThanMs);
  return {
    ...settings,
    // a broker that stamps records itself finds none late
    [`${OF_THE_TIME}type`]: 'CreateTime',
    [`${OF_THE_TIME}before.max.ms`]: limit,
    // a clock that is ahead makes records late by so much later
    [`${OF_THE_TIME}after.max.ms`]: limit,
  };
}

/**
 * Throws `SinkError` `configuration` for a limit that would refuse what is not late: a request may be under way for as
 * long as its answer is waited for.
 */
export function assertLateRecords(policy: KafkaTopicPolicy, requestTimeoutMs: number): void {
  if (!policy.create || policy.refuseOlderThanMs === undefined) {
    return;
  }
  const { refuseOlderThanMs: limit, settings = {} } = policy;
  const least = 2 * requestTimeoutMs;
  if (!Number.isInteger(limit) || limit < least || limit > DAY_MS) {
    throw new SinkError(
      'configuration',
      `topics.refuseOlderThanMs is ${limit} and must be a whole number from ${least}, twice requestTimeoutMs, to ${DAY_MS}.`,
    );
  }
  const twice = Object.keys(settings).filter((name) => name.startsWith(OF_THE_TIME));
  if (twice.length > 0) {
    throw new SinkError(
      'configuration',
      `topics.settings has ${twice.join(', ')}, which topics.refuseOlderThanMs sets: give the one or the other.`,
    );
  }
}
