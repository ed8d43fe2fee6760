import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';
import { type ConsumerProcess } from '../../../harness/consumer-process.js';

const EVENTS = 400;
const WORK_MS = 10;
const LATER_EVENTS = 100;
const FROZEN_AT_PASS = 30;
/** Session timeout, rebalance and the end of the frozen transaction, each 3 s, with room for a busy machine. */
const TAKE_OVER_MS = 20_000;

/** One of two members stands still in a transaction; the other one gets all partitions. */
async function freezeOne(world: RowWorld): Promise<ConsumerProcess> {
  const frozen = world.start('a');
  const other = world.start('b');
  await Promise.all([frozen.hasPartitions(2), other.hasPartitions(2)]);
  frozen.arm('after-claim', FROZEN_AT_PASS);
  await world.publish(world.events.many(EVENTS, { workMs: WORK_MS }));
  await frozen.reached('after-claim');
  await other.hasPartitions(4);
  return frozen;
}

/** The zombie has claimed events, and holds records in memory that the other member has applied meanwhile. */
export const ZOMBIE: FaultRow = {
  number: 43,
  title: 'SIGSTOP for longer than the session, another member takes over, the zombie goes on',
  wrongRules: [{ name: 'no-claims', text: 'the offset alone says what was applied', expected: ['twice'] }],
  async run(world) {
    const zombie = await freezeOne(world);
    const late = await world.settled();
    await world.publish(world.events.many(LATER_EVENTS, { workMs: WORK_MS }));
    const rejoined = zombie.says('partitions 2');
    zombie.send('SIGCONT');
    await rejoined;
    return [...late, ...(await world.settled()), ...(await world.verdict())];
  },
};

/** The transaction that stands still holds claims and rows: the server has to end it. */
export const FROZEN_HOLDER: FaultRow = {
  number: 58,
  title: 'holder frozen inside a transaction, its twin goes on',
  wrongRules: [
    {
      name: 'endless-transaction',
      text: 'a transaction may stand still without limit (idle_in_transaction_session_timeout = 0)',
      expected: ['late'],
    },
  ],
  async run(world) {
    const frozen = await freezeOne(world);
    const late = await world.settled(TAKE_OVER_MS);
    await frozen.end('SIGKILL');
    return [...late, ...(await world.verdict())];
  },
};
