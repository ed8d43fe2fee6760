import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Delivery } from '../subscription-port.js';
import { InFlightMessages } from './in-flight-messages.js';
import { type SqsBatchAnswer, type SqsReceived, type SqsVisibility } from './sqs-client-port.js';

const VISIBILITY_SECONDS = 30;

function message(receiptHandle: string): SqsReceived {
  const attributes = new Map<string, string>();
  return { messageId: receiptHandle, receiptHandle, body: '', attributes, groupId: null, sentAtMs: 0, receiveCount: 1 };
}

function delivery(): Delivery {
  return { topic: 't', partition: 0, offset: 0n, key: null, value: null, headers: new Map(), timestampMs: 0 };
}

/** Messages of which SQS knows none any more; `meanwhile` happens while it is being asked. */
function unknownToSqs(meanwhile: () => void): { readonly messages: InFlightMessages; readonly lost: number[] } {
  const lost: number[] = [];
  const changeVisibility = async (changes: readonly SqsVisibility[]): Promise<SqsBatchAnswer> => {
    meanwhile();
    const failed = changes.map(({ id }) => ({ id, code: 'ReceiptHandleIsInvalid', isSenderFault: true }));
    return Promise.resolve({ done: [], failed });
  };
  const messages = new InFlightMessages({
    client: { changeVisibility },
    visibilitySeconds: VISIBILITY_SECONDS,
    messagesMax: 10,
    lost: (count) => lost.push(count),
  });
  return { messages, lost };
}

describe('messages in flight whose visibility is refused', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  async function extend(): Promise<void> {
    await jest.advanceTimersByTimeAsync((VISIBILITY_SECONDS * 1_000) / 3);
  }

  it('are told as shown to others, once', async () => {
    const { messages, lost } = unknownToSqs(() => undefined);
    messages.add(delivery(), message('a'));
    messages.add(delivery(), message('b'));
    await extend();
    await extend();
    expect(lost).toEqual([2]);
    await messages.clear();
  });

  it('are not told when they were done, and so perhaps deleted, while SQS was asked', async () => {
    const done = delivery();
    const { messages, lost } = unknownToSqs(() => {
      Object.assign(messages.get(done) ?? {}, { isDone: true });
    });
    messages.add(done, message('a'));
    messages.add(delivery(), message('b'));
    await extend();
    expect(lost).toEqual([1]);
    await messages.clear();
  });
});
