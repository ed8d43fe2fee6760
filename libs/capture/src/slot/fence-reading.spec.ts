import { describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { type PollRequest, type PollResult } from '../outbox-reader.js';
import { pollCoverage } from './fence-reading.js';

const request = (change: Partial<PollRequest> = {}): PollRequest => ({
  above: toPosition(100),
  reach: null,
  gaps: [],
  rowsMax: 10,
  bytesMax: 1_000,
  ...change,
});

const result = (isFull: boolean, ...positions: number[]): PollResult => ({
  rows: positions.map((position) => ({ position: toPosition(position), event: null, bytes: 0 })),
  isFull,
  snapshotXmin: 1n,
  insertLsn: 1n,
  flushLsn: 1n,
  lastPosition: toPosition(500),
});

describe('what a poll looked at', () => {
  it.each([
    ['is everything when it was not cut', request(), result(false, 101), 'all'],
    ['ends at its reach', request({ reach: 50n }), result(false, 101), 150n],
    ['ends with the last row when it was cut', request({ reach: 50n }), result(true, 7, 104), 104n],
    ['is nothing for sure when it was cut without a row', request(), result(true), 0n],
    ['is nothing above the gaps when it read those alone', request({ above: null }), result(false, 7), 0n],
  ])('%s', (_what, asked, answered, coverage) => {
    expect(pollCoverage(asked, answered)).toBe(coverage);
  });
});
