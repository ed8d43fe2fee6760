import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { toEventId, toPosition } from '@millrace/events';
import { type EventRefused } from '@millrace/relay';
import { HeldLog } from './held-log.js';

const REFUSED: EventRefused = {
  route: 'orders',
  position: toPosition(7),
  id: toEventId('00000000-0000-7000-8000-000000000007'),
  refusal: { code: 'record_too_large', reason: 'Large.' },
  policy: 'block',
  isAgain: false,
};

describe('the log of refused events', () => {
  let warned: unknown[];

  beforeEach(() => {
    warned = [];
    jest.spyOn(Logger.prototype, 'warn').mockImplementation((line: unknown) => {
      warned.push(line);
    });
    jest.spyOn(Logger.prototype, 'log').mockImplementation((line: unknown) => {
      warned.push(line);
    });
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('has one line in ten seconds for each route, which tells how many were not told', () => {
    let nowMs = 0;
    const log = new HeldLog(() => nowMs);
    for (let event = 0; event < 100; event += 1) {
      log.eventRefused(REFUSED);
    }
    log.eventRefused({ ...REFUSED, route: 'other' });
    nowMs = 10_000;
    log.eventRefused(REFUSED);
    expect(warned).toMatchObject([
      { route: 'orders', position: '7', code: 'record_too_large', problem: 'Large.', policy: 'block' },
      { route: 'other' },
      { route: 'orders', unsaid: '99' },
    ]);
  });

  it('has one line when a sink goes away and one when it is back', () => {
    const log = new HeldLog();
    log.breakerChanged({ sink: 'main', isOpen: true });
    log.breakerChanged({ sink: 'main', isOpen: false });
    expect(warned).toEqual([{ sink: 'main' }, { sink: 'main' }]);
  });
});
