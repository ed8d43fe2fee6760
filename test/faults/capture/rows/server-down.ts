import { setTimeout as sleep } from 'node:timers/promises';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { type RowWorld } from '../row-world.js';

const TIMES = 2;
const AT_WORK_MS = 3_000;
const DOWN_MAX_MS = 2_000;
const STOP_MAX_MS = 5_000;
const STALLED = /route stalled/;

export const SERVER_KILLED: CaptureRow = {
  id: '15',
  title: 'SIGKILL of PostgreSQL, and start',
  modes: BOTH_MODES,
  async run(world) {
    await world.begin();
    for (let time = 0; time < TIMES; time += 1) {
      await sleep(AT_WORK_MS);
      const mark = world.logMark();
      await world.postgres.kill();
      await sleep(world.random.below(DOWN_MAX_MS));
      await world.postgres.start();
      await world.recovers('the start of PostgreSQL');
      await world.tells(STALLED, mark);
      await world.streams();
    }
  },
};

/** A walsender holds a shutdown up until its client has confirmed everything, or has gone. */
export const FAST_SHUTDOWN: CaptureRow = {
  id: '16',
  title: 'fast shutdown under load with a live relay',
  modes: BOTH_MODES,
  async run(world) {
    await world.begin();
    for (let time = 0; time < TIMES; time += 1) {
      await sleep(AT_WORK_MS);
      const mark = world.logMark();
      await stopFast(world);
      await sleep(world.random.below(DOWN_MAX_MS));
      await world.postgres.start();
      await world.recovers('the start of PostgreSQL');
      await world.tells(STALLED, mark);
      await world.streams();
    }
  },
};

async function stopFast(world: RowWorld): Promise<void> {
  const startedMs = performance.now();
  await world.postgres.stop('fast');
  const tookMs = performance.now() - startedMs;
  world.note(`stopped in ${(tookMs / 1_000).toFixed(1)} s`);
  if (tookMs > STOP_MAX_MS) {
    world.found('bounded', `the shutdown took ${Math.round(tookMs)} ms`);
  }
}
