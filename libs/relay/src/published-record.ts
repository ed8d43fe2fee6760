import { type PublishedRecord } from '@millrace/capture';
import { HEADER, toEventId, toPosition } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { type Route } from './route-config.js';
import { isOwnPartition } from './route-shard.js';

const NUMBER = /^\d{1,19}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * What a record of a topic says of the route that published it; `null` when that was another one, or nobody of ours. The
 * shards of a route count as one: a record may be of a time when there was another number of them.
 */
export function publishedRecordOf(delivery: Delivery, { source, shard }: Route): PublishedRecord | null {
  const { topic, partition, offset, headers } = delivery;
  const text = (name: string): string => headers.get(name)?.toString() ?? '';
  const route = text(HEADER.route);
  if (text(HEADER.source) !== source || (route !== shard.of && !route.startsWith(`${shard.of}/`))) {
    return null;
  }
  const [position, id, low] = [text(HEADER.position), text(HEADER.id), text(HEADER.low)];
  if (!NUMBER.test(position) || !UUID.test(id)) {
    return null;
  }
  return {
    position: toPosition(position),
    id: toEventId(id),
    low: toPosition(NUMBER.test(low) ? low : 0),
    topic,
    partition,
    offset,
    isOwn: isOwnPartition(shard, partition),
  };
}
