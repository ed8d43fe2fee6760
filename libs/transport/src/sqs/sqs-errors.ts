import { type SinkErrorCode } from '../transport.errors.js';
import { type SqsEntryFailure } from './sqs-client-port.js';

/** What an error of SQS means: our code, the name that SQS has for it, and what an operator does about it. */
export interface SqsFailure {
  readonly code: SinkErrorCode;
  readonly reason: string;
  readonly advice: string;
}

type Verdict = Omit<SqsFailure, 'reason'>;

const PASSING: Verdict = {
  code: 'unavailable',
  advice: 'It passes by itself, or the network and the endpoint do not.',
};
const THROTTLED: Verdict = {
  code: 'unavailable',
  advice: 'SQS limits the rate: use a queue of high throughput, fewer routes, or ask for a higher quota.',
};
const NOBODY: Verdict = {
  code: 'unavailable',
  advice: 'Give credentials where the AWS SDK looks for them: AWS_ACCESS_KEY_ID, a profile, a role.',
};
const LATE: Verdict = { code: 'timeout', advice: 'SQS may have done it.' };
const NO_QUEUE: Verdict = { code: 'topic_missing', advice: 'Create the queue; no queue is created here.' };
const DENIED: Verdict = {
  code: 'not_authorised',
  advice: 'Allow what is asked of the queue, and the use of its KMS key.',
};
const KEY_UNUSABLE: Verdict = { code: 'configuration', advice: "Mend the KMS key of the queue's encryption." };
const WRONG: Verdict = { code: 'configuration', advice: 'SQS does not understand the request: look at the endpoint.' };
const INVALID: Verdict = { code: 'record_invalid', advice: 'SQS refuses this message itself.' };
const TOO_LARGE: Verdict = { code: 'record_too_large', advice: 'Raise MaximumMessageSize, or set a claim check.' };

/** The AWS SDK throws such a one where it finds no region. */
const NAMELESS = 'an error without a name (is a region set?)';

/** By the names of SQS and of what stands before it. Whatever is not here passes by itself, unless SQS blames the entry. */
const BY_NAME: ReadonlyMap<string, Verdict> = new Map(
  Object.entries({
    RequestThrottled: THROTTLED,
    RequestThrottledException: THROTTLED,
    Throttling: THROTTLED,
    ThrottlingException: THROTTLED,
    ThrottledException: THROTTLED,
    TooManyRequestsException: THROTTLED,
    RequestLimitExceeded: THROTTLED,
    SlowDown: THROTTLED,
    KmsThrottled: THROTTLED,
    OverLimit: THROTTLED,
    InternalError: PASSING,
    InternalFailure: PASSING,
    ServiceUnavailable: PASSING,
    ServiceFailure: PASSING,
    RequestExpired: PASSING,
    ExpiredToken: PASSING,
    ExpiredTokenException: PASSING,
    CredentialsProviderError: NOBODY,
    TimeoutError: LATE,
    AbortError: LATE,
    RequestTimeout: LATE,
    ETIMEDOUT: LATE,
    QueueDoesNotExist: NO_QUEUE,
    NonExistentQueue: NO_QUEUE,
    QueueDeletedRecently: NO_QUEUE,
    AccessDenied: DENIED,
    AccessDeniedException: DENIED,
    InvalidClientTokenId: DENIED,
    UnrecognizedClientException: DENIED,
    SignatureDoesNotMatch: DENIED,
    InvalidSignatureException: DENIED,
    InvalidSecurity: DENIED,
    MissingAuthenticationToken: DENIED,
    OptInRequired: DENIED,
    KmsAccessDenied: DENIED,
    KmsOptInRequired: DENIED,
    KmsDisabled: KEY_UNUSABLE,
    KmsInvalidKeyUsage: KEY_UNUSABLE,
    KmsInvalidState: KEY_UNUSABLE,
    KmsNotFound: KEY_UNUSABLE,
    UnsupportedOperation: WRONG,
    InvalidAddress: WRONG,
    InvalidAction: WRONG,
    InvalidAttributeName: WRONG,
    BatchEntryIdsNotDistinct: WRONG,
    InvalidBatchEntryId: WRONG,
    EmptyBatchRequest: WRONG,
    TooManyEntriesInBatchRequest: WRONG,
    BatchRequestTooLong: TOO_LARGE,
    InvalidMessageContents: INVALID,
  }),
);

/** Reads what the client threw for a whole request. Its message is never looked at: it may quote a key. */
export function classifySqsError(error: unknown): SqsFailure {
  for (const name of namesOf(error)) {
    const verdict = BY_NAME.get(name);
    if (verdict !== undefined) {
      return { ...verdict, reason: name };
    }
  }
  const [reason = NAMELESS] = namesOf(error);
  return { ...PASSING, reason };
}

/**
 * Reads an entry that failed in a batch that went well. SQS says whose fault it is: an entry that it blames was not stored
 * and never will be, unless the name says that it was only the moment or the queue.
 */
export function classifySqsEntry({ code, isSenderFault }: SqsEntryFailure): SqsFailure {
  const name = bareName(code);
  return { ...(BY_NAME.get(name) ?? (isSenderFault ? INVALID : PASSING)), reason: name };
}

function namesOf(error: unknown): readonly string[] {
  if (typeof error !== 'object' || error === null) {
    return [];
  }
  return ['name', 'Code', 'code']
    .map((field): unknown => Reflect.get(error, field))
    .filter((name): name is string => typeof name === 'string' && name !== '' && name !== 'Error')
    .map(bareName);
}

/** `AWS.SimpleQueueService.NonExistentQueue` is `NonExistentQueue`. */
function bareName(code: string): string {
  return code.slice(code.lastIndexOf('.') + 1);
}
