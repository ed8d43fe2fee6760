import { SinkError } from '../transport.errors.js';

/** Keys of an AWS account. Given only where the SDK's default chain is not to be asked. */
export interface SqsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** How to reach SQS. What is left out comes from the AWS SDK's default chain: environment, profile, role. */
export interface SqsConnection {
  /** Else that of the endpoint, where AWS has it in its name. */
  readonly region?: string;
  /** The service's own URL; without it, that of the queues. */
  readonly endpoint?: string;
  readonly credentials?: SqsCredentials;
}

/**
 * The URL of the queue of each topic: one URL for all, in which `{topic}` stands for the topic with every character that
 * no queue's name may have as `-`, or a URL per topic.
 */
export type SqsQueues = string | Readonly<Record<string, string>>;

const FIFO_SUFFIX = '.fifo';
const TOPIC_PART = '{topic}';
const NOT_IN_A_NAME = /[^a-zA-Z0-9_-]/g;
const NAME = /^[a-zA-Z0-9_-]{1,80}$/;

/** The queue of a topic. Throws `SinkError` `configuration` where none is given, or none that can be one. */
export function queueUrlOf(queues: SqsQueues, topic: string): string {
  const url =
    typeof queues === 'string' ? queues.replace(TOPIC_PART, topic.replace(NOT_IN_A_NAME, '-')) : queues[topic];
  if (url === undefined) {
    throw new SinkError('configuration', `No queue is given for topic ${topic}: name its URL beside the others.`);
  }
  const problem = problemOfQueueUrl(url);
  if (problem !== null) {
    throw new SinkError('configuration', `The queue of topic ${topic} ${problem}.`);
  }
  return url;
}

/** What is wrong with a queue's URL, as the end of a sentence; null when nothing is. `{topic}` may stand in its name. */
export function problemOfQueueUrl(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    return 'must be the http(s) URL of a queue';
  }
  const name = queueNameOf(text).replace(TOPIC_PART, 'x');
  const plain = name.endsWith(FIFO_SUFFIX) ? name.slice(0, -FIFO_SUFFIX.length) : name;
  return NAME.test(plain) && name.length <= 80
    ? null
    : 'must end in the name of a queue: at most 80 letters, digits, "-" and "_", with .fifo at the end of a FIFO queue';
}

export function queueNameOf(queueUrl: string): string {
  return queueUrl.slice(queueUrl.lastIndexOf('/') + 1);
}

/** FIFO queues, and no others, have a name that says so. */
export function isFifoQueue(queueUrl: string): boolean {
  return queueUrl.endsWith(FIFO_SUFFIX);
}

/** Whether all queues are FIFO queues. Throws `SinkError` `configuration` when only some are, or there are none. */
export function areFifoQueues(queues: SqsQueues): boolean {
  const urls = queueUrlsOf(queues);
  const fifo = urls.filter(isFifoQueue).length;
  if (urls.length === 0 || (fifo > 0 && fifo < urls.length)) {
    throw new SinkError('configuration', 'Give at least one queue, and either FIFO queues or standard queues only.');
  }
  return fifo > 0;
}

/** Where requests go. Throws `SinkError` `configuration` when the queues have no one address and no endpoint is given. */
export function endpointOf({ endpoint }: SqsConnection, queues: SqsQueues): string {
  const origins = new Set(queueUrlsOf(queues).map((url) => new URL(url).origin));
  const [origin] = origins;
  if (endpoint === undefined && (origin === undefined || origins.size > 1)) {
    throw new SinkError('configuration', 'The queues lie at different addresses: give the endpoint of SQS.');
  }
  return endpoint ?? origin ?? '';
}

/** The region: the one that is given, else that of an endpoint of AWS; undefined leaves it to the SDK. */
export function regionOf({ region }: SqsConnection, endpoint: string): string | undefined {
  return region ?? /^https:\/\/sqs\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$/.exec(endpoint)?.[1];
}

function queueUrlsOf(queues: SqsQueues): readonly string[] {
  return typeof queues === 'string' ? [queues] : Object.values(queues);
}
