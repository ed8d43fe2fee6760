import { setTimeout as sleep } from 'node:timers/promises';
import { brokersFail, freezeFor, LeaderMoves } from '../broker-faults.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { begin, checkLanes, checkMemory } from '../publish-scene.js';

const FROZEN_MS = 45_000;
const HOLES = 5;
const HOLE_MS = 5_000;
const HOLE_EVERY_MS = 15_000;

/** The relay under the steady load while something is done; then it must have caught up, and no lane have waited long. */
async function holdsOut(scene: PublishScene, faults: () => Promise<void>): Promise<void> {
  const load = await begin(scene, scene.eventsPerSecond);
  const moves = LeaderMoves.start(scene);
  await faults();
  await moves.stop();
  checkLanes(scene);
  scene.world.note(`${Math.round(load.eventsPerSecond)} events/s`);
  await scene.world.recovers();
  checkMemory(scene);
}

export const BROKERS_AT_RANDOM: PublishRow = {
  id: 'D3a',
  title: 'a random broker SIGKILLed, SIGSTOPped for 15 s or restarted, one at a time, leaders moved every 3 s',
  async run(scene) {
    await holdsOut(scene, async () => brokersFail(scene));
  },
};

export const FIRST_BROKER_FROZEN: PublishRow = {
  id: 'D3b',
  title: 'the first bootstrap broker frozen for 45 s, leaders moved every 3 s',
  async run(scene) {
    await holdsOut(scene, async () => {
      await freezeFor(scene.cluster.node(1), FROZEN_MS);
      await sleep(HOLE_EVERY_MS - HOLE_MS);
    });
  },
};

/** The broker serves; only the relay never hears of it, so nothing but its own clock can tell it. */
export const RESPONSES_LOST: PublishRow = {
  id: 'D3c',
  title: `the responses of a random broker black-holed for ${HOLE_MS / 1_000} s, ${HOLES} times, leaders moved every 3 s`,
  async run(scene) {
    const { cluster, world } = scene;
    await holdsOut(scene, async () => {
      for (let hole = 0; hole < HOLES; hole += 1) {
        const { proxy } = cluster.node(1 + world.random.below(cluster.nodes.length));
        proxy.set({ kind: 'drop', direction: 'to-client' });
        await sleep(HOLE_MS);
        proxy.heal();
        await sleep(HOLE_EVERY_MS - HOLE_MS);
      }
    });
  },
};
