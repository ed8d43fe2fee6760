import { type TopicPartition } from './assign-partitions.js';
import { type ByTopic } from './wire/group-apis.js';

/** Groups partitions as requests want them. */
export function byTopic<From extends TopicPartition, Item>(
  partitions: Iterable<From>,
  itemOf: (partition: From) => Item,
): ByTopic<Item>[] {
  const topics = new Map<string, Item[]>();
  for (const partition of partitions) {
    const items = topics.get(partition.topic) ?? [];
    items.push(itemOf(partition));
    topics.set(partition.topic, items);
  }
  return [...topics].map(([topic, items]) => ({ topic, items }));
}

/** `topic/partition`, for maps and logs. */
export function partitionId({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
