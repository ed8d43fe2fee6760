import { setTimeout as sleep } from 'node:timers/promises';
import { countText } from '../../run-report.js';
import { KilledRelays, type Place, PLACES } from '../killed-relays.js';
import { type PublishRow } from '../publish-row.js';
import { beginLoad } from '../publish-scene.js';

const EVENTS_PER_SECOND = 200;
const PAUSE_MS = 2_000;

export const KILLED_AND_ONE_COPY: PublishRow = {
  id: 'D2',
  title: 'relays SIGKILLed again and again, anywhere and at each barrier: the topic has one copy of each event',
  async run(scene) {
    const { world } = scene;
    const relays = await KilledRelays.start(scene);
    await beginLoad(scene, EVENTS_PER_SECOND);
    const places: Place[] = [];
    let [kills, missed] = [0, 0];
    while (kills < scene.kills) {
      const place = PLACES[world.random.below(PLACES.length)] ?? 'anywhere';
      await relays.areAtWork();
      await sleep(world.random.below(PAUSE_MS));
      const done = await relays.killAt(place);
      kills += done.kills;
      places.push(place);
      missed += Number(!done.isReached);
    }
    scene.lanes.end();
    await world.recovers('the last kill');
    world.note(`${kills} kills: ${countText(places)}; ${missed} places not reached in time`);
    relays.note();
    if (missed > places.length / 4) {
      world.found('unmet', `${missed} of ${places.length} kills did not meet their place`);
    }
  },
};
