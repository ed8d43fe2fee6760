import { describe, expect, it } from '@jest/globals';
import { PollPace } from './poll-pace.js';

const EMPTY = { isFull: false, rowCount: 0, hasWaited: false };
const SOME = { ...EMPTY, rowCount: 3 };
const FULL = { ...EMPTY, isFull: true, rowCount: 1_000 };

describe('the pace of polls', () => {
  it('never waits between full pages', () => {
    const pace = new PollPace(3, 100);
    expect([pace.after(FULL), pace.after(FULL)]).toEqual([0, 0]);
  });

  it('doubles the wait while nothing comes, up to the limit, and begins again when rows come', () => {
    const pace = new PollPace(3, 100);
    const waits = Array.from({ length: 8 }, () => pace.after(EMPTY));
    expect(waits).toEqual([3, 6, 12, 24, 48, 96, 100, 100]);
    expect([pace.after(SOME), pace.after(EMPTY), pace.after(EMPTY)]).toEqual([3, 3, 6]);
  });

  it('does not wait after a page that waited in vain, and begins again at the least when pages wait no more', () => {
    const pace = new PollPace(3, 100);
    const waited = { ...EMPTY, hasWaited: true };
    expect([pace.after(EMPTY), pace.after(EMPTY), pace.after(waited), pace.after(waited)]).toEqual([3, 6, 0, 0]);
    expect([pace.after(EMPTY), pace.after(EMPTY)]).toEqual([3, 6]);
  });

  it('lets rows gather after a page that waited and found some', () => {
    expect(new PollPace(3, 100).after({ ...SOME, hasWaited: true })).toBe(3);
  });
});
