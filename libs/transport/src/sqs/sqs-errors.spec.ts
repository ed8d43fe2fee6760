import { describe, expect, it } from '@jest/globals';
import { SinkError } from '../transport.errors.js';
import { classifySqsEntry, classifySqsError } from './sqs-errors.js';

function error(name: string, fields: object = {}): Error {
  return Object.assign(new Error('quotes a key'), { name }, fields);
}

function outcomeOf(code: SinkError['code']): string {
  return `${code}, ${new SinkError(code, '').outcome}`;
}

describe('an error of SQS', () => {
  it.each([
    [error('RequestThrottled'), 'unavailable, unknown'],
    [error('ThrottlingException'), 'unavailable, unknown'],
    [error('KmsThrottled'), 'unavailable, unknown'],
    [error('TimeoutError'), 'timeout, unknown'],
    [error('AbortError'), 'timeout, unknown'],
    [error('Error', { code: 'ECONNREFUSED' }), 'unavailable, unknown'],
    [error('QueueDoesNotExist'), 'topic_missing, unknown'],
    [error('SQSServiceException', { Code: 'AWS.SimpleQueueService.NonExistentQueue' }), 'topic_missing, unknown'],
    [error('AccessDenied'), 'not_authorised, refused'],
    [error('ExpiredToken'), 'unavailable, unknown'],
    [error('KmsDisabled'), 'configuration, refused'],
    [error('BatchRequestTooLong'), 'record_too_large, refused'],
    [error('CredentialsProviderError'), 'unavailable, unknown'],
    [error('SomethingNew'), 'unavailable, unknown'],
    ['no error at all', 'unavailable, unknown'],
  ])('is read by its name: %s', (thrown, outcome) => {
    const { code, reason, advice } = classifySqsError(thrown);
    expect(outcomeOf(code)).toBe(outcome);
    expect(`${reason} ${advice}`).not.toContain('quotes a key');
  });
});

it('an error of the SDK without a name asks for the region', () => {
  expect(classifySqsError(new Error('Region is missing')).reason).toContain('is a region set?');
});

describe('an entry that failed', () => {
  it.each([
    ['InternalError', false, 'unavailable, unknown'],
    ['InvalidMessageContents', true, 'record_invalid, refused'],
    ['InvalidParameterValue', true, 'record_invalid, refused'],
    ['SomethingNew', true, 'record_invalid, refused'],
    ['SomethingNew', false, 'unavailable, unknown'],
    ['RequestThrottled', true, 'unavailable, unknown'],
    ['KmsThrottled', true, 'unavailable, unknown'],
    ['AccessDenied', true, 'not_authorised, refused'],
    ['AWS.SimpleQueueService.NonExistentQueue', true, 'topic_missing, unknown'],
  ])('is refused only when SQS blames it and time does not help: %s, %s', (code, isSenderFault, outcome) => {
    expect(outcomeOf(classifySqsEntry({ id: '0', code, isSenderFault }).code)).toBe(outcome);
  });
});
