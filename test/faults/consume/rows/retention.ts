import { setTimeout as sleep } from 'node:timers/promises';
import { thawPartition } from '@millrace/inbox/admin';
import { topicOffsets } from '@millrace/testing';
import { type ConsumerProcess } from '../../../harness/consumer-process.js';
import { type AppliedProblem } from '../applied-check.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const EVENTS = 200;
/** Several writes of the progress: a floor that moved would have moved by then. */
const FLOORS_SETTLE_MS = 2_000;

const THAWED_WITHIN_MS = 20_000;
const POLL_MS = 200;

async function deleteAllRecords(world: RowWorld): Promise<void> {
  const offsets = await topicOffsets(world.setup.servers.kafka.brokers, world.group.topic);
  await world.group.deleteRecordsBelow(new Map(offsets.map(({ partition, end }) => [partition, end])));
}

/** Each partition says so, to its observers and in the database, and its floors stand where they stood. */
async function unfrozen(world: RowWorld, member: ConsumerProcess, floorsBefore: number): Promise<AppliedProblem[]> {
  const lines = Array.from({ length: world.partitions }, (_, partition) => `frozen ${partition}`);
  const untold = lines.filter((line) => !member.hasSaid(line));
  const [row] = await world.database.query<{ holes: number }>(
    'select count(*)::integer as holes from millrace.inbox_partition where hole_from is not null',
  );
  const moved = (await sumOfFloors(world)) - floorsBefore;
  return [
    ...untold.map((line) => ({ kind: 'told' as const, text: `the consumer never said "${line}"` })),
    ...(row?.holes === world.partitions
      ? []
      : [{ kind: 'told' as const, text: `${row?.holes ?? 0} holes are stored` }]),
    ...(moved === 0 ? [] : [{ kind: 'other' as const, text: 'the floors moved over a hole' }]),
  ];
}

/** A person accepts the holes once they are filled, and the floors move again. */
async function thawAll(world: RowWorld): Promise<AppliedProblem[]> {
  const request = { consumer: world.group.group, topic: world.group.topic, actor: 'the fault run', reason: 'filled' };
  for (let partition = 0; partition < world.partitions; partition += 1) {
    await thawPartition({ databaseUrl: world.database.url }, { ...request, partition });
  }
  const before = await sumOfFloors(world);
  const deadline = performance.now() + THAWED_WITHIN_MS;
  while (performance.now() < deadline) {
    await world.publish(world.events.many(EVENTS / 10));
    if ((await sumOfFloors(world)) > before) {
      return world.settled();
    }
    await sleep(POLL_MS);
  }
  return [{ kind: 'other', text: 'the floors do not move although the partitions were thawed' }];
}

async function sumOfFloors(world: RowWorld): Promise<number> {
  const [row] = await world.database.query<{ sum: number }>(
    'select coalesce(sum(floor), 0)::integer as sum from millrace.inbox_floor',
  );
  return row?.sum ?? 0;
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
    const floors = await sumOfFloors(world);
    const second = await world.startAlone('a');
    await world.database.hasApplied(2 * EVENTS, 20_000);
    await sleep(FLOORS_SETTLE_MS);
    const told = world.isOurs ? await unfrozen(world, second, floors) : [];
    await world.publishAgain([...missed, ...applied]);
    const late = await world.settled();
    const thawed = world.isOurs ? await thawAll(world) : [];
    return [...before, ...told, ...late, ...thawed, ...(await world.verdict(false))];
  },
};
