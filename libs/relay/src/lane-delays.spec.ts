import { beforeEach, describe, expect, it } from '@jest/globals';
import { Lane, laneItem } from './lane.js';
import { LaneDelays } from './lane-delays.js';
import { type PageInFlight } from './page-in-flight.js';
import { PageWindow } from './page-window.js';
import { FakeClock } from './testing/fake-clock.js';
import { anEvent, aPage } from './testing/fake-source.js';

const RECORD = { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] };

let clock: FakeClock;
let delays: LaneDelays;
let lane: Lane;
let window: PageWindow;
let pages = 0;

beforeEach(() => {
  clock = new FakeClock();
  delays = new LaneDelays(clock, 1_000);
  lane = new Lane({ id: 't/0', topic: 't', partition: 0 }, { recordsMax: 2, bytesMax: 1_000 });
  window = new PageWindow({ pagesInFlightMax: 1, eventsInFlightMax: 100, bytesInFlightMax: 1_000_000 });
  pages = 0;
});

/** A page of one event, which is in the lane. */
function arrival(): PageInFlight {
  pages += 1;
  const event = anEvent(pages);
  const page = window.add(aPage(pages, [event]));
  page.dispatched([100], 0);
  lane.push(laneItem(event, { topic: 't', record: RECORD, bytes: 100 }, page));
  return page;
}

async function lookAfter(ms: number): Promise<number> {
  await clock.advance(ms);
  delays.look();
  return delays.behind;
}

describe('lanes that are behind', () => {
  it('are those of which nothing was confirmed for a while, until the sink answers', async () => {
    const page = arrival();
    delays.waits(lane);
    expect(await lookAfter(999)).toBe(0);
    expect(page.isMoving).toBe(true);
    expect(await lookAfter(1)).toBe(1);
    expect(page.isMoving).toBe(false);

    lane.next(9);
    lane.acked();
    page.confirmed(100);
    delays.answered(lane);
    expect(delays.behind).toBe(0);
    expect(window.settleable()).toBe(page);
  });

  it('hold back what comes to them while they are, and nothing when they are not any more', async () => {
    const [first, second] = [arrival(), arrival()];
    delays.waits(lane);
    await lookAfter(1_000);
    const third = arrival();
    expect([first, second, third].map(({ isMoving }) => isMoving)).toEqual([false, false, false]);
    expect(window.hasRoom(true)).toBe(true);

    lane.next(9);
    lane.acked();
    first.confirmed(100);
    second.confirmed(100);
    delays.answered(lane);
    expect([first, second, third].map(({ isMoving }) => isMoving)).toEqual([false, false, true]);
    expect(window.hasRoom(true)).toBe(false);
  });

  it('hold back nothing that is taken out of them', async () => {
    const [first, second, third] = [arrival(), arrival(), arrival()];
    delays.waits(lane);
    lane.next(9);
    await lookAfter(1_000);
    lane.refused('invalid');
    expect(lane.next(9)?.items).toHaveLength(1);
    expect(lane.refused('invalid')?.page).toBe(first);
    expect(lane.sweep(({ page }) => page === third)).toHaveLength(1);
    expect([first, second, third].map(({ isMoving }) => isMoving)).toEqual([true, false, true]);
  });

  it('are not those that have nothing to send', async () => {
    arrival();
    delays.waits(lane);
    await lookAfter(1_000);
    lane.sweep(() => true);
    expect(await lookAfter(0)).toBe(0);
    arrival();
    delays.waits(lane);
    expect(await lookAfter(999)).toBe(0);
  });

  it('are counted from when the oldest of what they have began to wait', async () => {
    arrival();
    delays.waits(lane);
    await clock.advance(600);
    delays.waits(lane);
    expect(await lookAfter(400)).toBe(1);
    delays.answered(lane);
    delays.waits(lane);
    expect(await lookAfter(900)).toBe(0);
  });
});
