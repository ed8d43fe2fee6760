import { describe, expect, it } from '@jest/globals';
import { LaneClock } from './lane-clock.js';

function clockAt(): { readonly clock: LaneClock; readonly at: (ms: number) => LaneClock } {
  let nowMs = 0;
  const clock = new LaneClock(() => nowMs);
  return {
    clock,
    at: (ms) => {
      nowMs = ms;
      return clock;
    },
  };
}

describe('the clock of the lanes', () => {
  it('tells the longest time between two acknowledgements of one lane', () => {
    const { at } = clockAt();
    at(0).begin(['t/0', 't/1']);
    at(1_000).heard('acked t/0');
    at(5_000).heard('acked t/1');
    at(9_500).heard('acked t/0');
    at(10_000).end();

    expect(at(20_000).longest).toEqual({ lane: 't/0', ms: 8_500 });
    expect(at(20_000).longestOf((lane) => lane === 't/1')).toEqual({ lane: 't/1', ms: 5_000 });
  });

  it('counts a lane that was never acknowledged from the beginning to the end', () => {
    const { at } = clockAt();
    at(0).begin(['t/0', 't/1']);
    at(6_000).heard('acked t/0');
    at(7_000).end();

    expect(at(7_000).longest).toEqual({ lane: 't/1', ms: 7_000 });
  });

  it('takes no notice of other lines, nor of anything before the beginning and after the end', () => {
    const { clock, at } = clockAt();
    at(0).heard('acked t/0');
    at(60_000).begin(['t/0']);
    at(61_000).heard('leading');
    at(62_000).end();
    at(90_000).heard('acked t/0');

    expect(clock.longest).toEqual({ lane: 't/0', ms: 2_000 });
  });
});
