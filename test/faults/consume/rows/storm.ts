import { setTimeout as sleep } from 'node:timers/promises';
import { type ConsumerProcess } from '../../../harness/consumer-process.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const ROUNDS = 3;
const ROUND_MS = 3_000;
const EVENTS_PER_SECOND = 80;
const MEMBERS = ['b', 'c', 'd'];

/** Three more members come, work for a while and go: one leaves in order, the others are killed. */
async function scaleUpAndDown(world: RowWorld): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const joined = MEMBERS.map((member) => world.start(member));
    await Promise.all(joined.map(async (member) => member.hasPartitions(1)));
    await sleep(world.random.below(ROUND_MS / 3));
    await Promise.all(joined.map(async (member, index) => leave(member, (index + round) % 3)));
    await sleep(ROUND_MS);
  }
}

async function leave(member: ConsumerProcess, how: number): Promise<void> {
  await sleep(how * 100);
  await member.end(how === 0 ? 'SIGTERM' : 'SIGKILL');
}

/** Every partition changes hands several times while events come and handlers are at work. */
export const STORM: FaultRow = {
  number: 44,
  title: 'rebalance storm, 1 to 4 members and back every 3 s',
  wrongRules: [{ name: 'no-claims', text: 'the offset alone says what was applied', expected: ['twice'] }],
  async run(world) {
    await world.startAlone('a');
    await world.publishDuring(scaleUpAndDown(world), EVENTS_PER_SECOND, () => world.events.next({ workMs: 5 }));
    const late = await world.settled();
    return [...late, ...(await world.verdict())];
  },
};
