import {
  type AssignedPartition,
  type DeliveredChunk,
  type Delivery,
  type PartitionReceiver,
  type SubscriptionListener,
} from '../subscription-port.js';
import { type ChangeSignal } from './change-signal.js';

/** What a test wants its receivers to do; by default they commit what they are given, at once. */
export interface ReceiverBehaviour {
  open?(partition: AssignedPartition): Promise<void>;
  readonly receive?: (deliveries: readonly Delivery[], partition: AssignedPartition) => Promise<void>;
  close?(partition: AssignedPartition): Promise<void>;
}

/** Remembers everything that a subscription does to its receivers, in order, and tells of each change. */
export class RecordingListener implements SubscriptionListener {
  readonly deliveries: Delivery[] = [];
  readonly chunks: { readonly topic: string; readonly partition: number; readonly chunk: DeliveredChunk }[] = [];
  /** Every assignment there was. */
  readonly opened: AssignedPartition[] = [];
  /** Those that have ended. */
  readonly closed: AssignedPartition[] = [];

  constructor(
    private readonly signal: ChangeSignal,
    private readonly behaviour: ReceiverBehaviour = {},
  ) {}

  /** Assignments that are open now. */
  get owned(): readonly AssignedPartition[] {
    return this.opened.filter((partition) => !this.closed.includes(partition));
  }

  async open(partition: AssignedPartition): Promise<PartitionReceiver> {
    await this.behaviour.open?.(partition);
    this.opened.push(partition);
    this.signal.changed();
    return {
      receive: async (chunk) => {
        const { deliveries } = chunk;
        this.chunks.push({ topic: partition.topic, partition: partition.partition, chunk });
        this.deliveries.push(...deliveries);
        this.signal.changed();
        const receive = this.behaviour.receive ?? commitAll;
        await receive(deliveries, partition);
      },
      close: async () => {
        await this.behaviour.close?.(partition);
        this.closed.push(partition);
        this.signal.changed();
      },
    };
  }

  valuesOf(partition: number): (string | undefined)[] {
    return this.deliveries.filter((one) => one.partition === partition).map(({ value }) => value?.toString());
  }
}

/** What a receiver does that has done all of it. */
export function commitAll(deliveries: readonly Delivery[], partition: AssignedPartition): Promise<void> {
  const last = deliveries.at(-1);
  if (last !== undefined) {
    partition.commit(last.offset + 1n);
  }
  return Promise.resolve();
}
