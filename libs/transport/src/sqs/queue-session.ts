import { within } from '../deadline.js';
import { growingPauseMs } from '../growing-pause.js';
import { type AssignedPartition, type PartitionReceiver, type SubscriptionListener } from '../subscription-port.js';
import { changeVisibility, InFlightMessages } from './in-flight-messages.js';
import { MessageDeleter } from './message-deleter.js';
import { type MessageReader, type ReadMessage } from './message-reader.js';
import { type QueueClient } from './queue-client.js';
import { ENTRIES_MAX } from './sqs-batch.js';
import { type SqsReceived } from './sqs-client-port.js';
import { classifySqsError } from './sqs-errors.js';
import { assertRedrive, type SqsQueue } from './sqs-queue.js';
import { type SqsSubscriptionEvent } from './sqs-subscription-events.js';
import { isStopped, pause, untilStopped } from './stopping.js';

/** Limits of a subscription to queues. */
export interface QueueLimits {
  readonly visibilitySeconds: number;
  readonly waitSeconds: number;
  readonly inFlightMax: number;
  readonly receivesMin: number;
  readonly drainMs: number;
}

/** What a session is made of. */
export interface QueueSessionParts {
  readonly client: QueueClient;
  readonly reader: MessageReader;
  readonly listener: SubscriptionListener;
  readonly limits: QueueLimits;
  /** What is received is known to be all right, or not: with a reason, and for how many times in a row. */
  readonly standing: (failure: { readonly reason: string; readonly attempt: number } | null) => void;
  readonly onEvent: (event: SqsSubscriptionEvent) => void;
}

/** The receiver of a queue rejected: a fault of ours, not of SQS. */
export class QueueReceiverError extends Error {
  override readonly name = 'QueueReceiverError';
}

const PAUSE = { firstMs: 250, maxMs: 5_000 };
/** What is given back comes again after the first of these, then twice as late each time: a receive too many is its end. */
const GIVEN_BACK_SECONDS = { first: 5, max: 300 };
const FAREWELL_MS = 3_000;
/** How much later than it should a poll may end. */
const POLL_MARGIN_MS = 1_000;

/**
 * One queue from its opening to its end, by way of one receiver. Messages are taken as long as there is room, are hidden
 * from others while they are in work, deleted once they are settled, and what is left at the end is given back at once.
 */
export class QueueSession {
  readonly #inFlight: InFlightMessages;
  readonly #deleter: MessageDeleter;
  #queue = '';
  #offset = 0n;
  #failures = 0;

  constructor(private readonly parts: QueueSessionParts) {
    const { client, limits } = parts;
    this.#inFlight = new InFlightMessages({
      client,
      visibilitySeconds: limits.visibilitySeconds,
      messagesMax: limits.inFlightMax,
      lost: (messages) => {
        parts.onEvent({ kind: 'visibility_lost', queue: this.#queue, messages });
      },
    });
    this.#deleter = new MessageDeleter({
      client,
      inFlight: this.#inFlight,
      failed: (messages, reason) => {
        parts.onEvent({ kind: 'delete_failed', queue: this.#queue, messages, reason });
      },
    });
  }

  /** Resolves when `stopping` is aborted; rejects when the queue cannot be opened or is gone, and when the receiver fails. */
  async run(stopping: AbortSignal): Promise<void> {
    const queue = await this.parts.client.open(stopping);
    assertRedrive(queue, this.parts.limits.receivesMin);
    const receiver = await this.parts.listener.open(this.#assignment(queue), stopping);
    this.parts.onEvent({ kind: 'queue_opened', queue: queue.name });
    this.parts.standing(null);
    const polling = new AbortController();
    const feeding = this.#feed(receiver, stopping, polling.signal);
    try {
      await untilStopped(feeding, stopping);
    } finally {
      const fed = within(this.#pollMs, feeding, () => undefined).catch(() => undefined);
      await Promise.all([fed, this.#close(receiver)]);
      polling.abort();
      await this.#giveBackAll();
    }
  }

  /** A message that came to a poll which nobody waits for would stay hidden until its visibility ends. */
  get #pollMs(): number {
    return this.parts.limits.waitSeconds * 1_000 + POLL_MARGIN_MS;
  }

  #assignment({ name }: SqsQueue): AssignedPartition {
    this.#queue = name;
    return {
      topic: name,
      partition: 0,
      committedOffset: null,
      commit: () => undefined,
      settle: (delivery) => {
        this.#deleter.add(delivery);
      },
    };
  }

  async #feed(receiver: PartitionReceiver, stopping: AbortSignal, polling: AbortSignal): Promise<void> {
    for (;;) {
      await this.#inFlight.hasRoom(stopping);
      if (isStopped(stopping)) {
        return;
      }
      const messages = await this.#receive(stopping, polling);
      if (isStopped(stopping)) {
        await changeVisibility(this.parts.client, messages, 0);
        return;
      }
      const read = await this.#read(messages);
      if (read.length > 0) {
        await this.#deliver(receiver, read);
      }
    }
  }

  /** None when there are none, and when SQS fails. Throws when the queue is gone. */
  async #receive(stopping: AbortSignal, polling: AbortSignal): Promise<readonly SqsReceived[]> {
    const { waitSeconds, visibilitySeconds } = this.parts.limits;
    const messagesMax = Math.min(ENTRIES_MAX, this.#inFlight.room);
    try {
      const messages = await this.parts.client.receive({ messagesMax, waitSeconds, visibilitySeconds }, polling);
      this.#isWell();
      return messages;
    } catch (error) {
      if (!isStopped(stopping)) {
        await this.#failed(error, stopping);
      }
      return [];
    }
  }

  #isWell(): void {
    if (this.#failures > 0) {
      this.#failures = 0;
      this.parts.standing(null);
      this.parts.onEvent({ kind: 'resumed', queue: this.#queue });
    }
  }

  /** What is in work goes on meanwhile. */
  async #failed(error: unknown, stopping: AbortSignal): Promise<void> {
    const { code, reason, advice } = classifySqsError(error);
    if (code === 'topic_missing') {
      throw error;
    }
    this.#failures++;
    const attempt = this.#failures;
    const pauseMs = growingPauseMs(attempt, PAUSE);
    const told = `Nothing can be received from the queue ${this.#queue}: ${reason}. ${advice}`;
    this.parts.standing({ reason: told, attempt });
    this.parts.onEvent({ kind: 'interrupted', queue: this.#queue, reason: told, attempt, pauseMs });
    await pause(pauseMs, stopping);
  }

  async #read(messages: readonly SqsReceived[]): Promise<readonly ReadMessage[]> {
    const { read, givenBack, reason } = await this.parts.reader.read(messages);
    for (const { delivery, message } of read) {
      this.#inFlight.add(delivery, message);
    }
    if (givenBack.length > 0) {
      await changeVisibility(this.parts.client, givenBack, givenBackSeconds(givenBack));
      this.parts.onEvent({ kind: 'given_back', queue: this.#queue, messages: givenBack.length, reason });
    }
    return read;
  }

  async #deliver(receiver: PartitionReceiver, read: readonly ReadMessage[]): Promise<void> {
    const deliveries = read.map(({ delivery }) => delivery);
    const firstOffset = this.#offset;
    this.#offset += BigInt(deliveries.length);
    const bytes = deliveries.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    try {
      await receiver.receive({ deliveries, firstOffset, nextOffset: this.#offset, bytes });
    } catch (cause) {
      throw new QueueReceiverError(`The receiver of the queue ${this.#queue} failed.`, { cause });
    }
  }

  /** What is done is deleted. */
  async #close(receiver: PartitionReceiver): Promise<void> {
    await within(this.parts.limits.drainMs, receiver.close(), () => undefined);
    await within(FAREWELL_MS, this.#deleter.stop(), () => undefined);
  }

  /** Shown to others at once. */
  async #giveBackAll(): Promise<void> {
    const given = this.#inFlight.clear().then((open) => changeVisibility(this.parts.client, open, 0));
    await within(FAREWELL_MS, given, () => undefined);
  }
}

/** By the one that was received most often. */
function givenBackSeconds(messages: readonly SqsReceived[]): number {
  const receives = Math.max(...messages.map(({ receiveCount }) => receiveCount), 1);
  return Math.min(GIVEN_BACK_SECONDS.first * 2 ** Math.min(receives - 1, 10), GIVEN_BACK_SECONDS.max);
}
