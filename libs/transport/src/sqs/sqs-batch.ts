import { type SinkRecord } from '../sink-port.js';
import { type EncodedMessage } from './sqs-envelope.js';

/** Entries of one request. */
export const ENTRIES_MAX = 10;
/** Of all messages of one request, whatever the queue takes of one. */
export const REQUEST_BYTES_MAX = 1_048_576;

/** A message on its way, with the record that it stands for. */
export interface PendingMessage {
  readonly record: SinkRecord;
  readonly message: EncodedMessage;
  /** Null where there is no order. */
  readonly groupId: string | null;
}

/**
 * The next request: the first messages that may go together. At most one of a group, because SQS takes or leaves each
 * entry by itself, and a later event of a key would overtake an earlier one that was left. A message that does not fit
 * any more holds its group back, and no other. Pure; never empty when there is a message.
 */
export function nextBatch(pending: readonly PendingMessage[]): readonly PendingMessage[] {
  const batch: PendingMessage[] = [];
  const groups = new Set<string>();
  let bytes = 0;
  for (const message of pending) {
    if (batch.length === ENTRIES_MAX) {
      break;
    }
    const { groupId } = message;
    const isFirst = groupId === null || !groups.has(groupId);
    if (groupId !== null) {
      groups.add(groupId);
    }
    if (isFirst && (batch.length === 0 || bytes + message.message.bytes <= REQUEST_BYTES_MAX)) {
      batch.push(message);
      bytes += message.message.bytes;
    }
  }
  return batch;
}
