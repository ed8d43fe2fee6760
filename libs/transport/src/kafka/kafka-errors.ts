import { SinkError, type SinkErrorCode } from '../transport.errors.js';

/** A send that was not answered in time, whatever the client says later. */
export class SendDeadlineError extends Error {
  override readonly name = 'SendDeadlineError';
}

/** What a client's error means. */
export interface KafkaFailure {
  readonly code: SinkErrorCode;
  /** Kafka's name of the error, the system's code, or ours for a client's class; never the client's text. */
  readonly reason: string;
  /** What an operator does; empty when it passes by itself. */
  readonly advice: string;
  /** The connection may never answer again: the client must be thrown away before anything is sent again. */
  readonly isClientSuspect: boolean;
  /** The brokers do not follow the numbers of this producer id in the partition: a new one must be asked for. */
  readonly isSequenceLost: boolean;
}

interface Verdict {
  readonly code: SinkErrorCode;
  readonly advice: string;
}

const TOO_LARGE: Verdict = {
  code: 'record_too_large',
  advice: "Raise the topic's max.message.bytes, or lower messageBytesMax to it.",
};
const NOT_AUTHORISED: Verdict = {
  code: 'not_authorised',
  advice:
    'Check the SASL user, and its rights: to write to or read, describe and (if topics are to be made) create the topic, and to read the group of a consumer.',
};
const CONFIGURATION: Verdict = {
  code: 'configuration',
  advice: 'Check the settings of the topic, the sink and the group.',
};
const TOPIC_NAME: Verdict = {
  code: 'configuration',
  advice:
    'Kafka refuses this topic name. It must have 1 to 249 letters, digits, dots, underscores and hyphens, and differ ' +
    'from every other topic by more than dots in place of underscores (a.b and a_b collide): change the topic template, or the aggregate type.',
};
const TLS: Verdict = {
  code: 'configuration',
  advice: "Check KAFKA_SSL, KAFKA_SSL_CA and the broker's certificate and listener.",
};
const TOO_OLD: Verdict = { code: 'configuration', advice: 'The brokers are too old: Kafka 2.8 or later is needed.' };
const PASSING: Verdict = { code: 'unavailable', advice: '' };

/** By number of the Kafka protocol. What is not here passes by itself, and the outcome of the send is unknown. */
const BY_PROTOCOL: ReadonlyMap<number, Verdict> = new Map<number, Verdict>([
  [3, { code: 'topic_missing', advice: 'Create the topic, or let the sink create it.' }],
  [7, { code: 'timeout', advice: '' }],
  [10, TOO_LARGE],
  [17, TOPIC_NAME],
  [18, TOO_LARGE],
  [21, CONFIGURATION],
  [
    23,
    {
      code: 'configuration',
      advice: 'The group has members that share partitions in another way: give this consumer a group of its own.',
    },
  ],
  [24, CONFIGURATION],
  [
    26,
    {
      code: 'configuration',
      advice:
        "Set sessionTimeoutMs between the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms.",
    },
  ],
  [29, NOT_AUTHORISED],
  [30, NOT_AUTHORISED],
  [31, NOT_AUTHORISED],
  [
    32,
    {
      code: 'unavailable',
      advice:
        'The brokers found its time too late or too early, by the settings of the topic. If it stays so, compare the clocks of this machine and of the brokers.',
    },
  ],
  [33, { code: 'configuration', advice: 'The brokers do not offer this KAFKA_SASL_MECHANISM.' }],
  // how they take a request after a token that they refused, which the clients do not notice
  [
    34,
    {
      code: 'configuration',
      advice:
        'The brokers want SASL, or have refused the token: set KAFKA_SASL_MECHANISM, or renew KAFKA_SASL_TOKEN or the file of KAFKA_SASL_TOKEN_FILE.',
    },
  ],
  [35, TOO_OLD],
  [37, CONFIGURATION],
  [
    38,
    { code: 'unavailable', advice: 'Fewer brokers are up than the replication asked for: start them, or lower it.' },
  ],
  [39, CONFIGURATION],
  [40, CONFIGURATION],
  [42, CONFIGURATION],
  [43, CONFIGURATION],
  [44, CONFIGURATION],
  [58, NOT_AUTHORISED],
  [76, { code: 'configuration', advice: 'The brokers do not take this compression.' }],
  [81, { code: 'unavailable', advice: "The group is full: raise the brokers' group.max.size." }],
  [87, { code: 'record_invalid', advice: 'The brokers refused a record of the batch.' }],
]);

const CUT: Verdict = {
  code: 'unavailable',
  advice: "If it stays so, check that KAFKA_SSL and KAFKA_SASL_MECHANISM fit the brokers' listener.",
};

/** By code of the system; certificates apart, see `TLS_CODE`. */
const BY_SYSTEM: ReadonlyMap<string, Verdict> = new Map<string, Verdict>([
  ['ECONNRESET', CUT],
  ['ENOTFOUND', { code: 'unavailable', advice: 'If it stays so, check the names in KAFKA_BROKERS.' }],
]);

/** By class of the client, by `code` of @platformatic/kafka, by `name` of kafkajs, in this order; with what we call it. */
const BY_CLASS: ReadonlyMap<string, Verdict & { readonly reason: string }> = new Map([
  ['SendDeadlineError', { code: 'timeout', reason: 'no answer in time', advice: '' }],
  ['TimeoutError', { code: 'timeout', reason: 'no answer in time', advice: '' }],
  ['PLT_KFK_AUTHENTICATION', { ...NOT_AUTHORISED, reason: 'the login failed' }],
  ['PLT_KFK_NETWORK', { ...CUT, reason: 'the connection was closed' }],
  ['PLT_KFK_UNSUPPORTED_API', { ...TOO_OLD, reason: 'a request that the brokers do not know' }],
  ['PLT_KFK_USER', { ...TLS, reason: 'the brokers want TLS' }],
  ['KafkaJSSASLAuthenticationError', { ...NOT_AUTHORISED, reason: 'the login failed' }],
  ['KafkaJSRequestTimeoutError', { code: 'timeout', reason: 'no answer in time', advice: '' }],
  ['KafkaJSConnectionError', { ...CUT, reason: 'no connection' }],
  ['KafkaJSConnectionClosedError', { ...CUT, reason: 'the connection was closed' }],
  ['KafkaJSNumberOfRetriesExceeded', { ...PASSING, reason: 'the client gave up' }],
]);

/**
 * After these a client may go on using a connection that is dead: kafkajs never closes one on a timeout, and takes one
 * whose first request had no answer for connected ever after, of which it says only that it has given up.
 */
const SUSPECT: ReadonlySet<string> = new Set([
  'KafkaJSRequestTimeoutError',
  'KafkaJSNumberOfRetriesExceeded',
  'SendDeadlineError',
]);

const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|EPROTO$)/;
const DEPTH_MAX = 12;

/** Out of order, duplicate, epoch, mapping, unknown producer id, fenced. */
const SEQUENCE_LOST: ReadonlySet<number> = new Set([45, 46, 47, 49, 59, 90]);

/** Of an error that is about neither. */
const SOUND = { isClientSuspect: false, isSequenceLost: false } as const;

/** Reads a client's error by protocol code and class, the innermost cause first; total: what it does not know passes by itself. */
export function classifyKafkaError(error: unknown): KafkaFailure {
  return (
    innermost(error, DEPTH_MAX) ?? {
      ...PASSING,
      reason: isErrorLike(error) ? error.name : typeof error,
      ...SOUND,
    }
  );
}

function innermost(error: unknown, depth: number): KafkaFailure | undefined {
  if (!isErrorLike(error) || depth === 0) {
    return undefined;
  }
  const inner = property(error, 'errors');
  const causes: readonly unknown[] = Array.isArray(inner) ? inner : [];
  for (const cause of [...causes, error.cause]) {
    const failure = innermost(cause, depth - 1);
    if (failure !== undefined) {
      return failure;
    }
  }
  return ofError(error);
}

function ofError(error: Error): KafkaFailure | undefined {
  if (error instanceof SinkError) {
    return { code: error.code, reason: error.message, advice: '', ...SOUND };
  }
  return ofProtocol(error) ?? ofSystem(error) ?? ofClass(error);
}

function ofProtocol(error: Error): KafkaFailure | undefined {
  const type = property(error, 'type');
  // a number alone is no answer of a broker: a DOMException has one too
  const number = property(error, 'apiCode') ?? (typeof type === 'string' ? property(error, 'code') : undefined);
  if (typeof number !== 'number' || number <= 0) {
    return undefined;
  }
  const name = property(error, 'apiId') ?? type;
  const reason = typeof name === 'string' ? name : `Kafka error ${number}`;
  const isSequenceLost = SEQUENCE_LOST.has(number);
  return { ...(BY_PROTOCOL.get(number) ?? PASSING), reason, isClientSuspect: false, isSequenceLost };
}

function ofSystem(error: Error): KafkaFailure | undefined {
  const code = property(error, 'code');
  if (typeof code !== 'string' || code.startsWith('PLT_')) {
    return undefined;
  }
  const verdict = BY_SYSTEM.get(code) ?? (TLS_CODE.test(code) ? TLS : PASSING);
  return { ...verdict, reason: code, ...SOUND };
}

function ofClass(error: Error): KafkaFailure | undefined {
  const names = [error.constructor.name, property(error, 'code'), error.name];
  for (const name of names) {
    const verdict = typeof name === 'string' ? BY_CLASS.get(name) : undefined;
    if (verdict !== undefined) {
      return { ...verdict, ...SOUND, isClientSuspect: SUSPECT.has(String(name)) };
    }
  }
  return undefined;
}

/** Not instanceof: an error of the system may come from another realm. */
function isErrorLike(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'name' in value && 'message' in value;
}

function property(error: Error, name: string): unknown {
  return Reflect.get(error, name);
}
