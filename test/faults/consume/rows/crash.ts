import { type FaultRow } from '../fault-row.js';

const EVENTS = 120;
/** Where the consumer is killed, and how many passes before: somewhere among the events of the step. */
const BARRIERS: readonly (readonly [string, number])[] = [
  ['after-claim', 60],
  ['after-handler', 60],
  ['after-commit', 60],
  ['before-progress', 1],
  ['after-progress', 1],
];
/** One more, which only the wrong rule gets to. */
const LATE_CLAIM = ['before-late-claim', 60] as const;

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
    const isClaimedLate = world.setup.rule === 'claim-after-handler';
    for (const [barrier, passesMax] of isClaimedLate ? [LATE_CLAIM] : BARRIERS) {
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
