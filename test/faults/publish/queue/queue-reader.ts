import { type ConsumedRecord } from '@millrace/testing';
import { type Delivery, type SubscriptionPort } from '@millrace/transport';

/**
 * Keeps what is delivered from a queue, in the order in which it came, as records of as many partitions as there are keys:
 * across keys a queue has no order. A message that SQS delivers again (it was not deleted in time) is no other copy: it is
 * counted apart.
 */
export class QueueReader {
  private readonly kept: ConsumedRecord[] = [];
  private readonly partitions = new Map<string, number>();
  private readonly messages = new Set<string>();
  private again = 0;

  get records(): readonly ConsumedRecord[] {
    return this.kept;
  }

  /** Records of events that had been there before. */
  get repeats(): number {
    return this.kept.length - new Set(this.kept.map(({ headers }) => headers['id'])).size;
  }

  /** Deliveries of messages that were delivered before. */
  get redelivered(): number {
    return this.again;
  }

  /** The same subscription, of which everything that is delivered is kept. */
  around(subscription: SubscriptionPort): SubscriptionPort {
    return {
      kind: subscription.kind,
      status: () => subscription.status(),
      stop: async () => subscription.stop(),
      start: async (listener) =>
        subscription.start({
          open: async (partition, signal) => {
            const receiver = await listener.open(partition, signal);
            return {
              receive: async (chunk) => {
                chunk.deliveries.forEach((delivery) => {
                  this.take(delivery);
                });
                await receiver.receive(chunk);
              },
              close: async () => receiver.close(),
            };
          },
        }),
    };
  }

  private take({ topic, messageId = '', key, value, headers, timestampMs }: Delivery): void {
    if (this.messages.has(messageId)) {
      this.again += 1;
      return;
    }
    this.messages.add(messageId);
    const name = String(key);
    const partition = this.partitions.get(name) ?? this.partitions.size;
    this.partitions.set(name, partition);
    this.kept.push({
      topic,
      partition,
      offset: BigInt(this.kept.length),
      timestampMs,
      key: name,
      headers: Object.fromEntries([...headers].map(([header, bytes]) => [header, bytes.toString()])),
      value: value?.toString() ?? null,
    });
  }
}
