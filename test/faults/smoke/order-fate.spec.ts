import { describe, expect, it } from '@jest/globals';
import { type FateName, fateOf, FATES, type OrderStory, storyProblems, type StoryEvent } from './order-fate.js';

const NAMES = Object.keys(FATES) as FateName[];

/** Each event caused by the newest event of another service that can have caused it. */
const CAUSE: Readonly<Record<string, string>> = {
  'order.confirmed': 'payment.captured',
  'order.refund-requested': 'payment.captured',
  'stock.reserved': 'order.placed',
  'stock.refused': 'order.placed',
  'stock.sold': 'order.confirmed',
  'payment.captured': 'stock.reserved',
  'payment.declined': 'stock.reserved',
  'payment.refunded': 'order.refund-requested',
};

function storyOf(name: FateName): OrderStory {
  const { status, isRefundRequested, reservation, payment, events } = FATES[name];
  const byAggregate: Readonly<Record<string, readonly string[]>> = events;
  const told = Object.entries(byAggregate).flatMap(([aggregatetype, types]) =>
    types.map((type, index) => ({ id: `id of ${type}`, aggregatetype, type, version: index + 1 })),
  );
  const causeOf = (type: string): string | undefined => {
    if (type === 'order.rejected') {
      return told.some((event) => event.type === 'payment.declined') ? 'payment.declined' : 'stock.refused';
    }
    return type === 'stock.released' ? `order.${status}` : CAUSE[type];
  };
  return {
    order: { status, reason: null, isRefundRequested },
    reservation,
    payment,
    events: told.map((event) => {
      const cause = causeOf(event.type);
      return { ...event, causedBy: cause === undefined ? undefined : `id of ${cause}` };
    }),
  };
}

function problemsOf(name: FateName, change: (story: OrderStory) => OrderStory): readonly string[] {
  return storyProblems(change(storyOf(name)), { isCancelTaken: FATES[name].status === 'cancelled' });
}

function withEvents(change: (events: readonly StoryEvent[]) => readonly StoryEvent[]) {
  return (story: OrderStory): OrderStory => ({ ...story, events: change(story.events) });
}

describe('what became of an order', () => {
  it.each(NAMES)('may be: %s', (name) => {
    expect(fateOf(storyOf(name).events)).toBe(name);
    expect(problemsOf(name, (story) => story)).toEqual([]);
  });

  it('is found when an event is there twice, is missing, or stands in the wrong place', () => {
    const twice = withEvents((events) => [...events, ...events.filter(({ type }) => type === 'payment.captured')]);
    expect(problemsOf('confirmed', twice)).toEqual([expect.stringContaining('no order can have the events')]);
    expect(
      problemsOf(
        'confirmed',
        withEvents((events) => events.slice(0, -1)),
      ),
    ).toHaveLength(1);
    expect(
      problemsOf(
        'confirmed',
        withEvents((events) => [...events].reverse()),
      ),
    ).toHaveLength(1);
  });

  it('is found when a row says other than the events', () => {
    expect(problemsOf('confirmed', (story) => ({ ...story, reservation: 'reserved' }))).toEqual([
      'confirmed, but reservation is reserved and not sold',
    ]);
    expect(problemsOf('cancelled before the charge', (story) => ({ ...story, payment: 'captured' }))).toHaveLength(1);
    expect(problemsOf('rejected: no stock', (story) => ({ ...story, payment: 'declined' }))).toHaveLength(1);
  });

  it('is found when a cancellation was accepted and the order is confirmed, and the other way round', () => {
    expect(storyProblems(storyOf('confirmed'), { isCancelTaken: true })).toHaveLength(1);
    expect(storyProblems(storyOf('cancelled after the charge'), { isCancelTaken: false })).toHaveLength(1);
  });

  it('is found when a version has a hole, or an event another cause than can be', () => {
    const hole = withEvents((events) =>
      events.map((event) => (event.type === 'stock.sold' ? { ...event, version: 3 } : event)),
    );
    expect(problemsOf('confirmed', hole)).toEqual(['stock.sold has version 3 in the wrong place']);
    const otherCause = withEvents((events) =>
      events.map((event) => (event.type === 'stock.sold' ? { ...event, causedBy: 'id of order.placed' } : event)),
    );
    expect(problemsOf('confirmed', otherCause)).toEqual([
      'stock.sold was caused by order.placed',
      'order.placed made the service of stock act twice',
    ]);
  });
});
