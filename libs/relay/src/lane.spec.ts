import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Lane, laneItem, type LaneItem } from './lane.js';
import { PageWindow } from './page-window.js';
import { anEvent, aPage } from './testing/fake-source.js';

const SINK_LANE = { id: 't/0', topic: 't', partition: 0 };

function items(count: number, options: { readonly page?: number; readonly bytes?: number } = {}): LaneItem[] {
  const { page: number = 1, bytes = 100 } = options;
  const events = Array.from({ length: count }, (_, index) => anEvent(number * 1_000 + index));
  const page = new PageWindow({ pagesInFlightMax: 9, eventsInFlightMax: 9, bytesInFlightMax: 9 }).add(
    aPage(number, events),
  );
  const record = { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] };
  return events.map((event) => laneItem(event, { topic: 't', record, bytes }, page));
}

function laneOf(queued: readonly LaneItem[], recordsMax = 10, bytesMax = 1_000_000): Lane {
  const lane = new Lane(SINK_LANE, { recordsMax, bytesMax });
  for (const item of queued) {
    lane.push(item);
  }
  return lane;
}

describe('a lane', () => {
  it('hands out one batch at a time, in order, cut by the number of records', () => {
    const queued = items(25);
    const lane = laneOf(queued);
    const taken: LaneItem[] = [];
    for (let batch = lane.next(9); batch !== null; batch = lane.next(9)) {
      expect(lane.next(9)).toBeNull();
      taken.push(...batch.items);
      lane.acked();
    }
    expect(taken).toEqual(queued);
  });

  it('cuts by bytes, and lets a record larger than a batch go alone', () => {
    const [large] = items(1, { bytes: 500 });
    const small = items(5, { bytes: 100 });
    const lane = laneOf([...small, ...(large === undefined ? [] : [large]), ...small], 10, 300);
    const sizes: number[] = [];
    for (let batch = lane.next(9); batch !== null; batch = lane.next(9)) {
      sizes.push(batch.items.length);
      lane.acked();
    }
    expect(sizes).toEqual([3, 2, 1, 3, 2]);
  });

  it('puts events of several pages into one batch', () => {
    const lane = laneOf([...items(3, { page: 1 }), ...items(3, { page: 2 })]);
    expect(lane.next(9)?.items.map(({ page }) => page?.page.number)).toEqual([1, 1, 1, 2, 2, 2]);
  });

  it('hands out nothing of pages above the limit', () => {
    const lane = laneOf([...items(3, { page: 1 }), ...items(3, { page: 2 })]);
    expect(lane.next(1)?.items).toHaveLength(3);
    lane.acked();
    expect(lane.next(1)).toBeNull();
    expect(lane.next(2)?.items).toHaveLength(3);
  });

  it('hands out the very same batch after an unknown outcome, whatever has been queued since', () => {
    const lane = laneOf(items(2));
    const batch = lane.next(9);
    lane.failed('timeout');
    items(2, { page: 2 }).forEach((item) => {
      lane.push(item);
    });
    expect(lane.next(9)).toBeNull();
    lane.retry();
    expect(lane.next(9)).toBe(batch);
    lane.failed('receipt_invalid');
    expect([lane.attempts(), lane.attempts('timeout'), lane.attempts('topic_missing')]).toEqual([2, 1, 0]);
    lane.retry();
    lane.next(9);
    lane.acked();
    expect(lane.attempts()).toBe(0);
    expect(lane.next(9)?.items).toHaveLength(2);
  });

  it('sends nothing while held, and goes on after it', () => {
    const lane = laneOf(items(1));
    lane.hold();
    expect(lane.isReady).toBe(false);
    expect(lane.next(9)).toBeNull();
    lane.retry();
    expect(lane.next(9)).not.toBeNull();
  });

  it('finds the one refused record, with all before it stored in order and none after it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        fc.integer({ min: 1, max: 40 }),
        (count, at, recordsMax) => {
          const queued = items(count);
          const poison = queued[at % count];
          const lane = laneOf(queued, recordsMax);
          const stored: LaneItem[] = [];
          for (let sends = 0; sends < 200; sends += 1) {
            const batch = lane.next(9);
            if (batch === null) {
              break;
            }
            if (poison !== undefined && batch.items.includes(poison)) {
              const refused = lane.refused('invalid');
              if (refused !== null) {
                expect(refused).toBe(poison);
                expect(stored).toEqual(queued.slice(0, at % count));
                for (let rest = lane.next(9); rest !== null; rest = lane.next(9)) {
                  stored.push(...rest.items);
                  lane.acked();
                }
                expect(stored).toEqual(queued.filter((item) => item !== poison));
                return;
              }
            } else {
              stored.push(...batch.items);
              lane.acked();
            }
          }
          throw new Error('the refused record was not found');
        },
      ),
    );
  });

  it('takes out what is queued, but nothing of a batch that has to come again', () => {
    const queued = items(6);
    const lane = laneOf(queued, 2);
    const batch = lane.next(9);
    lane.failed('timeout');
    const isOdd = ({ position }: LaneItem): boolean => position % 2n === 1n;

    expect(lane.sweep(isOdd)).toEqual(queued.slice(2).filter(isOdd));

    lane.retry();
    expect(lane.next(9)).toBe(batch);
    lane.acked();
    expect(lane.next(9)?.items).toEqual(queued.slice(2).filter((item) => !isOdd(item)));
  });

  it('lets an event of no page leave whatever the limit is', () => {
    const [first] = items(1);
    const lane = laneOf(first === undefined ? [] : [{ ...first, page: null }]);
    expect(lane.hasNext(0)).toBe(true);
    expect(lane.next(0)?.items).toHaveLength(1);
  });

  it('goes on with smaller batches when the sink takes less at once than it said', () => {
    const lane = laneOf(items(1_000, { bytes: 1_000 }), 1_000);
    let stored = 0;
    let refusals = 0;
    for (let batch = lane.next(9); batch !== null; batch = lane.next(9)) {
      if (batch.bytes > 200_000) {
        refusals += 1;
        expect(lane.refused('too_large')).toBeNull();
      } else {
        stored += batch.items.length;
        lane.acked();
      }
    }
    expect(stored).toBe(1_000);
    expect(refusals).toBe(3);
  });
});
