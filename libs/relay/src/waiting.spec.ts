import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './testing/fake-clock.js';
import { sleep, withDeadline } from './waiting.js';

const late = (): Error => new Error('late');

describe('waiting', () => {
  it('sleeps until the time has come, or until it is told to stop', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const long = sleep(clock, 1_000, stop.signal);
    const short = sleep(clock, 10, stop.signal);
    await clock.advance(10);
    await short;
    stop.abort();
    await long;
    await sleep(clock, 1_000, stop.signal);
    expect(clock.timersSet).toBe(0);
  });

  it('gives the outcome of a call that answers in time, and leaves no timer', async () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    const deadline = { clock, ms: 100, signal, error: late };
    await expect(withDeadline(Promise.resolve(7), deadline)).resolves.toBe(7);
    await expect(withDeadline(Promise.reject(new Error('own')), deadline)).rejects.toThrow('own');
    expect(clock.timersSet).toBe(0);
  });

  it('rejects when the time is over, and when it is told to stop', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const deadline = { clock, ms: 100, signal: stop.signal, error: late };
    const first = expect(withDeadline(new Promise(() => undefined), deadline)).rejects.toThrow('late');
    await clock.advance(100);
    await first;
    const second = expect(withDeadline(new Promise(() => undefined), deadline)).rejects.toThrow('late');
    stop.abort();
    await second;
    await expect(withDeadline(new Promise(() => undefined), deadline)).rejects.toThrow('late');
    expect(clock.timersSet).toBe(0);
  });
});
