import { ledgerName, type RouteShard } from '@millrace/capture';
import { type SinkTopic } from '@millrace/transport';
import { type Route } from './route-config.js';

/** The route as one of its shards runs it: under the name of its ledger. */
export function shardOf(route: Route, number: number, count: number): Route {
  const shard = { of: route.shard.of, number, count };
  return { ...route, name: ledgerName(shard), shard };
}

/** Whether a shard sends to the partition. */
export function isOwnPartition({ number, count }: RouteShard, partition: number): boolean {
  return partition % count === number - 1;
}

/**
 * Why a topic cannot be shared by so many shards; `null` when it can. Each shard has to have as many partitions as the
 * others: only then does the shard of a key not depend on how many partitions a relay has found.
 */
export function shardsProblem(topic: SinkTopic, count: number): string | null {
  const { length: partitions } = topic.lanes;
  return partitions % count === 0
    ? null
    : `Topic ${topic.name} has ${partitions} partitions, which ${count} shards cannot share evenly. ` +
        'Give the route a number of shards that divides them.';
}
