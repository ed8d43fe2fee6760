import { type PayloadStore, PayloadStoreError } from '../storage/payload-store.js';
import { type SinkRecord } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { groupIdOf } from './message-ids.js';
import { type PendingMessage } from './sqs-batch.js';
import { encodeClaim, encodeMessage, type EncodedMessage } from './sqs-envelope.js';
import { type SqsQueue } from './sqs-queue.js';

/** Makes the messages of records for a queue, and puts payloads that it does not take into a store, where there is one. */
export class MessageWriter {
  constructor(private readonly store: PayloadStore | null) {}

  /**
   * All of them, before any is sent. Throws `SinkError` `record_too_large`, `record_invalid`, and `unavailable` when the
   * store does not take a payload.
   */
  async write(queue: SqsQueue, topic: string, records: readonly SinkRecord[]): Promise<readonly PendingMessage[]> {
    const pending: PendingMessage[] = [];
    for (const [index, record] of records.entries()) {
      assertBuffers(record, `Record ${index} of ${records.length} for ${topic}`);
      const message = await this.messageOf(queue, topic, record);
      pending.push({ record, message, groupId: queue.isFifo ? groupIdOf(record.key) : null });
    }
    return pending;
  }

  private async messageOf(queue: SqsQueue, topic: string, record: SinkRecord): Promise<EncodedMessage> {
    const message = encodeMessage(topic, record);
    if (message.bytes <= queue.messageBytesMax) {
      return message;
    }
    if (this.store === null) {
      throw tooLarge(queue, message, 'raise MaximumMessageSize, set a claim check, or make the event smaller');
    }
    const claim = encodeClaim(topic, record, await storeIn(this.store, record.value));
    if (claim.bytes > queue.messageBytesMax) {
      throw tooLarge(queue, claim, 'its headers alone are too large, make them smaller');
    }
    return claim;
  }
}

async function storeIn(store: PayloadStore, payload: Buffer): ReturnType<PayloadStore['put']> {
  try {
    return await store.put(payload);
  } catch (cause) {
    const reason = cause instanceof PayloadStoreError ? cause.message : 'The payload store failed.';
    throw new SinkError('unavailable', reason, { cause });
  }
}

function tooLarge({ name, messageBytesMax }: SqsQueue, { bytes }: EncodedMessage, advice: string): SinkError {
  return new SinkError(
    'record_too_large',
    `A message for ${name} takes ${bytes} bytes, and the queue takes ${messageBytesMax}: ${advice}.`,
  );
}

function assertBuffers({ key, value, headers }: SinkRecord, what: string): void {
  const pieces: readonly unknown[] = [key, value, ...headers.flat()];
  if (!pieces.every((piece) => Buffer.isBuffer(piece))) {
    throw new SinkError('record_invalid', `${what} has a key, a value or a header that is not a Buffer.`);
  }
}
