import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';

import { SubscriptionLog } from './subscription-log.js';

const LEVELS = ['log', 'warn', 'error'] as const;

describe('the log of a subscription', () => {
  const lines: unknown[][] = [];

  beforeEach(() => {
    for (const level of LEVELS) {
      jest.spyOn(Logger.prototype, level).mockImplementation((...given: unknown[]) => lines.push([level, ...given]));
    }
  });

  afterEach(() => {
    jest.restoreAllMocks();
    lines.length = 0;
  });

  it('names partitions by topic and number', () => {
    const partitions = [0, 2].map((partition) => ({ topic: 'outbox.event.order', partition }));
    new SubscriptionLog().tell({ kind: 'assigned', partitions });
    const named = ['outbox.event.order/0', 'outbox.event.order/2'];
    expect(lines).toEqual([['log', { kind: 'assigned', partitions: named }, 'partitions assigned']]);
  });

  it('warns only of partitions that were taken away before their handlers had ended', () => {
    const log = new SubscriptionLog();
    log.tell({ kind: 'revoked', partitions: [], isDrained: true });
    log.tell({ kind: 'revoked', partitions: [], isDrained: false });
    expect(lines.map(([level]) => level)).toEqual(['log', 'warn']);
  });

  it('tells offsets as text, as JSON has no numbers for them', () => {
    new SubscriptionLog().tell({ kind: 'out_of_range', topic: 't', partition: 1, expected: 7n, first: 2n ** 60n });
    expect(lines).toEqual([
      ['error', expect.objectContaining({ expected: '7', first: '1152921504606846976' }), expect.any(String)],
    ]);
  });
});
