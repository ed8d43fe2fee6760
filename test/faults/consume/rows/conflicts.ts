import { setTimeout as sleep } from 'node:timers/promises';
import { type ConsumerProcess } from '../../../harness/consumer-process.js';
import { type AppliedProblem } from '../applied-check.js';
import { type Asked } from '../event-maker.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const AT_WORK_MS = 2_500;
const EVENTS_PER_SECOND = 60;
const DOWN_MS = 1_000;
const LOCKS = [
  ['row-0', 'row-1'],
  ['row-1', 'row-0'],
];

/** Some events deadlock with each other, some are refused every other time, the rest just work. */
function askedFor({ random }: RowWorld): Asked {
  const locks = LOCKS[random.below(LOCKS.length)];
  if (random.isOneIn(10) && locks !== undefined) {
    return { locks };
  }
  return { workMs: 5, ...(random.isOneIn(3) && { failure: 'transient' }) };
}

/** Stopped in order while handlers are at work, and later killed. */
async function restartPostgres({ setup }: RowWorld): Promise<void> {
  const { postgres } = setup.servers;
  await sleep(AT_WORK_MS);
  await postgres.stop('fast');
  await sleep(DOWN_MS);
  await postgres.start();
  await sleep(AT_WORK_MS);
  await postgres.kill();
  await sleep(DOWN_MS);
  await postgres.start();
}

/** None of these is an event's fault: nothing may be parked for it. */
async function parked(world: RowWorld): Promise<AppliedProblem[]> {
  const sql = "select key, code from millrace.inbox_held_key where status = 'parked' limit 3";
  const rows = await world.database.query<{ key: string; code: string }>(sql);
  return rows.map(({ key, code }) => ({ kind: 'other', text: `key ${key} is parked: ${code}` }));
}

/** A run without these faults would show nothing. */
function unmet(member: ConsumerProcess): AppliedProblem[] {
  return ['failed conflict', 'breaker open', 'breaker closed']
    .filter((line) => !member.hasSaid(line))
    .map((line) => ({ kind: 'told', text: `the consumer never said "${line}"` }));
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
    const member = await world.startAlone('a');
    await world.publishDuring(restartPostgres(world), EVENTS_PER_SECOND, () => world.events.next(askedFor(world)));
    const late = await world.settled();
    return [...late, ...unmet(member), ...(await parked(world)), ...(await world.verdict())];
  },
};
