import { describe, expect, it } from '@jest/globals';
import { SinkError, type SinkErrorCode } from '@millrace/transport';
import { type SendAction, sendErrorCodeOf, sendPolicyFor } from './send-policy.js';

const ACTIONS: Readonly<Record<SinkErrorCode, SendAction>> = {
  unavailable: 'resend',
  timeout: 'resend',
  receipt_invalid: 'resend',
  fenced: 'wait',
  topic_missing: 'wait',
  topic_deleted: 'wait',
  partition_count_changed: 'stop',
  record_too_large: 'bisect',
  record_invalid: 'bisect',
  not_authorised: 'stop',
  configuration: 'stop',
};
const CODES: readonly SinkErrorCode[] = [
  'unavailable',
  'timeout',
  'receipt_invalid',
  'fenced',
  'topic_missing',
  'topic_deleted',
  'partition_count_changed',
  'record_too_large',
  'record_invalid',
  'not_authorised',
  'configuration',
];

describe('the send policy', () => {
  it.each(CODES)('knows what to do about %s, and tells the operator', (code) => {
    expect(sendPolicyFor(code).action).toBe(ACTIONS[code]);
    expect(sendPolicyFor(code).advice).toMatch(/\.$/);
  });

  it.each(CODES)('never sends again what was refused for good (%s)', (code) => {
    const { outcome } = new SinkError(code, 'x');
    expect(outcome === 'refused' && ['resend', 'wait'].includes(sendPolicyFor(code).action)).toBe(false);
  });

  it('sends again after an error that no sink should throw', () => {
    expect(sendErrorCodeOf(new TypeError('x'))).toBe('internal');
    expect(sendPolicyFor('internal').action).toBe('resend');
  });
});
