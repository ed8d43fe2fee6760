import { describe, expect, it } from '@jest/globals';
import { type PayloadStore, PayloadStoreError } from '../storage/payload-store.js';
import { changeVisibility } from './in-flight-messages.js';
import { MessageReader } from './message-reader.js';
import { type SqsReceived, type SqsVisibility } from './sqs-client-port.js';
import { encodeClaim, encodeMessage, ENVELOPE_ATTRIBUTE } from './sqs-envelope.js';

const TOPIC = 'orders';

const broken: PayloadStore = {
  put: () => Promise.reject(new PayloadStoreError('unavailable', 'no room')),
  get: () => Promise.reject(new PayloadStoreError('missing', 'it is gone')),
};

/** `a1` is message 1 of group a; with a claim its payload is in a store. */
function message(name: string, isClaim = false): SqsReceived {
  const record = { key: Buffer.from(name.slice(0, 1)), value: Buffer.from(name), headers: [] };
  const pointer = { name: 'x', sha256: 'y', bytes: 1 };
  const { body, envelope } = isClaim ? encodeClaim(TOPIC, record, pointer) : encodeMessage(TOPIC, record);
  return {
    messageId: name,
    receiptHandle: `handle of ${name}`,
    body,
    attributes: new Map([[ENVELOPE_ATTRIBUTE, envelope]]),
    groupId: name.slice(0, 1),
    sentAtMs: 1,
    receiveCount: 1,
  };
}

describe('the reading of a batch', () => {
  it('gives back a message that cannot be read with all later ones of its group, and no other', async () => {
    const batch = [message('a1'), message('b1', true), message('a2'), message('b2'), message('c1'), message('b3')];
    const { read, givenBack, reason } = await new MessageReader(broken, TOPIC).read(batch);
    expect(read.map(({ delivery }) => String(delivery.value))).toEqual(['a1', 'a2', 'c1']);
    expect(givenBack.map(({ messageId }) => messageId)).toEqual(['b1', 'b2', 'b3']);
    expect(reason).toBe('it is gone');
  });

  it('says what is missing when a payload is in a store and the consumer has none', async () => {
    const { givenBack, reason } = await new MessageReader(null, TOPIC).read([message('a1', true)]);
    expect(givenBack).toHaveLength(1);
    expect(reason).toContain('give it the same store as the relay');
  });
});

describe('the visibility of several messages', () => {
  it('is set for the last one first, ten at a time, whatever SQS answers', async () => {
    const asked: SqsVisibility[][] = [];
    const client = {
      changeVisibility: (changes: readonly SqsVisibility[]) => {
        asked.push([...changes]);
        return asked.length === 1
          ? Promise.reject(new Error('no answer'))
          : Promise.resolve({
              done: ['0'],
              failed: [{ id: '1', code: 'ReceiptHandleIsInvalid', isSenderFault: true }],
            });
      },
    };
    const messages = Array.from({ length: 12 }, (_, index) => message(`a${index}`));
    const refused = await changeVisibility(client, messages, 0);
    expect(asked.map((changes) => changes.length)).toEqual([10, 2]);
    expect(asked[0]?.[0]).toEqual({ id: '0', receiptHandle: 'handle of a11', seconds: 0 });
    expect(asked[1]?.map(({ receiptHandle }) => receiptHandle)).toEqual(['handle of a1', 'handle of a0']);
    expect(refused).toEqual(['handle of a0']);
  });
});
