import { type SinkLane, type SinkReceipt, type SinkTopic } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { type KafkaAck } from './kafka-producer-port.js';

/**
 * Believes an acknowledgement only when it names our partition, and no other, with an offset that has grown: the end
 * of the last batch that the lane had acknowledged, or more (a batch whose outcome was unknown may lie between).
 */
export class LaneReceipts {
  readonly #nextOffset = new Map<string, bigint>();
  /** What was said of lanes whose log went back: what is sent again lets it grow past the place, and would hide it. */
  readonly #alarms = new Map<string, string>();

  /** Throws `SinkError` `receipt_invalid`. */
  accept(lane: SinkLane, acks: readonly KafkaAck[], count: number): SinkReceipt {
    const [ack] = acks;
    const isOurs = acks.length === 1 && ack?.topic === lane.topic && ack.partition === lane.partition;
    if (!isOurs || ack.baseOffset < 0n) {
      throw new SinkError(
        'receipt_invalid',
        `Kafka's answer does not name ${lane.id} with an offset: the outcome of the batch is not known.`,
      );
    }
    const expected = this.#nextOffset.get(lane.id) ?? 0n;
    if (ack.baseOffset < expected && !this.#alarms.has(lane.id)) {
      this.#alarms.set(
        lane.id,
        `Kafka stored a batch of ${lane.id} at offset ${ack.baseOffset}, and had acknowledged all below ${expected}: the log was cut (unclean leader election) or the topic was made again, so acknowledged events are gone. Find out which, replay them, then resume the route.`,
      );
    }
    const alarm = this.#alarms.get(lane.id);
    if (alarm !== undefined) {
      throw new SinkError('receipt_invalid', alarm);
    }
    this.#nextOffset.set(lane.id, ack.baseOffset + BigInt(count));
    return { baseOffset: ack.baseOffset };
  }

  /** For a topic that is opened again: lanes whose log went back begin anew, because somebody has looked. */
  forgive({ lanes }: SinkTopic): void {
    for (const { id } of lanes) {
      if (this.#alarms.delete(id)) {
        this.#nextOffset.delete(id);
      }
    }
  }

  /** For a topic that was deleted and is there again: the offsets of all its lanes begin anew. */
  forget({ lanes }: SinkTopic): void {
    for (const { id } of lanes) {
      this.#alarms.delete(id);
      this.#nextOffset.delete(id);
    }
  }

  clear(): void {
    this.#nextOffset.clear();
    this.#alarms.clear();
  }
}
