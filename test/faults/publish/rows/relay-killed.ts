import { setTimeout as sleep } from 'node:timers/promises';
import { KilledRelays, type Place } from '../killed-relays.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { beginLoad } from '../publish-scene.js';

const KILLS = 8;
const KILL_EVERY_MS = 3_000;

async function killAgainAndAgain(scene: PublishScene, place: Place): Promise<void> {
  const { world } = scene;
  const relays = await KilledRelays.start(scene);
  await beginLoad(scene);
  const isAnywhere = place === 'anywhere';
  let reached = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    await sleep(isAnywhere ? world.random.below(2 * KILL_EVERY_MS) : KILL_EVERY_MS);
    const { isReached } = await relays.killAt(place);
    reached += Number(isReached);
  }
  scene.lanes.end();
  await world.recovers('the last kill');
  world.note(isAnywhere ? `${KILLS} kills` : `${reached} of ${KILLS} kills at the barrier`);
  relays.note();
  if (reached === 0) {
    world.found('unmet', `no relay got to the barrier ${place}`);
  }
}

export const RELAY_KILLED: PublishRow = {
  id: '1',
  title: 'the relay at work SIGKILLed at random, every 3 s on average, another one takes over',
  async run(scene) {
    await killAgainAndAgain(scene, 'anywhere');
  },
};

export const KILLED_BEFORE_LEDGER: PublishRow = {
  id: '2',
  title: 'the relay at work SIGKILLed after the acknowledgement, before the ledger is written',
  async run(scene) {
    await killAgainAndAgain(scene, 'before-ledger');
  },
};

export const KILLED_AFTER_LEDGER: PublishRow = {
  id: '3',
  title: 'the relay at work SIGKILLed after the ledger is written, before the slot is told',
  async run(scene) {
    await killAgainAndAgain(scene, 'after-ledger');
  },
};
