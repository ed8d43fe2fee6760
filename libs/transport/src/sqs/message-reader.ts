import { type PayloadStore, PayloadStoreError } from '../storage/payload-store.js';
import { type Delivery } from '../subscription-port.js';
import { type SqsReceived } from './sqs-client-port.js';
import { decodeMessage } from './sqs-envelope.js';

/** A message and what it says. */
export interface ReadMessage {
  readonly message: SqsReceived;
  readonly delivery: Delivery;
}

/** What a batch of messages says, and those of it that are to be given back, with the reason of the first. */
export interface ReadBatch {
  readonly read: readonly ReadMessage[];
  readonly givenBack: readonly SqsReceived[];
  readonly reason: string;
}

const NO_STORE = 'A payload was put into a store, and this consumer has none: give it the same store as the relay.';

/** Reads messages and fetches the payloads that they point to. */
export class MessageReader {
  constructor(
    private readonly store: PayloadStore | null,
    /** Of a message that names none. */
    private readonly topic: string,
  ) {}

  /**
   * In the order of the batch. A message whose payload cannot be had is given back with all later ones of its group in the
   * batch: delivered, they would overtake it.
   */
  async read(batch: readonly SqsReceived[]): Promise<ReadBatch> {
    const read: ReadMessage[] = [];
    const givenBack: SqsReceived[] = [];
    const stopped = new Set<string>();
    let reason = '';
    for (const message of batch) {
      if (message.groupId !== null && stopped.has(message.groupId)) {
        givenBack.push(message);
        continue;
      }
      const delivery = await this.#deliveryOf(message);
      if (typeof delivery !== 'string') {
        read.push({ message, delivery });
        continue;
      }
      reason ||= delivery;
      givenBack.push(message);
      if (message.groupId !== null) {
        stopped.add(message.groupId);
      }
    }
    return { read, givenBack, reason };
  }

  /** Or why it cannot be had. */
  async #deliveryOf(message: SqsReceived): Promise<Delivery | string> {
    const { delivery, claim } = decodeMessage(message, this.topic);
    if (claim === null) {
      return delivery;
    }
    if (this.store === null) {
      return NO_STORE;
    }
    try {
      return { ...delivery, value: await this.store.get(claim) };
    } catch (error) {
      return error instanceof PayloadStoreError ? error.message : 'The payload store failed.';
    }
  }
}
