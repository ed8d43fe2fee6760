import { setTimeout as sleep } from 'node:timers/promises';
import { type AppliedProblem } from '../applied-check.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const EVENTS = 200;
const FROZEN_AT_EVENT = 40;
/** A floor is sealed after ten seconds; what it covers is removed soon after. */
const PRUNED_WITHIN_MS = 30_000;
const POLL_MS = 200;
const CLAIMS_SQL = 'select count(*)::integer as claims from millrace.inbox';

/** Waits until the claims of nearly all that was applied are gone: the newest page keeps its own. */
async function pruned(world: RowWorld): Promise<AppliedProblem[]> {
  const deadline = performance.now() + PRUNED_WITHIN_MS;
  let claims = -1;
  while (performance.now() < deadline) {
    await world.publish(world.events.many(1)); // its low lies above all before it
    const [row] = await world.database.query<{ claims: number }>(CLAIMS_SQL);
    claims = row?.claims ?? -1;
    if (claims < EVENTS / 2) {
      return [];
    }
    await sleep(POLL_MS);
  }
  return [{ kind: 'other', text: `${claims} claims were not removed in ${PRUNED_WITHIN_MS / 1_000} s` }];
}

/**
 * Twice records come again whose claims are gone: from a member that stood still before its claim while another one
 * applied them, and from the beginning of the topic.
 */
export const REDELIVERY: FaultRow = {
  number: 62,
  title: 'claims removed, then redelivery from before: by a zombie, and from the earliest offset',
  wrongRules: [
    { name: 'prune-by-low', text: "claims are removed by the relay's low alone", expected: ['twice'] },
    { name: 'floor-from-memory', text: 'a claim compares with the floor in memory only', expected: ['twice'] },
  ],
  async run(world) {
    const zombie = await world.startAlone('a');
    zombie.arm('before-claim', world.transactions(FROZEN_AT_EVENT));
    await world.publish(world.events.many(EVENTS));
    await zombie.reached('before-claim');
    const other = await world.startAlone('b');
    const found = [...(await world.settled()), ...(await pruned(world))];
    const rejoined = zombie.says('partitions 2');
    zombie.send('SIGCONT');
    await rejoined;
    found.push(...(await world.settled()));
    await Promise.all([zombie.end('SIGTERM'), other.end('SIGTERM')]);
    await world.group.resetToEarliest();
    await world.startAlone('c');
    await world.publish(world.events.many(EVENTS));
    found.push(...(await world.settled()));
    return [...found, ...(await world.verdict())];
  },
};
