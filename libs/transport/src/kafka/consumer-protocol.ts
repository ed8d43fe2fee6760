import { type TopicPartition } from './assign-partitions.js';
import { byTopic } from './by-topic.js';
import { WireReader, WireWriter } from './wire/wire-buffers.js';

const VERSION = 0;
const NO_USER_DATA = Buffer.alloc(0);

/**
 * What a member tells its group: the topics that it wants. Source of both formats, which Kafka's own tools read too:
 * ConsumerProtocolSubscription.json and ConsumerProtocolAssignment.json of apache/kafka.
 */
export function encodeSubscription(topics: readonly string[]): Buffer {
  return new WireWriter()
    .int16(VERSION)
    .array([...topics].sort(), (to, topic) => to.string(topic))
    .bytes(NO_USER_DATA)
    .finish();
}

/** Of any version: the topics come first in all of them. */
export function decodeSubscription(bytes: Buffer): readonly string[] {
  const reader = new WireReader(bytes);
  reader.int16();
  return reader.array((topic) => topic.string());
}

/** What the leader of a group gives to a member. */
export function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  const topics = byTopic(partitions, ({ partition }) => partition);
  return new WireWriter()
    .int16(VERSION)
    .array(topics, (to, { topic, items }) => to.string(topic).array(items, (one, partition) => one.int32(partition)))
    .bytes(NO_USER_DATA)
    .finish();
}

/** Empty bytes are what a leader sends that had nothing for the member. */
export function decodeAssignment(bytes: Buffer): readonly TopicPartition[] {
  if (bytes.length === 0) {
    return [];
  }
  const reader = new WireReader(bytes);
  reader.int16();
  return reader
    .array((topics) => {
      const topic = topics.string();
      return topics.array((one) => ({ topic, partition: one.int32() }));
    })
    .flat();
}
