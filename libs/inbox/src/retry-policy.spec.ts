import { describe, expect, it } from '@jest/globals';
import { EventsError } from '@millrace/events';
import { OutboxError } from '@millrace/outbox';
import { InboxError, Park, Retry } from './inbox.errors.js';
import { failureCodeOf, heldVerdict, parkedVerdict, policyFor, reasonOf } from './retry-policy.js';

function sqlError(code: string): Error {
  return Object.assign(new Error('duplicate key value (id)=(secret)'), { code, severity: 'ERROR' });
}

describe('the error table', () => {
  it.each([
    ['08006', 'unavailable', 'wait'],
    ['53300', 'unavailable', 'wait'],
    ['53100', 'unavailable', 'wait'],
    ['57P01', 'unavailable', 'wait'],
    ['57P03', 'unavailable', 'wait'],
    ['58030', 'unavailable', 'wait'],
    ['25006', 'unavailable', 'wait'],
    ['40001', 'conflict', 'again'],
    ['40P01', 'conflict', 'again'],
    ['55P03', 'lock_timeout', 'again'],
    ['22P02', 'data_refused', 'park'],
    ['23505', 'constraint', 'retry'],
    ['23514', 'constraint', 'retry'],
    ['57014', 'statement_failed', 'retry'],
    ['42P01', 'statement_failed', 'retry'],
    ['25P02', 'statement_failed', 'retry'],
    ['XX000', 'statement_failed', 'retry'],
  ])('takes SQLSTATE %s for %s: %s', (sqlState, code, action) => {
    expect(failureCodeOf(sqlError(sqlState))).toBe(code);
    expect(policyFor(failureCodeOf(sqlError(sqlState))).action).toBe(action);
  });

  it.each<[string, unknown, string, string]>([
    ['an Error', new Error('secret'), 'handler_error', 'retry'],
    ['no Error', 'secret', 'handler_error', 'retry'],
    ['undefined', undefined, 'handler_error', 'retry'],
    ['an error of a socket', Object.assign(new Error('x'), { code: 'EPIPE' }), 'handler_error', 'retry'],
    ['Park', new Park('c', 'r'), 'park', 'park'],
    ['Retry', new Retry(), 'retry', 'hold'],
    ['a malformed record', new InboxError('record_malformed', 'm'), 'malformed', 'park'],
    ['a claim that waited for long', new InboxError('claim_stale', 'm'), 'conflict', 'again'],
    ['no connection', new InboxError('unavailable', 'm'), 'unavailable', 'wait'],
    ['a handler out of time', new InboxError('handler_timeout', 'm'), 'handler_timeout', 'retry'],
    ['a type that lost its handler', new InboxError('handler_missing', 'm'), 'handler_missing', 'hold'],
    ['a newer producer', new EventsError('schema_version_unknown', 'm'), 'schema_version_unknown', 'hold'],
    ['an outgoing event that breaks its contract', new OutboxError('payload_invalid', 'm'), 'outbox_refused', 'park'],
    [
      'an outgoing event of a contract that is not registered',
      new OutboxError('unknown_event', 'm'),
      'outbox_failed',
      'retry',
    ],
  ])('takes %s for what it is', (_, error, code, action) => {
    expect(failureCodeOf(error)).toBe(code);
    expect(policyFor(failureCodeOf(error)).action).toBe(action);
  });

  it('looks into what an error wraps, as TypeORM and handlers do it', () => {
    const driverError = sqlError('40P01');
    expect(failureCodeOf(Object.assign(new Error('QueryFailedError'), { driverError }))).toBe('conflict');
    expect(failureCodeOf(new Error('outer', { cause: new Error('inner', { cause: driverError }) }))).toBe('conflict');
    expect(failureCodeOf(new Error('outer', { cause: new Park('c', 'r') }))).toBe('park');
  });

  it('gives up on causes that go round', () => {
    const error = new Error('round');
    error.cause = error;
    expect(failureCodeOf(error)).toBe('handler_error');
  });
});

describe('what is stored of an error', () => {
  it('is its name, its SQLSTATE and what to do, never its message', () => {
    expect(reasonOf(sqlError('23505'), 'constraint')).toBe(
      'Error (SQLSTATE 23505): A constraint of a table refused what the handler wrote.',
    );
    expect(reasonOf('secret', 'handler_error')).toMatch(/^no Error: The handler failed/);
    expect(reasonOf(new TypeError('secret'), 'handler_error')).toMatch(/^TypeError: The handler failed/);
  });

  it("is the handler's own sentence, or Millrace's", () => {
    expect(parkedVerdict(new Park('no_sku', 'Add it.'), 'park')).toEqual({
      kind: 'parked',
      code: 'no_sku',
      reason: 'Add it.',
    });
    expect(parkedVerdict(new InboxError('record_malformed', 'It has no id.'), 'malformed')).toMatchObject({
      code: 'malformed',
      reason: expect.stringMatching(/^It has no id\. The record breaks its contract/),
    });
  });

  it.each([
    [NaN, 1_000],
    [Infinity, 86_400_000],
    [1e21, 86_400_000],
    [-5, 0],
    [1.5, 2],
  ])('holds for a time that can be stored when the handler asks for %d ms', (afterMs, retryInMs) => {
    expect(heldVerdict(new Retry({ afterMs }), 'retry', 1_000)).toMatchObject({ kind: 'held', retryInMs });
  });

  it('holds for as long as the handler asks, otherwise for the usual wait', () => {
    expect(heldVerdict(new Retry({ afterMs: 5 }), 'retry', 1_000)).toMatchObject({ kind: 'held', retryInMs: 5 });
    expect(heldVerdict(new Retry(), 'retry', 1_000)).toMatchObject({ retryInMs: 1_000 });
    expect(heldVerdict(new Error('x'), 'handler_error', 1_000)).toMatchObject({
      retryInMs: 1_000,
      code: 'handler_error',
    });
  });
});
