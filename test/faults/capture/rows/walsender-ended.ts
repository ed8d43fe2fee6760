import { setTimeout as sleep } from 'node:timers/promises';
import { type CaptureRow } from '../capture-row.js';
import { endWalsenders } from '../slots.js';

const TIMES = 6;
const EVERY_MS = 2_000;

/** The stream is lost again and again; the table goes on in between. */
export const WALSENDER_ENDED: CaptureRow = {
  id: '14',
  title: 'walsender terminated each 2 s',
  modes: ['wal'],
  async run(world) {
    await world.begin();
    const mark = world.logMark();
    let ended = 0;
    for (let time = 0; time < TIMES; time += 1) {
      ended += await endWalsenders(world);
      await sleep(EVERY_MS);
    }
    world.note(`${ended} walsenders ended`);
    if (ended < 2) {
      world.found('unmet', `only ${ended} walsenders were there to be ended`);
    }
    await world.tells(/"reading":"table".*capture changed/, mark);
    await world.recovers('the last walsender ended');
    await world.streams();
  },
};
