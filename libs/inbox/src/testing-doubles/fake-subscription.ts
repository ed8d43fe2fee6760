import {
  type AssignedPartition,
  type DeliveredChunk,
  type Delivery,
  type PartitionReceiver,
  type SubscriptionListener,
  type SubscriptionPort,
  type SubscriptionStatus,
} from '@millrace/transport';

/** A receiver that is given records; their chunk covers them and nothing else, unless `patch` says otherwise. */
export interface FakeReceiver extends Pick<PartitionReceiver, 'startOffset' | 'close'> {
  receive(deliveries: readonly Delivery[], patch?: Partial<DeliveredChunk>): Promise<void>;
}

/** An assignment that a test has made. */
export interface FakeAssignment {
  readonly receiver: FakeReceiver;
  /** What was committed, in order. */
  readonly commits: bigint[];
  /** Of a queue: what was settled, in order. */
  readonly settled: Delivery[];
}

/** A subscription whose assignments and records come from a test. */
export class FakeSubscription implements SubscriptionPort {
  readonly kind = 'fake';
  current: SubscriptionStatus = { kind: 'idle' };
  /** Thrown by the next starts; one each. */
  readonly startErrors: Error[] = [];
  readonly #open: FakeAssignment[] = [];
  #listener: SubscriptionListener | null = null;

  status(): SubscriptionStatus {
    return this.current;
  }

  async start(listener: SubscriptionListener): Promise<void> {
    await Promise.resolve();
    const error = this.startErrors.shift();
    if (error !== undefined) {
      throw error;
    }
    this.#listener = listener;
    this.current = { kind: 'joining' };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.splice(0).map(({ receiver }) => receiver.close()));
    this.current = { kind: 'stopped' };
  }

  /** The consumer gets a partition; `signal` takes it away before it was opened. */
  async assign(
    topic: string,
    partition: number,
    committedOffset: bigint | null = null,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<FakeAssignment> {
    return await this.#assign({ topic, partition, committedOffset }, signal, false);
  }

  /** The consumer gets a queue: one partition, without offsets. */
  async assignQueue(name: string): Promise<FakeAssignment> {
    const place = { topic: name, partition: 0, committedOffset: null };
    return await this.#assign(place, new AbortController().signal, true);
  }

  /** The consumer loses it. */
  async revoke(assignment: FakeAssignment): Promise<void> {
    this.#open.splice(this.#open.indexOf(assignment), 1);
    await assignment.receiver.close();
  }

  async #assign(
    place: Pick<AssignedPartition, 'topic' | 'partition' | 'committedOffset'>,
    signal: AbortSignal,
    isQueue: boolean,
  ): Promise<FakeAssignment> {
    if (this.#listener === null) {
      throw new Error('the subscription was not started');
    }
    const commits: bigint[] = [];
    const settled: Delivery[] = [];
    const commit = (nextOffset: bigint): void => {
      commits.push(nextOffset);
    };
    const settle = (delivery: Delivery): void => {
      settled.push(delivery);
    };
    const receiver = await this.#listener.open({ ...place, commit, ...(isQueue && { settle }) }, signal);
    this.current = { kind: 'running', partitions: this.#open.length + 1, missingTopics: [] };
    const assignment = { receiver: givenRecords(receiver), commits, settled };
    this.#open.push(assignment);
    return assignment;
  }
}

/** Tells whether a promise is done by now. */
export async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([promise.catch(() => null), Promise.resolve(pending)])) !== pending;
}

function givenRecords(receiver: PartitionReceiver): FakeReceiver {
  return {
    startOffset: receiver.startOffset ?? null,
    receive: async (deliveries, patch) => receiver.receive({ ...chunkOf(deliveries), ...patch }),
    close: async () => receiver.close(),
  };
}

function chunkOf(deliveries: readonly Delivery[]): DeliveredChunk {
  const firstOffset = deliveries[0]?.offset ?? 0n;
  return { deliveries, firstOffset, nextOffset: (deliveries.at(-1)?.offset ?? firstOffset - 1n) + 1n, bytes: 1_000 };
}
