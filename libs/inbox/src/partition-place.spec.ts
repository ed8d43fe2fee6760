import { describe, expect, it } from '@jest/globals';
import { toEventId, toPosition } from '@millrace/events';
import { type LowMark } from './decode-delivery.js';
import { type Arrival, type PartitionProgress } from './inbox-port.js';
import { PartitionPlace } from './partition-place.js';

const stream = { topic: 't', partition: 0, source: 's', route: 'r' };

function known(patch: Partial<PartitionProgress> = {}): PartitionProgress {
  return { topic: 't', partition: 0, nextOffset: null, hole: null, floors: [], ...patch };
}

function arrival(position: bigint, patch: Partial<Arrival> = {}): Arrival {
  const delivery = { topic: 't', partition: 0, offset: 0n, key: null, value: null, headers: new Map(), timestampMs: 0 };
  return {
    id: toEventId('id'),
    stream,
    position: toPosition(position),
    key: 'k',
    type: 'x',
    isBypassingFloor: false,
    delivery,
    ...patch,
  };
}

/** Of one record, unless it is said where it ends. */
function chunk(firstOffset: bigint, nextOffset = firstOffset + 1n): { firstOffset: bigint; nextOffset: bigint } {
  return { firstOffset, nextOffset };
}

function mark(low: bigint, route = 'r', position = low + 1n): LowMark {
  return { stream: { ...stream, route }, position: toPosition(position), low: toPosition(low) };
}

describe('PartitionPlace', () => {
  describe('offsets', () => {
    it('expects nothing of a partition that nobody has read: it may begin anywhere', () => {
      expect(new PartitionPlace(known(), null).arrive(chunk(700n))).toBeNull();
    });

    it('takes a delivery below what is applied for a redelivery', () => {
      const place = new PartitionPlace(known({ nextOffset: 10n }), 4n);
      expect([4n, 5n, 9n, 10n, 11n].map((offset) => place.arrive(chunk(offset)))).toEqual([
        null,
        null,
        null,
        null,
        null,
      ]);
      expect(place.hole).toBeNull();
    });

    it('finds a hole between what is applied and the first delivery', () => {
      const place = new PartitionPlace(known({ nextOffset: 10n }), 10n);
      expect(place.arrive(chunk(15n))).toEqual({ from: 10n, to: 14n });
      expect(place.hole).toEqual({ from: 10n, to: 14n });
    });

    it('takes for a hole what the group has passed and the database knows nothing of', () => {
      const place = new PartitionPlace(known(), 3n);
      expect(place.unknown).toEqual({ from: 0n, to: 2n });
      expect(place.hole).toEqual({ from: 0n, to: 2n });
      expect(place.arrive(chunk(3n))).toBeNull();
      expect(place.arrive(chunk(5n))).toEqual({ from: 4n, to: 4n });
      expect(place.hole).toEqual({ from: 0n, to: 4n });
    });

    it('knows of none where the group begins at the first offset, or the database has its place', () => {
      expect(new PartitionPlace(known(), 0n)).toMatchObject({ unknown: null, hole: null });
      expect(new PartitionPlace(known({ nextOffset: 1n }), 9n)).toMatchObject({ unknown: null, hole: null });
    });

    it('finds a hole between two deliveries, but not where everything was applied before', () => {
      const place = new PartitionPlace(known({ nextOffset: 10n }), 4n);
      expect(place.arrive(chunk(4n))).toBeNull();
      expect(place.arrive(chunk(8n))).toBeNull();
      expect(place.arrive(chunk(12n))).toEqual({ from: 10n, to: 11n });
      expect(place.arrive(chunk(13n))).toBeNull();
      expect(place.arrive(chunk(20n))).toEqual({ from: 14n, to: 19n });
      expect(place.hole).toEqual({ from: 10n, to: 19n });
    });

    it('finds none in a chunk that covers more offsets than it has records', () => {
      const place = new PartitionPlace(known({ nextOffset: 10n }), null);
      expect(place.arrive(chunk(10n, 15n))).toBeNull();
      expect(place.arrive(chunk(15n, 16n))).toBeNull();
      expect(place.arrive(chunk(12n, 18n))).toBeNull();
      expect(place.arrive(chunk(18n))).toBeNull();
      expect(place.arrive(chunk(20n, 30n))).toEqual({ from: 19n, to: 19n });
    });
  });

  describe('floors', () => {
    it('knows what lies at or below the floor of its own stream', () => {
      const place = new PartitionPlace(known({ floors: [{ source: 's', route: 'r', floor: toPosition(10n) }] }), null);
      expect(place.isBelowFloor(arrival(10n))).toBe(true);
      expect(place.isBelowFloor(arrival(11n))).toBe(false);
      expect(place.isBelowFloor(arrival(5n, { stream: { ...stream, route: 'other' } }))).toBe(false);
      expect(place.isBelowFloor(arrival(5n, { stream: { ...stream, source: 'other' } }))).toBe(false);
    });

    it('holds no floor against what was sent again on purpose, or came from elsewhere', () => {
      const place = new PartitionPlace(known({ floors: [{ source: 's', route: 'r', floor: toPosition(9n) }] }), null);
      expect(place.isBelowFloor(arrival(5n, { isBypassingFloor: true }))).toBe(false);
      expect(place.isBelowFloor(arrival(5n, { stream: null }))).toBe(false);
    });

    it('raises the floor of a stream with the prefix, never lowers it', () => {
      const place = new PartitionPlace(known(), null);
      place.pass(mark(5n));
      place.pass(mark(3n));
      place.pass(mark(7n, 'other'));
      expect(place.progress(4n)).toEqual({
        topic: 't',
        partition: 0,
        nextOffset: 4n,
        hole: null,
        floors: [
          { source: 's', route: 'r', floor: 5n },
          { source: 's', route: 'other', floor: 7n },
        ],
      });
    });

    it('raises it above no position of the stream that the prefix has', () => {
      const place = new PartitionPlace(known(), null);
      place.pass(mark(5n));
      place.pass(mark(900n, 'r', 3n));
      expect(place.progress(3n).floors).toEqual([{ source: 's', route: 'r', floor: 6n }]);
      expect(place.isBelowFloor(arrival(7n))).toBe(false);

      place.pass(mark(900n, 'other', 4n));
      expect(place.progress(4n).floors).toMatchObject([{ floor: 6n }, { floor: 4n }]);
      place.pass(mark(20n));
      expect(place.progress(5n).floors).toMatchObject([{ floor: 20n }, { floor: 4n }]);
    });

    it('freezes them at a hole until somebody thaws the partition', () => {
      const place = new PartitionPlace(known({ nextOffset: 1n }), null);
      place.pass(mark(5n));
      place.arrive(chunk(3n));
      place.pass(mark(8n));
      expect(place.isBelowFloor(arrival(8n))).toBe(false);
      expect(place.progress(4n)).toMatchObject({ hole: { from: 1n, to: 2n }, floors: [{ floor: 5n }] });

      place.thaw(known({ floors: [{ source: 's', route: 'r', floor: toPosition(4n) }] }));
      expect(place.hole).toBeNull();
      place.pass(mark(9n));
      expect(place.progress(5n).floors).toEqual([{ source: 's', route: 'r', floor: 9n }]);
    });

    it('keeps them frozen when it is opened frozen', () => {
      const place = new PartitionPlace(known({ nextOffset: 5n, hole: { from: 1n, to: 2n } }), null);
      place.pass(mark(9n));
      expect(place.progress(6n).floors).toEqual([]);
    });
  });
});
