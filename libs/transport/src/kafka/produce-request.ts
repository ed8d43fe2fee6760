import type { Writer } from '@platformatic/kafka';
import { type KafkaBatch } from './kafka-producer-port.js';

/** What a Produce request carries. */
export interface ProduceRequest {
  readonly batch: KafkaBatch;
  /** The batch's records, encoded. */
  readonly records: Buffer;
  /** How long the broker waits for the replicas. */
  readonly timeoutMs: number;
}

/** Writes a Produce request, version 9 to 11, without a transaction. Source: https://kafka.apache.org/protocol#The_Messages_Produce. */
export function writeProduceRequest(writer: Writer, { batch, records, timeoutMs }: ProduceRequest): Writer {
  return writer
    .appendString(null)
    .appendInt16(batch.acks)
    .appendInt32(timeoutMs)
    .appendArray([batch.topic], (topics, topic) =>
      topics.appendString(topic).appendArray([batch.partition], (partitions, partition) =>
        partitions
          .appendInt32(partition)
          .appendUnsignedVarInt(records.length + 1)
          .append(records),
      ),
    )
    .appendTaggedFields();
}
