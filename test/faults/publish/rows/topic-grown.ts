import { setTimeout as sleep } from 'node:timers/promises';
import { type PartitionOffsets, topicOffsets } from '@millrace/testing';
import { inSyncAgain, killFor, someLeader } from '../broker-faults.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { begin } from '../publish-scene.js';
import { growTopic } from '../topic-changes.js';
import { resume, stopsWith } from './refused.js';

const PARTITIONS = 12;
const MORE_PARTITIONS = 18;
/** Nobody tells the relay, and nothing fails: keys stay where they were. */
const UNNOTICED_MS = 5_000;
const NOTICED_MS = 60_000;
const RESUMED_MS = 5_000;

async function offsetsOf({ cluster, topic }: PublishScene): Promise<readonly PartitionOffsets[]> {
  return topicOffsets(cluster.directBrokers, topic);
}

/**
 * The relay notices at the next failure, or within five minutes: here a leader is killed. A consumer reads what there
 * is then to the end, as OPERATIONS.md tells its operator, before the route is resumed.
 */
export const TOPIC_GROWN: PublishRow = {
  id: '38b',
  title: `partitions increased from ${PARTITIONS} to ${MORE_PARTITIONS} under load: a named stop, resumed by the operator; order per key for who reads the earlier ones to the end first`,
  partitions: PARTITIONS,
  async run(scene) {
    const { world, lanes } = scene;
    world.explains(() => 'the kill left open whether it was stored');
    await begin(scene);
    await growTopic(scene, MORE_PARTITIONS);
    await sleep(UNNOTICED_MS);
    lanes.end();
    await killFor(await someLeader(scene));
    await inSyncAgain(scene);
    await stopsWith(scene, 'partition_count_changed', NOTICED_MS);
    const before = await offsetsOf(scene);
    const early = before.filter(({ partition, end }) => partition >= PARTITIONS && end > 0n);
    if (early.length > 0) {
      world.found('order', `${early.length} new partitions had records before the route was resumed`);
    }
    const ends = new Map(before.map(({ partition, end }) => [partition, end]));
    world.readsInTurns(({ partition, offset }) => Number(offset >= (ends.get(partition) ?? 0n)));
    await resume(scene);
    await world.recovers('the route was resumed');
    await sleep(RESUMED_MS);
    const after = await offsetsOf(scene);
    const taken = after.filter(({ partition, end }) => partition >= PARTITIONS && end > 0n);
    world.note(`${taken.length} new partitions taken`);
    if (taken.length < MORE_PARTITIONS - PARTITIONS) {
      world.found('unmet', `keys moved to ${taken.length} new partitions only`);
    }
  },
};
