import { beforeEach, describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { FakeClock } from '../testing/fake-clock.js';
import { LaneOffsets, type OpenedLane } from './lane-offsets.js';

let clock: FakeClock;
let settledTo: number;
let offsets: LaneOffsets;

beforeEach(() => {
  clock = new FakeClock();
  settledTo = 0;
  offsets = new LaneOffsets({ clock, isSettled: (position) => position <= BigInt(settledTo) });
});

/** By default lane `t/0`, noted as it is, at offset 100. */
function open(more: Partial<OpenedLane> = {}): void {
  const noted = { nextOffset: 100n, topicId: 'id' };
  offsets.open({ id: 't/0', topic: 't', topicId: 'id', partition: 0, end: 100n, noted, found: [], ...more });
}

function send(page: number, end: number, lane = 't/0'): void {
  offsets.sending(lane);
  offsets.confirmed(lane, { end: BigInt(end), page });
}

/** What a write that settles pages up to `page` notes, a while after the last one. */
async function noted(page: number): Promise<string[]> {
  await clock.advance(250);
  const { offsets: rows = [] } = offsets.take(page);
  offsets.written();
  return rows.map(({ topic, partition, nextOffset }) => `${topic}/${partition} ${nextOffset}`);
}

describe('the offset of a lane', () => {
  it('grows to the end of a send with the write that settles its last page, and not before', async () => {
    open();
    send(1, 110);
    send(2, 120);

    expect(await noted(0)).toEqual([]);
    expect(await noted(1)).toEqual(['t/0 110']);
    expect(await noted(2)).toEqual(['t/0 120']);
    expect(await noted(2)).toEqual([]);
  });

  it('waits for the sends before it, whatever the order of their pages', async () => {
    open();
    send(3, 110);
    send(0, 115);
    send(2, 120);

    expect(await noted(2)).toEqual([]);
    expect(await noted(3)).toEqual(['t/0 120']);
  });

  it('stays while something that was found in the lane is not settled, and then goes to where sends have got', async () => {
    open({ end: 130n, found: [toPosition(7n), toPosition(9n)] });
    send(1, 140);

    expect(await noted(1)).toEqual([]);
    settledTo = 8;
    expect(await noted(1)).toEqual([]);
    expect(offsets.hasFound).toBe(true);
    settledTo = 9;
    expect(await noted(1)).toEqual(['t/0 140']);
    expect(offsets.hasFound).toBe(false);
  });

  it('goes to the end of the lane when all that was found there is settled', async () => {
    open({ end: 130n });

    expect(await noted(0)).toEqual(['t/0 130']);
  });

  it('is written with one page in a quarter of a second, unless it is the last', () => {
    open();
    send(1, 110);
    expect(offsets.take(1).offsets).toHaveLength(1);
    send(2, 120);

    expect(offsets.take(2)).toEqual({});
    expect(offsets.hasChanges).toBe(true);
    expect(offsets.take(2, true).offsets).toMatchObject([{ nextOffset: 120n }]);
    expect(offsets.hasChanges).toBe(false);
  });

  it('is written at once for a lane that has none, and the lane is named when it was', () => {
    open();
    offsets.take(0);
    open({ id: 't/1', partition: 1, noted: null, end: 5n });

    expect(offsets.isUrgent).toBe(true);
    expect(offsets.take(0).offsets).toMatchObject([{ partition: 1, nextOffset: 5n }]);
    expect(offsets.isUrgent).toBe(false);
    expect(offsets.written()).toEqual(['t/1']);
    expect(offsets.written()).toEqual([]);
  });

  it('is as old as the first try of the oldest send that is not settled', async () => {
    open();
    send(1, 110);
    await clock.advance(1_000);
    offsets.sending('t/0');
    await clock.advance(2_000);
    send(2, 120);
    await clock.advance(4_000);

    expect(offsets.take(1).offsets).toMatchObject([{ nextOffset: 110n, ageMs: 6_000 }]);
    await clock.advance(1_000);
    expect(offsets.take(2).offsets).toMatchObject([{ nextOffset: 120n, ageMs: 0 }]);
  });

  it('is written anew each minute while nothing is sent there, and not while something is on its way', async () => {
    open();
    open({ id: 't/1', partition: 1 });
    await noted(0);
    offsets.sending('t/1');
    await clock.advance(60_000);

    expect(await noted(0)).toEqual(['t/0 100']);
    offsets.refused('t/1');
    expect(await noted(0)).toEqual(['t/1 100']);
  });

  it('is written with the id that its topic has got', async () => {
    open({ noted: { nextOffset: 100n, topicId: null } });

    expect(await noted(0)).toEqual(['t/0 100']);
  });

  it('is forgotten with a lane that is no more, unless the lane is opened again before that is written', () => {
    offsets.forget({ topic: 't', partition: 0 });
    offsets.forget({ topic: 't', partition: 1 });
    open({ noted: null });

    expect(offsets.take(0)).toMatchObject({
      offsets: [{ partition: 0 }],
      lanesGone: [{ topic: 't', partition: 1 }],
    });
    expect(offsets.isUrgent).toBe(false);
  });

  it('is asked of no more than a thousand lanes in one write', async () => {
    for (let partition = 0; partition < 1_500; partition += 1) {
      open({ id: `t/${partition}`, partition, noted: null });
    }

    expect(offsets.take(0).offsets).toHaveLength(1_000);
    expect(offsets.written()).toHaveLength(1_000);
    expect(await noted(0)).toHaveLength(500);
  });
});

describe('a checkpoint', () => {
  it('has the lanes that have moved in the ten seconds since the one before', async () => {
    open();
    open({ id: 't/1', partition: 1 });
    expect(offsets.take(0).checkpoint).toHaveLength(2);

    send(1, 110);
    await clock.advance(9_000);
    expect(offsets.take(1).checkpoint).toBeUndefined();
    await clock.advance(1_000);
    expect(offsets.take(1).checkpoint).toEqual([{ topic: 't', partition: 0, nextOffset: 110n }]);
    await clock.advance(10_000);
    expect(offsets.take(1).checkpoint).toBeUndefined();
  });
});
