import { type SinkLane } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { type KafkaAck } from './kafka-producer-port.js';

/** Of an acknowledgement that names the lane's partition, and no other, with an offset. Throws `SinkError` `receipt_invalid`. */
export function baseOffsetOf(lane: SinkLane, acks: readonly KafkaAck[]): bigint {
  const [ack] = acks;
  const isOurs = acks.length === 1 && ack?.topic === lane.topic && ack.partition === lane.partition;
  if (!isOurs || ack.baseOffset < 0n) {
    throw new SinkError(
      'receipt_invalid',
      `Kafka's answer does not name ${lane.id} with an offset: the outcome of the batch is not known.`,
    );
  }
  return ack.baseOffset;
}
