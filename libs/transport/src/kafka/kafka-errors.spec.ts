import { describe, expect, it } from '@jest/globals';
import {
  AuthenticationError,
  MultipleErrors,
  NetworkError,
  ResponseError,
  TimeoutError,
  UserError,
} from '@platformatic/kafka';
import {
  KafkaJSConnectionError,
  KafkaJSNonRetriableError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSProtocolError,
  KafkaJSRequestTimeoutError,
} from 'kafkajs';
import { SinkError } from '../transport.errors.js';
import { classifyKafkaError, SendDeadlineError } from './kafka-errors.js';

const PRODUCE = 0;

/** As @platformatic/kafka gives the answer of a broker. */
function answered(...codes: readonly number[]): Error {
  const errors = codes.map((code, index): [string, [number, string]] => [`/${index}`, [code, 'payload']]);
  return new ResponseError(PRODUCE, 11, Object.fromEntries(errors), {});
}

/** As kafkajs gives it. */
function protocolError(code: number, type: string): Error {
  const cause = new KafkaJSProtocolError(Object.assign(new Error('payload'), { code, type, retriable: false }));
  return Object.assign(new KafkaJSNonRetriableError('payload'), { cause });
}

/** As kafkajs ends what it tried in vain. */
function gaveUp(cause: Error): Error {
  return Object.assign(new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 0, retryTime: 1 }), { cause });
}

function systemError(code: string): Error {
  return Object.assign(new Error('payload'), { code });
}

describe('an error of a Kafka client', () => {
  const byCode: readonly (readonly [number, string, string])[] = [
    [3, 'UNKNOWN_TOPIC_OR_PARTITION', 'topic_missing'],
    [5, 'LEADER_NOT_AVAILABLE', 'unavailable'],
    [6, 'NOT_LEADER_OR_FOLLOWER', 'unavailable'],
    [7, 'REQUEST_TIMED_OUT', 'timeout'],
    [10, 'MESSAGE_TOO_LARGE', 'record_too_large'],
    [18, 'RECORD_LIST_TOO_LARGE', 'record_too_large'],
    [19, 'NOT_ENOUGH_REPLICAS', 'unavailable'],
    [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'unavailable'],
    [29, 'TOPIC_AUTHORIZATION_FAILED', 'not_authorised'],
    [31, 'CLUSTER_AUTHORIZATION_FAILED', 'not_authorised'],
    [32, 'INVALID_TIMESTAMP', 'unavailable'],
    [33, 'UNSUPPORTED_SASL_MECHANISM', 'configuration'],
    [38, 'INVALID_REPLICATION_FACTOR', 'unavailable'],
    [44, 'POLICY_VIOLATION', 'configuration'],
    [56, 'KAFKA_STORAGE_ERROR', 'unavailable'],
    [58, 'SASL_AUTHENTICATION_FAILED', 'not_authorised'],
    [87, 'INVALID_RECORD', 'record_invalid'],
  ];

  it.each(byCode)('with protocol code %d, %s, is %s, from either client', (number, name, code) => {
    expect(classifyKafkaError(answered(number))).toMatchObject({ code, reason: name });
    expect(classifyKafkaError(protocolError(number, name))).toMatchObject({ code, reason: name });
  });

  it('is read by what a record error says of the batch, not by the marker beside it', () => {
    expect(classifyKafkaError(answered(-1, 87))).toMatchObject({ code: 'record_invalid' });
  });

  it('of the network passes by itself', () => {
    const refused = new MultipleErrors('none', [new NetworkError('one', { cause: systemError('ECONNREFUSED') })]);
    expect(classifyKafkaError(refused)).toMatchObject({ code: 'unavailable', reason: 'ECONNREFUSED' });
    expect(classifyKafkaError(new NetworkError('Connection closed'))).toMatchObject({ code: 'unavailable' });
    expect(classifyKafkaError(new KafkaJSConnectionError('x', { code: 'ECONNRESET' }))).toMatchObject({
      code: 'unavailable',
      reason: 'ECONNRESET',
      advice: expect.stringContaining('KAFKA_SSL'),
    });
  });

  it('of a certificate is a matter of configuration', () => {
    const own = new NetworkError('one', { cause: systemError('DEPTH_ZERO_SELF_SIGNED_CERT') });
    expect(classifyKafkaError(own)).toMatchObject({ code: 'configuration' });
    expect(classifyKafkaError(new KafkaJSConnectionError('x', { code: 'CERT_HAS_EXPIRED' }))).toMatchObject({
      code: 'configuration',
    });
    expect(classifyKafkaError(new UserError('Broker requires TLS.'))).toMatchObject({ code: 'configuration' });
  });

  it('in a handshake that was cut is not taken for a wrong password', () => {
    const cut = new NetworkError('one', {
      cause: new AuthenticationError('two', { cause: new NetworkError('Connection closed') }),
    });
    const wrong = new NetworkError('one', { cause: new AuthenticationError('two', { cause: answered(58) }) });

    expect(classifyKafkaError(cut)).toMatchObject({ code: 'unavailable' });
    expect(classifyKafkaError(wrong)).toMatchObject({ code: 'not_authorised' });
  });

  it('makes the client suspect only where it keeps a dead connection', () => {
    const timeout = new KafkaJSRequestTimeoutError('x', {
      broker: 'b',
      clientId: 'c',
      correlationId: 1,
      createdAt: 0,
      sentAt: 0,
      pendingDuration: 0,
    });
    expect(classifyKafkaError(timeout)).toMatchObject({ code: 'timeout', isClientSuspect: true });
    expect(classifyKafkaError(gaveUp(new Error('Broker not connected')))).toMatchObject({
      code: 'unavailable',
      isClientSuspect: true,
    });
    expect(classifyKafkaError(gaveUp(new KafkaJSConnectionError('x')))).toMatchObject({ isClientSuspect: false });
    expect(classifyKafkaError(new SendDeadlineError('x'))).toMatchObject({ code: 'timeout', isClientSuspect: true });
    expect(classifyKafkaError(new TimeoutError('x', { canRetry: true }))).toMatchObject({
      code: 'timeout',
      isClientSuspect: false,
    });
  });

  it('that nobody knows passes by itself, and its text stays inside', () => {
    for (const unknown of [new TypeError('payload'), 'payload', undefined, null, {}]) {
      const { code, reason } = classifyKafkaError(unknown);
      expect(code).toBe('unavailable');
      expect(reason).not.toContain('payload');
    }
  });

  it('is no answer of a broker for having a number', () => {
    // 21 and 23, which are mistakes of a configuration in the protocol
    expect(classifyKafkaError(new DOMException('payload', 'URLMismatchError'))).toMatchObject({ code: 'unavailable' });
    expect(classifyKafkaError(new DOMException('payload', 'TimeoutError'))).toMatchObject({ code: 'timeout' });
  });

  it('that is ours stays what it is', () => {
    expect(classifyKafkaError(new SinkError('topic_missing', 'm'))).toMatchObject({ code: 'topic_missing' });
  });

  it('that is its own cause ends', () => {
    const circle = new Error('x');
    circle.cause = circle;
    expect(classifyKafkaError(circle)).toMatchObject({ code: 'unavailable' });
  });
});
