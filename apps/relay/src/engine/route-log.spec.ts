import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type CaptureChange } from '@millrace/capture';
import { Logger } from '@nestjs/common';
import { RouteLog } from './route-log.js';

const CHANGE: CaptureChange = {
  source: 'order',
  route: 'default',
  reading: 'table',
  slot: 'invalidated',
  message: 'The slot is lost and is made anew.',
  isWarning: true,
};

describe('the log of the routes', () => {
  const lines: unknown[][] = [];

  beforeEach(() => {
    lines.length = 0;
    for (const level of ['log', 'warn'] as const) {
      jest.spyOn(Logger.prototype, level).mockImplementation((...told: unknown[]) => {
        lines.push([level, ...told]);
      });
    }
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('warns when the stream was lost or something stands in the way, and only then', () => {
    const log = new RouteLog();
    log.captureChanged(CHANGE);
    log.captureChanged({ ...CHANGE, reading: 'stream', slot: 'ready', message: 'Read.', isWarning: false });
    log.captureChanged({ ...CHANGE, slot: null, message: 'Polls, as asked.', isWarning: false });
    const line = { source: 'order', route: 'default' };
    expect(lines).toEqual([
      [
        'warn',
        { ...line, reading: 'table', slot: 'invalidated', detail: 'The slot is lost and is made anew.' },
        'capture changed',
      ],
      ['log', { ...line, reading: 'stream', slot: 'ready', detail: 'Read.' }, 'capture changed'],
      ['log', { ...line, reading: 'table', detail: 'Polls, as asked.' }, 'capture changed'],
    ]);
  });
});
