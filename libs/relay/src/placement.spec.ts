import { describe, expect, it } from '@jest/globals';
import { type RelayMember } from '@millrace/capture';
import { configVersionOf } from './config-version.js';
import { preferredOwner, stoppedBy } from './placement.js';
import { type RouteConfig } from './route-config.js';

function member(owner: string, more: Partial<RelayMember> = {}): RelayMember {
  return { owner, configVersion: 'v1', memberForMs: 60_000, wants: [], stopped: [], ...more };
}

function placed(members: readonly RelayMember[], routes: number, configVersion = 'v1'): (string | null)[] {
  return Array.from({ length: routes }, (_, index) =>
    preferredOwner(members, { route: `r${index}`, index, configVersion }),
  );
}

describe('the placement of routes', () => {
  it('goes around the members in the order in which they joined', () => {
    expect(placed([member('a')], 3)).toEqual(['a', 'a', 'a']);
    expect(placed([member('b'), member('a')], 4)).toEqual(['b', 'a', 'b', 'a']);
    expect(placed([member('a'), member('b'), member('c')], 4)).toEqual(['a', 'b', 'c', 'a']);
  });

  it.each([1, 2, 3, 4, 5, 7])('gives %i members numbers of routes that differ by one at most', (count) => {
    const members = Array.from({ length: count }, (_, index) => member(`m${index}`));
    for (let routes = 1; routes <= 20; routes += 1) {
      const owners = placed(members, routes);
      const counts = members.map(({ owner }) => owners.filter((each) => each === owner).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  });

  it('leaves relays without a route when there are more of them than routes', () => {
    expect(placed([member('a'), member('b'), member('c')], 2)).toEqual(['a', 'b']);
  });

  it('knows nobody without members', () => {
    expect(placed([], 1)).toEqual([null]);
  });

  it('counts only relays with the same configuration', () => {
    const members = [member('a'), member('b', { configVersion: 'v2' }), member('c')];
    expect(placed(members, 2)).toEqual(['a', 'c']);
    expect(placed(members, 2, 'v2')).toEqual(['b', 'b']);
    expect(placed(members, 1, 'v3')).toEqual([null]);
  });

  it('names who has stopped a route', () => {
    expect(stoppedBy([member('a'), member('b', { stopped: ['r1'] })], 'r1')).toBe('b');
    expect(stoppedBy([member('a', { stopped: ['r2'] })], 'r1')).toBeNull();
  });
});

describe('the version of a configuration', () => {
  const a: RouteConfig = { name: 'a', source: 'db', sink: 'kafka' };
  const b: RouteConfig = { name: 'b', source: 'db', sink: 'kafka', aggregateTypes: ['order'] };
  const routes = [a, b];

  it('is the same for what means the same', () => {
    const spelled = { ...a, topic: 'outbox.event.{aggregatetype}', aggregateTypes: null, tuning: { drainMs: 1 } };
    expect(configVersionOf([spelled, b])).toBe(configVersionOf(routes));
    const whole = {
      eventTypes: null,
      headerValues: [],
      key: '{aggregateid}',
      headers: {},
      format: { kind: 'raw' },
    } as const;
    expect(configVersionOf([{ ...a, ...whole }, b])).toBe(configVersionOf(routes));
  });

  it.each<[string, RouteConfig[]]>([
    ['another order', [b, a]],
    ['one route less', [a]],
    ['another filter', [a, { ...b, aggregateTypes: ['stock'] }]],
    ['wanted event types', [{ ...a, eventTypes: ['order.placed'] }, b]],
    ['wanted headers', [{ ...a, headerValues: [{ name: 'tenant', values: ['blue'] }] }, b]],
    ['another topic', [{ ...a, topic: 'x' }, b]],
    ["Debezium's topics", [{ ...a, topic: { replacement: 'x.$1' } }, b]],
    ['another key', [{ ...a, key: '{type}' }, b]],
    ['other headers', [{ ...a, headers: { rename: { a: 'b' } } }, b]],
    ['another format', [{ ...a, format: { kind: 'cloudevents', mode: 'binary' } }, b]],
    ['another sink', [{ ...a, sink: 'other' }, b]],
  ])('differs for %s', (_, other) => {
    expect(configVersionOf(other)).not.toBe(configVersionOf(routes));
  });
});
