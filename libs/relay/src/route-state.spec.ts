import { describe, expect, it } from '@jest/globals';
import { toEpoch } from '@millrace/events';
import { nextRouteState, type RouteEvent, type RouteState } from './route-state.js';

const PROBLEM = { side: 'sink', code: 'timeout', message: 'x' } as const;
const STATES: readonly RouteState[] = [
  { kind: 'starting', sinceMs: 1 },
  { kind: 'standby', sinceMs: 1, heldBy: 'other' },
  { kind: 'running', sinceMs: 1, epoch: toEpoch(1) },
  { kind: 'stalled', sinceMs: 1, problem: PROBLEM },
  { kind: 'paused', sinceMs: 1, epoch: toEpoch(1) },
  { kind: 'stopped', sinceMs: 1, problem: PROBLEM },
  { kind: 'ended', sinceMs: 1 },
];
const EVENTS: readonly RouteEvent[] = [
  { kind: 'started' },
  { kind: 'held', by: 'other' },
  { kind: 'working', epoch: toEpoch(1) },
  { kind: 'hindered', problem: PROBLEM },
  { kind: 'paused', epoch: toEpoch(1) },
  { kind: 'refused', problem: PROBLEM },
  { kind: 'ended' },
];

describe('the state of a route', () => {
  it('follows the table', () => {
    const table = STATES.map((state) =>
      [state.kind, ...EVENTS.map((event) => nextRouteState(state, event, 2).kind)].join(' '),
    );
    expect(table).toEqual([
      'starting starting standby running stalled paused stopped ended',
      'standby starting standby running stalled paused stopped ended',
      'running starting standby running stalled paused stopped ended',
      'stalled starting standby running stalled paused stopped ended',
      'paused starting standby running stalled paused stopped ended',
      'stopped starting stopped stopped stopped stopped stopped ended',
      'ended starting ended ended ended ended ended ended',
    ]);
  });

  it('is the same object when an event says nothing new', () => {
    STATES.forEach((state, index) => {
      const event = EVENTS[index];
      expect(event === undefined ? undefined : nextRouteState(state, event, 2)).toBe(state);
    });
  });

  it('is a new one when the owner, the epoch or the problem is another', () => {
    const [, standby, running, stalled] = STATES;
    if (standby === undefined || running === undefined || stalled === undefined) {
      throw new Error('the table has these rows');
    }
    expect(nextRouteState(standby, { kind: 'held', by: 'third' }, 2)).toEqual({
      kind: 'standby',
      sinceMs: 2,
      heldBy: 'third',
    });
    expect(nextRouteState(running, { kind: 'working', epoch: toEpoch(2) }, 2).sinceMs).toBe(2);
    const problem = { side: 'source', code: 'database_unavailable', message: 'y' } as const;
    expect(nextRouteState(stalled, { kind: 'hindered', problem }, 2)).toEqual({ kind: 'stalled', sinceMs: 2, problem });
  });
});
