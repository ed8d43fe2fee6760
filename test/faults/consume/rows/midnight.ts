import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultRow } from '../fault-row.js';

const ROUNDS = 4;
const EVENTS = 30;

/** A "day" of the wrong rule is two seconds long, so that a run sees several midnights. See app/wrong-rules.ts. */
const BETWEEN_TWINS_MS = 2_000;

/** Low stands still, as behind an open transaction of a producer: only the claim row tells a twin. */
export const MIDNIGHT: FaultRow = {
  number: 64,
  title: 'twins around midnight',
  wrongRules: [
    { name: 'inbox-by-time', text: 'the inbox is partitioned by day, so its key has the day', expected: ['twice'] },
  ],
  async run(world) {
    world.isLowPinned = true;
    await world.startAlone('a');
    for (let round = 0; round < ROUNDS; round += 1) {
      const events = world.events.many(EVENTS);
      await world.publish(events);
      await sleep(BETWEEN_TWINS_MS);
      await world.publishAgain(events);
    }
    const late = await world.settled();
    return [...late, ...(await world.verdict())];
  },
};
