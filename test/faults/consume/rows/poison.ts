import { setTimeout as sleep } from 'node:timers/promises';
import { type RelayedEvent } from '../../../harness/record-writer.js';
import { type AppliedProblem } from '../applied-check.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const KEY = 'hot-0';
const EVENTS = 200;
const WITHIN_MS = 30_000;
const POLL_MS = 100;
/** So that a run sees the key parked after some seconds. */
const FEW_TRIES = { CONSUMER_MAX_ATTEMPTS: '2' };

const UNTIL_APPLIED_SQL = 'select count(*)::integer as count from effect where key <> $1';
const PARKED_SQL = "select 1 from millrace.inbox_held_key where key = $1 and status = 'parked'";

/** An event of the key whose handler fails until somebody heals it. */
async function poisoned(world: RowWorld): Promise<RelayedEvent> {
  const event = world.events.next({ failure: 'poisoned' }, KEY);
  await world.database.query('insert into poison values ($1)', [event.id]);
  return event;
}

async function isTrueInTime(isTrue: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + WITHIN_MS;
  while (performance.now() < deadline) {
    if (await isTrue()) {
      return true;
    }
    await sleep(POLL_MS);
  }
  return false;
}

async function othersApplied(world: RowWorld): Promise<AppliedProblem[]> {
  const others = world.committed.filter(({ key }) => key !== KEY).length;
  const count = async (): Promise<number> => {
    const [row] = await world.database.query<{ count: number }>(UNTIL_APPLIED_SQL, [KEY]);
    return row?.count ?? 0;
  };
  const isDone = await isTrueInTime(async () => (await count()) >= others);
  return isDone ? [] : [{ kind: 'late', text: `${await count()} of ${others} events of other keys applied` }];
}

/** Nothing of the key may have an effect before the event at its head. */
async function keyWaits(world: RowWorld): Promise<AppliedProblem[]> {
  const found = await world.database.query<{ version: number }>('select version from effect where key = $1', [KEY]);
  return found.map(({ version }) => ({ kind: 'order', text: `version ${version} of the poisoned key has an effect` }));
}

async function parked(world: RowWorld): Promise<AppliedProblem[]> {
  const isParked = await isTrueInTime(async () => (await world.database.query(PARKED_SQL, [KEY])).length > 0);
  return isParked ? [] : [{ kind: 'told', text: 'the key was not parked' }];
}

/** What an operator does once the handler is mended. A wrong rule may have parked nothing that could be released. */
async function healAndRelease(world: RowWorld): Promise<void> {
  await world.database.query('delete from poison');
  if ((await world.database.query(PARKED_SQL, [KEY])).length > 0) {
    await world.release(KEY);
  }
}

/** The key waits, others do not; a person has it tried again, and it goes on in order. */
export const POISON: FaultRow = {
  number: 46,
  title: 'an event that always fails, at the head of a hot key',
  wrongRules: [{ name: 'park-event-alone', text: 'the event is parked, its key is not', expected: ['order'] }],
  async run(world) {
    await world.startAlone('a', FEW_TRIES);
    await world.publish([await poisoned(world), ...world.events.many(EVENTS)]);
    const found = [...(await othersApplied(world)), ...(await parked(world)), ...(await keyWaits(world))];
    await world.publish(world.events.many(EVENTS));
    found.push(...(await othersApplied(world)));
    await healAndRelease(world);
    return [...found, ...(await world.settled()), ...(await world.verdict())];
  },
};

const CHAIN_EVENTS = 40;
const ARRIVALS_PER_SECOND = 15;
const ARRIVALS_MS = 4_000;

/** While the chain is worked off by one member, later events of its key come to another one. */
export const RELEASE: FaultRow = {
  number: 63,
  title: 'a parked key released while new events of it arrive',
  wrongRules: [
    { name: 'released-key-is-free', text: 'a key counts as free once its release has begun', expected: ['order'] },
  ],
  async run(world) {
    await Promise.all([world.start('a', FEW_TRIES).hasPartitions(2), world.start('b', FEW_TRIES).hasPartitions(2)]);
    const ofKey = (): RelayedEvent => world.events.next({ workMs: 20 }, KEY);
    await world.publish([await poisoned(world), ...Array.from({ length: CHAIN_EVENTS }, ofKey)]);
    const found = await parked(world);
    const released = healAndRelease(world).then(async () => sleep(ARRIVALS_MS));
    await world.publishDuring(released, ARRIVALS_PER_SECOND, ofKey);
    return [...found, ...(await world.settled()), ...(await world.verdict())];
  },
};
