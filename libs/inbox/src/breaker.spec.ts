import { describe, expect, it } from '@jest/globals';
import { Breaker } from './breaker.js';
import { FakeClock } from './testing-doubles/fake-clock.js';

class Scene {
  readonly clock = new FakeClock();
  readonly changes: string[] = [];
  isThere = true;
  isSilent = false;
  probes = 0;
  readonly breaker = new Breaker({
    clock: this.clock,
    probe: () => {
      this.probes++;
      if (this.isSilent) {
        return new Promise(() => undefined);
      }
      return this.isThere ? Promise.resolve() : Promise.reject(new Error('away'));
    },
    changed: ({ kind }) => this.changes.push(kind),
  });
}

describe('the breaker', () => {
  it('stays closed while the database answers', async () => {
    const { breaker, changes } = new Scene();
    expect(await breaker.isDatabaseThere(new Error('x'))).toBe(true);
    expect([breaker.isOpen, changes]).toEqual([false, []]);
  });

  it('opens once for all who ask at a time, and closes by itself', async () => {
    const scene = new Scene();
    scene.isThere = false;
    const asked = [1, 2, 3].map(() => scene.breaker.isDatabaseThere(new TypeError('x')));
    expect(await Promise.all(asked)).toEqual([false, false, false]);
    expect(scene.probes).toBe(1);
    expect(scene.breaker.state).toMatchObject({
      kind: 'open',
      sinceMs: 0,
      reason: expect.stringMatching(/^TypeError/),
    });
    expect(await scene.breaker.isDatabaseThere(new Error('x'))).toBe(false);
    expect(scene.probes).toBe(1);

    await scene.clock.advance(60_000);
    expect(scene.probes).toBeGreaterThan(10);
    expect(scene.probes).toBeLessThan(30);
    scene.isThere = true;
    await scene.clock.advance(5_000);
    expect(scene.changes).toEqual(['open', 'closed']);
    expect(scene.clock.timersSet).toBe(0);
    expect(await scene.breaker.isDatabaseThere(new Error('x'))).toBe(true);
  });

  it('takes a database that has fallen silent for away', async () => {
    const scene = new Scene();
    scene.isSilent = true;
    const asked = scene.breaker.isDatabaseThere(new Error('x'));
    await scene.clock.advance(5_000);
    expect(await asked).toBe(false);
    scene.isSilent = false;
    await scene.clock.advance(5_000);
    expect(scene.changes).toEqual(['open', 'closed']);
  });

  it('ends its probing when it is stopped, and tells nothing more', async () => {
    const scene = new Scene();
    scene.isThere = false;
    await scene.breaker.isDatabaseThere(new Error('x'));
    scene.breaker.stop();
    scene.isThere = true;
    await scene.clock.advance(60_000);
    expect(scene.changes).toEqual(['open']);
    expect(scene.clock.timersSet).toBe(0);
  });
});
