import { describe, expect, it } from '@jest/globals';
import { type HeldKeyView, type ParkedEvent } from '@millrace/capture';
import { parkedCommandSchema } from './parked-command.js';
import { heldKeysPage, heldKeysViewSchema, keyOfCursor, parkedPage, parkedViewSchema } from './parked-view.js';

const REFUSAL = { state: 'held', code: 'record_too_large', reason: 'Large.', attempts: 2 } as const;
const TIMES = { heldAt: '2026-11-22T04:00:00.000Z', nextTry: null };

function parked(position: string): ParkedEvent {
  const id = '00000000-0000-7000-8000-000000000001';
  return { position, id, aggregateType: 'order', aggregateId: 'o-1', ...REFUSAL, ...TIMES };
}

function key(aggregateId: string): HeldKeyView {
  return { aggregateType: 'order', aggregateId, ...REFUSAL, ...TIMES, events: 3, bytes: 30, first: '7' };
}

describe('the pages of what is held', () => {
  it('tell where the next one begins, the last one nowhere', () => {
    const page = parkedPage('r', [parked('7'), parked('9')], 2);
    expect(page).toMatchObject({ route: 'r', next: '9' });
    expect(parkedPage('r', [parked('7')], 2).next).toBeNull();
    expect(parkedViewSchema.safeParse(page).success).toBe(true);
  });

  it('of keys begin after any key, whatever characters it has', () => {
    const page = heldKeysPage('r', [key('a/b "c" é')], 1);
    expect(heldKeysViewSchema.safeParse(page).success).toBe(true);
    expect(keyOfCursor(page.next ?? '')).toEqual({ aggregateType: 'order', aggregateId: 'a/b "c" é' });
    expect(keyOfCursor('nonsense')).toBeNull();
  });
});

describe('a command on what is held', () => {
  it('needs a route and a reason, and takes no other conditions than it knows', () => {
    const command = { action: 'discard', filter: { route: 'r', state: 'skipped' }, reason: 'Obsolete.' };
    expect(parkedCommandSchema.parse({ ...command, action: 'retry' })).toMatchObject({ dryRun: false });
    for (const wrong of [
      { ...command, filter: {} },
      { ...command, reason: '' },
      { ...command, filter: { route: 'r', colour: 'red' } },
      { ...command, filter: { route: 'r', ids: ['7'] } },
    ]) {
      expect(parkedCommandSchema.safeParse({ dryRun: true, ...wrong }).success).toBe(false);
    }
  });

  it('discards only as many events as a dry run told', () => {
    const command = { action: 'discard', filter: { route: 'r' }, reason: 'Obsolete.' };
    const refused = parkedCommandSchema.safeParse(command);
    expect(refused.error?.issues).toMatchObject([{ path: ['confirm'], message: expect.stringContaining('dryRun') }]);
    expect(parkedCommandSchema.safeParse({ ...command, dryRun: true }).success).toBe(true);
    expect(parkedCommandSchema.safeParse({ ...command, confirm: 2 }).success).toBe(true);
  });
});
