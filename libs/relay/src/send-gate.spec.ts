import { describe, expect, it } from '@jest/globals';
import { SendGate } from './send-gate.js';
import { FakeClock, settled } from './testing/fake-clock.js';

describe('the send gate', () => {
  it('keeps a lane until its send has ended, well or not', async () => {
    const gate = new SendGate(new FakeClock());
    let fail: (error: Error) => void = () => undefined;
    const call = new Promise<void>((_, reject) => {
      fail = reject;
    });
    expect(gate.whenFree('t/0')).toBeNull();
    gate.enter('t/0', { route: 'a', call });
    expect(gate.whenFree('t/1')).toBeNull();
    const free = gate.whenFree('t/0');
    expect(free).not.toBeNull();
    fail(new Error('x'));
    await free;
    expect(gate.whenFree('t/0')).toBeNull();
  });

  it('counts the sends of each route, and knows the oldest', async () => {
    const clock = new FakeClock();
    const gate = new SendGate(clock);
    let end: () => void = () => undefined;
    gate.enter('t/0', { route: 'a', call: new Promise<void>((resolve) => (end = resolve)) });
    clock.freeze(100);
    gate.enter('t/1', { route: 'a', call: new Promise(() => undefined) });
    gate.enter('t/2', { route: 'b', call: new Promise(() => undefined) });
    clock.freeze(50);
    expect([gate.oldestMs('a'), gate.oldestMs('b'), gate.oldestMs('c')]).toEqual([150, 50, 0]);
    expect([gate.countOf('a'), gate.countOf('b'), gate.countOf('c')]).toEqual([2, 1, 0]);
    end();
    await settled();
    expect(gate.oldestMs('a')).toBe(50);
  });
});
