import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const EVENTS = 120;
/** The events among which the consumer is killed. */
const AMONG = 60;

/** Where, and how often it passes there at most while it applies so many events. */
function barriersOf(world: RowWorld): readonly (readonly [string, number])[] {
  if (world.setup.rule === 'claim-after-handler') {
    return [['before-late-claim', world.transactions(AMONG)]];
  }
  return [
    ['after-claim', AMONG],
    ['after-handler', AMONG],
    ['after-commit', world.transactions(AMONG)],
    ['before-progress', 1],
    ['after-progress', 1],
  ];
}

/** SIGKILL in the transaction, after its commit, before and after the progress is written, all before the offset. */
export const CRASH: FaultRow = {
  number: 42,
  title: 'SIGKILL in the transaction, and after its commit before the offset',
  wrongRules: [
    { name: 'claim-after-handler', text: 'the event is claimed after its handler has committed', expected: ['twice'] },
    {
      name: 'offset-before-commit',
      text: 'the offset is committed before the transaction, and alone says where to go on',
      expected: ['lost'],
    },
  ],
  async run(world) {
    for (const [barrier, passesMax] of barriersOf(world)) {
      await world.publish(world.events.many(EVENTS));
      const member = world.start('a');
      member.arm(barrier, 1 + world.random.below(passesMax));
      await member.reached(barrier);
      await member.end('SIGKILL');
    }
    await world.startAlone('a');
    const late = await world.settled();
    return [...late, ...(await world.verdict())];
  },
};
