import { describe, expect, it } from '@jest/globals';
import { FeedbackPace } from './feedback-pace.js';

/** What is due at each look until `endMs`, by the time of the look, without the looks at which nothing is. */
function looks(pace: FeedbackPace, endMs: number, heardAtMs: readonly number[] = []): string[] {
  const seen: string[] = [];
  for (let nowMs = pace.lookMs; nowMs <= endMs; nowMs += pace.lookMs) {
    if (heardAtMs.includes(nowMs)) {
      pace.heard(nowMs);
    }
    const due = pace.due(nowMs);
    if (due === 'report' || due === 'question') {
      pace.sent(nowMs);
    }
    if (due !== 'nothing') {
      seen.push(`${due} at ${nowMs}`);
    }
    if (due === 'silent') {
      break;
    }
  }
  return seen;
}

describe('FeedbackPace', () => {
  it('reports every ten seconds to a server that waits for a minute', () => {
    const always = Array.from({ length: 60 }, (_, second) => second * 1_000);

    expect(looks(new FeedbackPace(60_000, 60_000, 0), 30_000, always)).toEqual([
      'report at 10000',
      'report at 20000',
      'report at 30000',
    ]);
  });

  it('reports three times within the time after which the server gives up', () => {
    const pace = new FeedbackPace(1_500, 60_000, 0);
    pace.heard(900);

    expect(looks(pace, 1_000)).toEqual(['report at 500', 'report at 1000']);
  });

  it('reports to a server that never gives up', () => {
    expect(looks(new FeedbackPace(0, 60_000, 0), 10_000, [9_000])).toEqual(['report at 10000']);
  });

  it('asks a silent server for an answer before it gives it up', () => {
    expect(looks(new FeedbackPace(60_000, 3_000, 0), 5_000)).toEqual([
      'question at 1000',
      'question at 2000',
      'question at 3000',
      'silent at 3250',
    ]);
  });

  it('goes on when the server answers', () => {
    expect(looks(new FeedbackPace(60_000, 3_000, 0), 4_000, [1_250, 2_500])).toEqual([
      'question at 1000',
      'report at 2000',
      'report at 3000',
      'question at 4000',
    ]);
  });

  it('gives the server its full time again after the process stood still', () => {
    const pace = new FeedbackPace(60_000, 3_000, 0);

    expect(pace.due(40_000)).toBe('report');
    expect(pace.due(40_250)).toBe('report');
  });
});
