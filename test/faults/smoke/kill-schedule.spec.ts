import { describe, expect, it } from '@jest/globals';
import { COMPONENTS, killSchedule } from './kill-schedule.js';

const counted = (seconds: number, seed: number): readonly number[] =>
  COMPONENTS.map((component) => killSchedule(seed, seconds).filter((kill) => kill.component === component).length);

describe('the kills of a smoke run', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(killSchedule(7, 60)).toEqual(killSchedule(7, 60));
    expect(killSchedule(7, 60)).not.toEqual(killSchedule(8, 60));
  });

  it('meet every app twice and every server once even in a short run, and all of them twice in a minute', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const [relay = 0, order = 0, inventory = 0, payment = 0, kafka = 0, postgres = 0] = counted(20, seed);
      expect(Math.min(relay, order, inventory, payment)).toBeGreaterThanOrEqual(2);
      expect(Math.min(kafka, postgres)).toBeGreaterThanOrEqual(1);
      expect(Math.min(...counted(60, seed))).toBeGreaterThanOrEqual(2);
    }
  });

  it('are in time order and within the run', () => {
    const times = killSchedule(3, 60).map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Math.max(...times)).toBeLessThanOrEqual(60_000);
  });
});
