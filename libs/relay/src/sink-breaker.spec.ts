import { beforeEach, describe, expect, it } from '@jest/globals';
import { SinkBreaker } from './sink-breaker.js';
import { FakeClock } from './testing/fake-clock.js';

describe('the breaker of a sink', () => {
  let clock: FakeClock;
  let changes: boolean[];
  let breaker: SinkBreaker;

  beforeEach(() => {
    clock = new FakeClock();
    changes = [];
    const random = { next: () => 0.5 };
    breaker = new SinkBreaker({ sink: 'main', clock, random, changed: (isOpen) => changes.push(isOpen) });
  });

  function failAll(lanes: number): void {
    for (let lane = 0; lane < lanes; lane += 1) {
      breaker.answered(`t/${String(lane)}`, 'unavailable');
    }
  }

  /** Lanes that have been let through, in turn. */
  function waiters(count: number): number[] {
    const through: number[] = [];
    for (let lane = 0; lane < count; lane += 1) {
      void (async () => {
        let healed = breaker.whenAllowed();
        while (healed !== null) {
          await healed;
          healed = breaker.whenAllowed();
        }
        through.push(lane);
      })();
    }
    return through;
  }

  it('lets every send through until several lanes have failed without an answer between', () => {
    failAll(2);
    breaker.answered('t/0', 'unavailable');
    expect([breaker.isOpen, breaker.whenAllowed()]).toEqual([false, null]);
    breaker.answered('t/5', null);
    failAll(2);
    expect(breaker.isOpen).toBe(false);
    breaker.answered('t/2', 'timeout');
    expect(breaker.isOpen).toBe(true);
    expect(breaker.problem).toMatchObject({ code: 'unavailable' });
  });

  it('lets one lane at a time try while the sink is away, and all when one of them has an answer', async () => {
    failAll(3);
    const through = waiters(5);
    await clock.advance(50);
    expect(through).toEqual([]);
    await clock.advance(100);
    expect(through).toEqual([0]);
    breaker.answered('t/0', 'timeout');
    await clock.advance(300);
    expect(through).toEqual([0, 1]);
    breaker.answered('t/1', null);
    await clock.advance(0);
    expect(through).toEqual([0, 1, 2, 3, 4]);
    expect([breaker.isOpen, breaker.problem, changes]).toEqual([false, null, [true, false]]);
    expect(clock.timersSet).toBe(0);
  });

  it('takes a refusal for an answer', () => {
    failAll(2);
    breaker.answered('t/7', 'record_too_large');
    breaker.answered('t/8', 'unavailable');
    expect(breaker.isOpen).toBe(false);
  });

  it('goes on to the next lane when the one that was to try does not', async () => {
    failAll(3);
    void breaker.whenAllowed();
    const through = waiters(1);
    await clock.advance(2_000);
    expect(through).toEqual([0]);
    breaker.stop();
    expect(clock.timersSet).toBe(0);
  });
});
