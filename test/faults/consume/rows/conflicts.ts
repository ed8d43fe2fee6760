import { setTimeout as sleep } from 'node:timers/promises';
import { type AppliedProblem } from '../applied-check.js';
import { type Asked } from '../event-maker.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const SECONDS = 8;
const EVENTS_PER_SECOND = 60;
const DOWN_MS = 1_000;
const LOCKS = [
  ['row-0', 'row-1'],
  ['row-1', 'row-0'],
];

/** A third of the events deadlock with each other, a third are refused two times in three, the rest just work. */
function askedFor(world: RowWorld): Asked {
  const kind = world.random.below(3);
  const locks = LOCKS[world.random.below(LOCKS.length)];
  return kind === 0 && locks !== undefined ? { locks } : { workMs: 5, ...(kind === 1 && { failure: 'transient' }) };
}

/** Stopped in order while handlers are at work, and later killed. */
async function restartPostgres({ setup }: RowWorld): Promise<void> {
  const { postgres } = setup.servers;
  await sleep((SECONDS * 1_000) / 4);
  await postgres.stop('fast');
  await sleep(DOWN_MS);
  await postgres.start();
  await sleep((SECONDS * 1_000) / 4);
  await postgres.kill();
  await sleep(DOWN_MS);
  await postgres.start();
}

/** None of these is an event's fault: nothing may be set aside. */
async function setAside(world: RowWorld): Promise<AppliedProblem[]> {
  const sql = 'select topic, key, status, code from millrace.inbox_held_key limit 3';
  const rows = await world.database.query<{ key: string; status: string; code: string }>(sql);
  return rows.map(({ key, status, code }) => ({ kind: 'other', text: `key ${key} is ${status}: ${code}` }));
}

export const CONFLICTS: FaultRow = {
  number: 45,
  title: 'serialization failures, deadlocks, PostgreSQL stopped and killed while events are applied',
  wrongRules: [
    {
      name: 'conflict-is-final',
      text: 'a serialization failure or a deadlock counts as the failure of the event',
      expected: ['late'],
    },
  ],
  async run(world) {
    await world.startAlone('a');
    await Promise.all([
      world.publishFor(SECONDS, EVENTS_PER_SECOND, () => world.events.next(askedFor(world))),
      restartPostgres(world),
    ]);
    const late = await world.settled();
    return [...late, ...(await setAside(world)), ...(await world.verdict())];
  },
};
