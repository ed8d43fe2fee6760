import { SinkError } from '../transport.errors.js';
import { isFifoQueue, queueNameOf } from './sqs-config.js';

/** What a queue says of itself. */
export interface SqsQueue {
  readonly url: string;
  readonly name: string;
  readonly isFifo: boolean;
  /** Largest message, with its attribute. */
  readonly messageBytesMax: number;
  /** After how many receives a message goes to the dead-letter queue; null where there is none. */
  readonly receivesMax: number | null;
}

/** What SQS takes where a queue does not say. */
const MESSAGE_BYTES = 1_048_576;

/** Reads the attributes of a queue. Throws `SinkError` `configuration` when it is not of the kind that its name says. */
export function queueOf(url: string, attributes: Readonly<Record<string, string>>): SqsQueue {
  const isFifo = attributes['FifoQueue'] === 'true';
  const name = queueNameOf(url);
  if (isFifo !== isFifoQueue(url)) {
    const found = isFifo ? 'a FIFO queue' : 'a standard queue';
    throw new SinkError('configuration', `The queue ${name} is ${found}, which its name denies: give the right URL.`);
  }
  return {
    url,
    name,
    isFifo,
    messageBytesMax: wholeNumber(attributes['MaximumMessageSize']) ?? MESSAGE_BYTES,
    receivesMax: receivesMaxOf(attributes['RedrivePolicy']),
  };
}

/**
 * Refuses a queue that gives messages to its dead-letter queue too early: there an event has left the order of its key,
 * and each restart or lost visibility is a receive. Throws `SinkError` `configuration`.
 */
export function assertRedrive({ name, receivesMax }: SqsQueue, receivesMin: number): void {
  if (receivesMax !== null && receivesMax <= receivesMin) {
    throw new SinkError(
      'configuration',
      `The queue ${name} gives a message to its dead-letter queue after ${receivesMax} receives (maxReceiveCount), out of the order of its key: set it above ${receivesMin}, or remove the redrive policy. What cannot be handled is parked by the inbox.`,
    );
  }
}

function receivesMaxOf(policy: string | undefined): number | null {
  if (policy === undefined || policy === '') {
    return null;
  }
  const count = /"maxReceiveCount"\s*:\s*"?(\d+)/.exec(policy)?.[1];
  return wholeNumber(count);
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
