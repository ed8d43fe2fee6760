import { setTimeout as sleep } from 'node:timers/promises';
import { type CaptureRow } from '../capture-row.js';

const TIMES = 5;
const EVERY_MS = 2_000;
const END_WALSENDERS_SQL =
  "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender' and application_name like '%millrace%'";

/** The stream is lost again and again; the table goes on in between. */
export const WALSENDER_ENDED: CaptureRow = {
  id: '14',
  title: 'walsender terminated each 2 s',
  modes: ['wal'],
  async run(world) {
    await world.begin();
    let ended = 0;
    for (let time = 0; time < TIMES; time += 1) {
      await sleep(EVERY_MS);
      ended += (await world.query(END_WALSENDERS_SQL)).length;
    }
    world.note(`${ended} walsenders ended`);
    if (ended === 0) {
      world.found('unmet', 'no walsender was there to be ended');
    }
    await world.recovers();
    await world.streams();
  },
};
