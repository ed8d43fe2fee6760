import { type Delivery } from '../subscription-port.js';
import { growingPauseMs } from '../growing-pause.js';
import { type InFlightMessages } from './in-flight-messages.js';
import { type QueueClient } from './queue-client.js';
import { ENTRIES_MAX } from './sqs-batch.js';
import { classifySqsEntry, classifySqsError } from './sqs-errors.js';

/** What deletions are made with. */
export interface DeleterParts {
  readonly client: Pick<QueueClient, 'delete'>;
  readonly inFlight: InFlightMessages;
  /** So many messages come again although they are done. */
  readonly failed: (messages: number, reason: string) => void;
}

const PAUSE = { firstMs: 100, maxMs: 3_000 };

interface Deletion {
  readonly delivery: Delivery;
  readonly receiptHandle: string;
}

/**
 * Deletes messages that are done, ten at a time, one request at a time, and again until SQS has answered. A message
 * counts as in flight until then, so its visibility is extended and it does not come again meanwhile.
 */
export class MessageDeleter {
  readonly #waiting: Deletion[] = [];
  #running: Promise<void> | null = null;
  #wake = (): void => undefined;
  #isStopping = false;

  constructor(private readonly parts: DeleterParts) {}

  /** Returns at once. A message of an earlier life is ignored. */
  add(delivery: Delivery): void {
    const held = this.parts.inFlight.get(delivery);
    if (held === undefined || held.isDone) {
      return;
    }
    held.isDone = true;
    this.#waiting.push({ delivery, receiptHandle: held.message.receiptHandle });
    this.#begin();
  }

  /** Tries once more what is left, and gives up what SQS does not take then. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wake();
    while (this.#running !== null) {
      await this.#running;
    }
  }

  #begin(): void {
    this.#running ??= this.#deleteAll().finally(() => {
      this.#running = null;
      if (this.#waiting.length > 0) {
        this.#begin();
      }
    });
  }

  async #deleteAll(): Promise<void> {
    // what is done in the same turn of the event loop goes together
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let attempt = 0; this.#waiting.length > 0;) {
      const batch = this.#waiting.splice(0, ENTRIES_MAX);
      const { left, reason } = await this.#delete(batch);
      attempt = left.length === 0 ? 0 : attempt + 1;
      if (left.length > 0 && this.#isStopping) {
        this.#giveUp(left, reason);
      } else if (left.length > 0) {
        this.#waiting.unshift(...left);
        await this.#pause(growingPauseMs(attempt, PAUSE));
      }
    }
  }

  async #delete(batch: readonly Deletion[]): Promise<{ readonly left: readonly Deletion[]; readonly reason: string }> {
    try {
      const entries = batch.map(({ receiptHandle }, index) => ({ id: String(index), receiptHandle }));
      const { done, failed } = await this.parts.client.delete(entries);
      const gone = new Set(done);
      const refused = new Map(failed.filter(({ isSenderFault }) => isSenderFault).map((entry) => [entry.id, entry]));
      for (const [index, { delivery }] of batch.entries()) {
        if (gone.has(String(index))) {
          this.parts.inFlight.remove(delivery);
        }
      }
      const [first] = failed;
      const reason = first === undefined ? 'no answer' : classifySqsEntry(first).reason;
      this.#giveUp(
        batch.filter((_, index) => refused.has(String(index))),
        reason,
      );
      return { left: batch.filter((_, index) => !gone.has(String(index)) && !refused.has(String(index))), reason };
    } catch (error) {
      return { left: batch, reason: classifySqsError(error).reason };
    }
  }

  /** SQS does not know their handles any more: somebody else has them. */
  #giveUp(batch: readonly Deletion[], reason: string): void {
    for (const { delivery } of batch) {
      this.parts.inFlight.remove(delivery);
    }
    if (batch.length > 0) {
      this.parts.failed(batch.length, reason);
    }
  }

  async #pause(ms: number): Promise<void> {
    if (this.#isStopping) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
