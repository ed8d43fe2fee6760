import { setTimeout as sleep } from 'node:timers/promises';
import { leaderOf } from '../../capture/relay-at-work.js';
import { type PublishRow } from '../publish-row.js';
import { beginLoad, startRelay } from '../publish-scene.js';

const NAMES = ['a', 'b'];
const KILLS = 3;
const PAUSE_MS = 6_000;

/** Each route's records are held against what was committed by themselves. */
export const SHARED_TOPIC: PublishRow = {
  id: '65',
  title: 'two routes of two relays into one topic, the relay of the first killed three times',
  routes: ['one', 'two'],
  areRoutesInOneTopic: true,
  async run(scene) {
    const { world } = scene;
    world.explains(() => 'after SIGKILL');
    for (const name of NAMES) {
      await startRelay(scene, name);
    }
    await beginLoad(scene);
    for (let kill = 0; kill < KILLS; kill += 1) {
      await sleep(PAUSE_MS);
      const { name, relay } = await leaderOf(world, 'one');
      await relay.end('SIGKILL');
      await startRelay(scene, name);
      await world.recovers('SIGKILL of a relay');
    }
    scene.lanes.end();
  },
};
