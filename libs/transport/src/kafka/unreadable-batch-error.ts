import { SinkError } from '../transport.errors.js';
import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { WireFormatError } from './wire/wire-buffers.js';

/** A record batch is not what it should be, or more than we read. `message` names the place and the fault, and quotes nothing. */
export class UnreadableBatchError extends Error {
  override readonly name = 'UnreadableBatchError';

  /** `fault` completes the sentence "the batch cannot be read: ...", or is what was thrown over it. */
  constructor(partition: TopicPartition, offset: bigint, fault: unknown) {
    super(`The record batch of ${partitionId(partition)} at offset ${offset} cannot be read: ${sentenceOf(fault)}.`, {
      cause: fault,
    });
  }
}

/** Only our own texts are certain to quote no record. */
function sentenceOf(fault: unknown): string {
  if (typeof fault === 'string') {
    return fault;
  }
  if (fault instanceof SinkError || fault instanceof WireFormatError) {
    return fault.message;
  }
  const code: unknown = Reflect.get(Object(fault), 'code');
  return typeof code === 'string' ? code : fault instanceof Error ? fault.name : typeof fault;
}
