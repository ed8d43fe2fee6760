import { describe, expect, it } from '@jest/globals';
import { type AppliedHistory, checkApplied, type Effect, type TrueEvent } from './applied-check.js';

const COMMITTED = [event('a', 1), event('b', 1), event('a', 2), event('a', 3)];

function event(key: string, version: number): TrueEvent {
  return { id: `${key}-${version}`, key, version };
}

/** Effects in the given order, each after the one before it of its key; the rows of the keys agree. */
function history(events: readonly TrueEvent[], change: Partial<AppliedHistory> = {}): AppliedHistory {
  const lasts = new Map<string, { version: number; effects: number }>();
  const effects = events.map(({ id, key, version }): Effect => {
    const last = lasts.get(key) ?? { version: 0, effects: 0 };
    lasts.set(key, { version, effects: last.effects + 1 });
    return { id, key, version, previous: last.version };
  });
  const totals = [...lasts].map(([key, last]) => ({ key, ...last }));
  return { effects, totals, readings: [], ...change };
}

function kindsOf(found: AppliedHistory, isOrdered = true): string[] {
  return checkApplied(COMMITTED, found, { isOrdered }).map(({ kind }) => kind);
}

describe('the check of what was applied', () => {
  it('is content with every event once, in order per key', () => {
    const readings = [new Map([['a', [1, 2]]]), new Map([['b', [1]]]), new Map()];
    expect(kindsOf(history(COMMITTED, { readings }))).toEqual([]);
  });

  it('finds a lost event, and the hole that it leaves in its key', () => {
    expect(kindsOf(history([event('a', 1), event('b', 1), event('a', 3)]))).toEqual(['lost', 'order']);
  });

  it('finds an effect of an event that was never committed', () => {
    expect(kindsOf(history([...COMMITTED, event('b', 2)]))).toEqual(['phantom']);
  });

  it('finds an event with two effects', () => {
    expect(kindsOf(history([...COMMITTED, event('b', 1)]))).toEqual(['twice', 'order']);
  });

  it('finds a later version before an earlier one, unless the order is not asked for', () => {
    const found = history([event('a', 2), event('a', 1), event('b', 1), event('a', 3)]);
    expect(kindsOf(found)).toEqual(['order']);
    expect(kindsOf(found, false)).toEqual([]);
  });

  it('finds a handler that did not see the effect before its own', () => {
    const right = history(COMMITTED);
    const effects = right.effects.map((effect) => (effect.id === 'a-3' ? { ...effect, previous: 1 } : effect));
    expect(kindsOf({ ...right, effects })).toEqual(['order']);
  });

  it('finds a sum that differs from the effects', () => {
    const right = history(COMMITTED);
    const totals = right.totals.map((total) => (total.key === 'a' ? { ...total, effects: 2 } : total));
    expect(kindsOf({ ...right, totals })).toEqual(['total']);
    expect(kindsOf({ ...right, totals: [...right.totals, { key: 'c', version: 1, effects: 1 }] })).toEqual(['total']);
  });

  it('finds a reading that is no beginning of the final list', () => {
    expect(kindsOf(history(COMMITTED, { readings: [new Map([['a', [1, 3]]])] }))).toEqual(['prefix']);
    expect(kindsOf(history(COMMITTED, { readings: [new Map([['a', [1, 2, 3, 4]]])] }))).toEqual(['prefix']);
  });
});
