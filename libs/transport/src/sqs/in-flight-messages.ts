import { type Delivery } from '../subscription-port.js';
import { type QueueClient } from './queue-client.js';
import { ENTRIES_MAX } from './sqs-batch.js';
import { type SqsBatchAnswer, type SqsReceived } from './sqs-client-port.js';
import { isStopped } from './stopping.js';

/** A message that SQS hides from others for as long as we ask for it. */
export interface InFlightMessage {
  readonly message: SqsReceived;
  /** It is done, and only its deletion is left. */
  isDone: boolean;
  /** SQS shows it to others: its visibility cannot be extended any more. */
  isLost: boolean;
}

/** How messages are kept hidden. */
export interface InFlightSettings {
  readonly client: Pick<QueueClient, 'changeVisibility'>;
  readonly visibilitySeconds: number;
  /** Messages at a time. */
  readonly messagesMax: number;
  /** SQS has shown so many to others that are still in work here. */
  readonly lost: (messages: number) => void;
}

/**
 * The messages of a queue that were received and are neither deleted nor given back. While there are any, their visibility
 * is extended three times in the time that it lasts, whatever their handlers do.
 */
export class InFlightMessages {
  readonly #messages = new Map<Delivery, InFlightMessage>();
  #timer: NodeJS.Timeout | null = null;
  #extending: Promise<void> | null = null;
  #wake = (): void => undefined;

  constructor(private readonly settings: InFlightSettings) {}

  get size(): number {
    return this.#messages.size;
  }

  /** How many more there may be. */
  get room(): number {
    return this.settings.messagesMax - this.#messages.size;
  }

  /** Resolves when there is room, or when `stopping` is aborted. One waiter at a time. */
  async hasRoom(stopping: AbortSignal): Promise<void> {
    const wake = (): void => {
      this.#wake();
    };
    stopping.addEventListener('abort', wake);
    while (this.room <= 0 && !isStopped(stopping)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    stopping.removeEventListener('abort', wake);
  }

  add(delivery: Delivery, message: SqsReceived): void {
    this.#messages.set(delivery, { message, isDone: false, isLost: false });
    this.#timer ??= setInterval(
      () => {
        this.#extending ??= this.#extend().finally(() => {
          this.#extending = null;
        });
      },
      (this.settings.visibilitySeconds * 1_000) / 3,
    );
  }

  get(delivery: Delivery): InFlightMessage | undefined {
    return this.#messages.get(delivery);
  }

  remove(delivery: Delivery): void {
    this.#messages.delete(delivery);
    this.#wake();
    if (this.#messages.size === 0) {
      this.#stopExtending();
    }
  }

  /** Ends the timer, forgets all, and returns what is not done, oldest first. */
  async clear(): Promise<readonly SqsReceived[]> {
    this.#stopExtending();
    await this.#extending;
    const open = [...this.#messages.values()].filter(({ isDone }) => !isDone).map(({ message }) => message);
    this.#messages.clear();
    return open;
  }

  #stopExtending(): void {
    clearInterval(this.#timer ?? undefined);
    this.#timer = null;
  }

  /**
   * A request that fails is no matter: the next comes before the visibility ends. What was done while it was on its way
   * may be deleted already, and SQS knows it no more than what it has shown to others.
   */
  async #extend(): Promise<void> {
    const held = new Map(
      [...this.#messages.values()].filter(({ isLost }) => !isLost).map((one) => [one.message.receiptHandle, one]),
    );
    const messages = [...held.values()].map(({ message }) => message);
    const refused = await changeVisibility(this.settings.client, messages, this.settings.visibilitySeconds);
    const lost = refused.flatMap((handle) => held.get(handle) ?? []).filter(({ isDone }) => !isDone);
    for (const one of lost) {
      one.isLost = true;
    }
    if (lost.length > 0) {
      this.settings.lost(lost.length);
    }
  }
}

/**
 * Sets for how long messages stay hidden, ten at a time, the last first: so none is shown before those behind it are dealt
 * with. Returns the handles that SQS does not know any more. Never rejects: what it could not set comes back by itself when
 * the visibility ends.
 */
export async function changeVisibility(
  client: Pick<QueueClient, 'changeVisibility'>,
  messages: readonly SqsReceived[],
  seconds: number,
): Promise<readonly string[]> {
  const refused: string[] = [];
  for (let end = messages.length; end > 0; end -= ENTRIES_MAX) {
    const part = messages.slice(Math.max(end - ENTRIES_MAX, 0), end).reverse();
    const changes = part.map(({ receiptHandle }, index) => ({ id: String(index), receiptHandle, seconds }));
    const answer = await client.changeVisibility(changes).catch(() => NO_ANSWER);
    const failed = new Set(answer.failed.filter(({ isSenderFault }) => isSenderFault).map(({ id }) => id));
    refused.push(...part.filter((_, index) => failed.has(String(index))).map(({ receiptHandle }) => receiptHandle));
  }
  return refused;
}

const NO_ANSWER: SqsBatchAnswer = { done: [], failed: [] };
