import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { InboxLog } from './inbox-log.js';

describe('the log of a consumer', () => {
  let lines: unknown[][];

  beforeEach(() => {
    lines = [];
    const write =
      (level: string) =>
      (...parts: unknown[]): void => {
        lines.push([level, ...parts]);
      };
    Logger.overrideLogger({ log: write('log'), warn: write('warn'), error: write('error') });
  });

  afterEach(() => {
    Logger.overrideLogger(['log', 'warn', 'error']);
  });

  it('has one line for an event that is set aside, with the place of the error and not its message', () => {
    const error = new TypeError('secret\n  of two lines');
    const place = { id: 'i', type: 't', topic: 'topic', partition: 1, offset: 7n };
    const log = new InboxLog('stock');
    log.setAside({ kind: 'held', ...place, code: 'handler_error', reason: 'r', error });
    log.setAside({ kind: 'parked', ...place, code: 'c', reason: 'r', error: null });

    expect(lines).toMatchObject([
      ['warn', { consumer: 'stock', offset: '7', error: 'TypeError', at: expect.any(Array) }, 'event held', 'Inbox'],
      ['error', { consumer: 'stock', offset: '7', code: 'c' }, 'event parked', 'Inbox'],
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/secret|two lines/);
    expect(JSON.stringify(lines)).toMatch(/inbox-log\.spec/);
  });

  it('has one line for each change of state', () => {
    const log = new InboxLog('stock');
    log.breakerChanged({ kind: 'open', sinceMs: 0, reason: 'Away.' });
    log.breakerChanged({ kind: 'closed' });
    log.partitionFrozen({ topic: 'topic', partition: 1, from: 3n, to: 9n });
    log.progressMissing({ topic: 'topic', partition: 1, from: 0n, to: 9n });
    log.partitionThawed({ topic: 'topic', partition: 1 });
    log.chainParked({ id: 'i', topic: 'topic', code: 'c' });
    log.chainsReleased(3);
    log.backgroundChanged('progress', new Error('secret'));
    log.backgroundChanged('progress', null);

    expect(lines.map(([level, , phrase]) => [level, phrase])).toEqual([
      ['error', 'database away, consuming waits'],
      ['log', 'database back, consuming goes on'],
      ['error', 'records were skipped, floors of the partition stand still'],
      ['error', 'no progress of a partition that the group has read, its floors stand still'],
      ['log', 'partition thawed'],
      ['error', 'held chain parked'],
      ['log', 'held events applied'],
      ['error', 'background task fails'],
      ['log', 'background task works again'],
    ]);
    expect(lines[3]?.[1]).toMatchObject({ groupOffset: '10', advice: expect.stringMatching(/millrace inbox thaw/) });
    expect(JSON.stringify(lines)).not.toMatch(/secret/);
  });
});
