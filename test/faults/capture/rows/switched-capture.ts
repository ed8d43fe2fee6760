import { setTimeout as sleep } from 'node:timers/promises';
import { type CaptureMode } from '@millrace/capture';
import { type CaptureRow } from '../capture-row.js';
import { leaderOf } from '../relay-at-work.js';
import { type RowWorld } from '../row-world.js';

const EVENTS_PER_SECOND = 1_000;
const SWITCHES = 60;
const EVERY_MS = 2_000;
const LOOK_MS = 100;
const MODES: readonly CaptureMode[] = ['polling', 'wal', 'polling', 'auto', 'wal', 'auto'];

/** What was read at each look. */
interface Course {
  isOver: boolean;
  streams: number;
  readonly looks: string[];
}

async function watch(world: RowWorld, course: Course): Promise<void> {
  let last = '';
  while (!course.isOver) {
    const now = (await world.areRead('stream').catch(() => false)) ? 'stream' : 'table';
    course.streams += Number(now === 'stream' && last === 'table');
    course.looks.push(now);
    last = now;
    await sleep(LOOK_MS);
  }
}

async function switchCapture(world: RowWorld): Promise<void> {
  const [route] = world.routes;
  const { relay } = await leaderOf(world);
  for (let time = 0; time < SWITCHES; time += 1) {
    await relay.admin('PUT', `routes/${route?.name ?? ''}/capture`, { mode: MODES[time % MODES.length] });
    await sleep(EVERY_MS);
  }
  await relay.admin('PUT', `routes/${route?.name ?? ''}/capture`, { mode: 'wal' });
}

/** Nothing is killed: whichever way an event is found, it is published once. */
export const SWITCHED_CAPTURE: CaptureRow = {
  id: 'C6',
  title: 'mode of capture switched every 2 s for 2 minutes',
  modes: ['wal'],
  async run(world) {
    world.allowsNoRepeats();
    await world.begin({ eventsPerSecond: EVENTS_PER_SECOND });
    const course: Course = { isOver: false, streams: 0, looks: [] };
    const watching = watch(world, course);
    try {
      await switchCapture(world);
    } finally {
      course.isOver = true;
      await watching;
    }
    const streaming = course.looks.filter((look) => look === 'stream').length;
    world.note(`${SWITCHES} switches, the stream reached ${course.streams} times`);
    world.note(`read from the stream for ${Math.round((100 * streaming) / course.looks.length)} % of the time`);
    if (course.streams === 0) {
      world.found('unmet', 'no switch reached the stream');
    }
    await world.recovers('the last switch');
    await world.streams();
  },
};
