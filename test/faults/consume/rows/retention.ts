import { setTimeout as sleep } from 'node:timers/promises';
import { topicOffsets } from '@millrace/testing';
import { type AppliedProblem } from '../applied-check.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const EVENTS = 200;
/** Several writes of the progress: a floor that moved would have moved by then. */
const FLOORS_SETTLE_MS = 2_000;

async function deleteAllRecords(world: RowWorld): Promise<void> {
  const offsets = await topicOffsets(world.setup.servers.kafka.brokers, world.group.topic);
  await world.group.deleteRecordsBelow(new Map(offsets.map(({ partition, end }) => [partition, end])));
}

async function requireTold(world: RowWorld, partitions: number): Promise<AppliedProblem[]> {
  const [row] = await world.database.query<{ holes: number }>(
    'select count(*)::integer as holes from millrace.inbox_partition where hole_from is not null',
  );
  return row?.holes === partitions
    ? []
    : [{ kind: 'told', text: `${row?.holes ?? 0} of ${partitions} partitions tell of a hole` }];
}

/**
 * Records that were never read are gone. Then somebody publishes them anew, beside some that were applied meanwhile:
 * the first must be applied, the others not.
 */
export const RETENTION: FaultRow = {
  number: 41,
  title: "retention has passed the consumer's offset",
  wrongRules: [{ name: 'floor-over-hole', text: 'the floor goes on over a hole in the offsets', expected: ['lost'] }],
  async run(world) {
    const first = await world.startAlone('a');
    await world.publish(world.events.many(EVENTS));
    const before = await world.settled();
    await first.end('SIGTERM');
    const missed = world.events.many(EVENTS);
    await world.publish(missed);
    await deleteAllRecords(world);
    const applied = world.events.many(EVENTS);
    await world.publish(applied);
    await world.startAlone('a');
    await world.database.hasApplied(2 * EVENTS, 20_000);
    await sleep(FLOORS_SETTLE_MS);
    const told = world.isOurs ? await requireTold(world, world.partitions) : [];
    await world.publishAgain([...missed, ...applied]);
    const late = await world.settled();
    return [...before, ...told, ...late, ...(await world.verdict(false))];
  },
};
