import { within } from '../deadline.js';
import { PartitionedTopic } from '../partitioned-topic.js';
import { SinkLife } from '../sink-life.js';
import {
  type SinkFeatures,
  type SinkLane,
  type SinkPort,
  type SinkReceipt,
  type SinkRecord,
  type SinkTopic,
} from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { type MessageWriter } from './message-writer.js';
import { deduplicationIdOf } from './message-ids.js';
import { nextBatch, type PendingMessage } from './sqs-batch.js';
import { callSqs } from './sqs-call.js';
import { type CreateSqsClient, type SqsBatchAnswer, type SqsClientPort, type SqsEntry } from './sqs-client-port.js';
import { queueUrlOf, type SqsQueues } from './sqs-config.js';
import { classifySqsEntry, classifySqsError, type SqsFailure } from './sqs-errors.js';
import { queueOf, type SqsQueue } from './sqs-queue.js';

/** What `SqsSink` is made of; `createSqsSink` fills it. Times in milliseconds. */
export interface SqsSinkParts {
  readonly create: CreateSqsClient;
  readonly queues: SqsQueues;
  readonly writer: MessageWriter;
  readonly features: SinkFeatures;
  /** Lanes of a topic. */
  readonly lanes: number;
  readonly requestTimeoutMs: number;
  readonly sendDeadlineMs: number;
  readonly drainMs: number;
  readonly now: () => number;
}

/**
 * `SinkPort` over SQS. A key is a message group, and each group belongs to one lane, which has one send in flight.
 *
 * Order: within a send, requests follow each other, a request has at most one message of a group, and after the first
 * entry that SQS did not take nothing more is sent. Delivery: at least once. What SQS took of a send that failed is
 * remembered, and left out when the same records come again, in whatever batches. `refused` means the record that is
 * alone in a send, or some record of it, which smaller sends find. Failure: nothing is repeated here.
 */
export class SqsSink implements SinkPort {
  readonly kind = 'sqs';
  readonly features: SinkFeatures;
  readonly #topics = new Map<string, OpenedTopic>();
  readonly #life: SinkLife;
  /** Of sends that failed: records that SQS has all the same. */
  readonly #stored = new WeakSet<SinkRecord>();
  #client: SqsClientPort | null = null;

  constructor(private readonly parts: SqsSinkParts) {
    this.features = parts.features;
    this.#life = new SinkLife({
      name: 'SQS',
      opensItself: false,
      drainMs: parts.drainMs,
      open: async () => {
        this.#client ??= await parts.create();
      },
      close: () => this.#close(),
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  async openTopic(name: string): Promise<SinkTopic> {
    const known = this.#topics.get(name);
    if (known !== undefined && !known.isDoubtful) {
      return known.lanes;
    }
    const queue = await this.#attributesOf(queueUrlOf(this.parts.queues, name));
    const lanes = new PartitionedTopic(name, this.parts.lanes);
    this.#topics.set(name, { lanes, queue, isDoubtful: false });
    return lanes;
  }

  /** Besides `SinkError`, a plain `Error` for a caller's mistake: a lane in flight already, an unknown lane, no records. */
  send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    return this.#life.send(lane, records, this.#send);
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  #close(): Promise<void> {
    this.#client?.close();
    this.#client = null;
    this.#topics.clear();
    return Promise.resolve();
  }

  readonly #send = async (lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> => {
    const topic = this.#topics.get(lane.topic);
    const client = this.#running();
    if (topic === undefined) {
      throw new SinkError('unavailable', `Topic ${lane.topic} was not opened since the SQS sink was started.`);
    }
    const missing = records.filter((record) => !this.#stored.has(record));
    let pending = await this.#messagesOf(topic, missing);
    const endMs = this.parts.now() + this.parts.sendDeadlineMs;
    while (pending.length > 0) {
      if (this.parts.now() > endMs) {
        throw this.#timeout(topic, pending.length, records.length);
      }
      const batch = nextBatch(pending);
      await this.#sendBatch(client, topic, batch);
      const sent = new Set(batch);
      pending = pending.filter((message) => !sent.has(message));
    }
    for (const record of records) {
      this.#stored.delete(record);
    }
    return { baseOffset: null };
  };

  async #messagesOf(topic: OpenedTopic, records: readonly SinkRecord[]): Promise<readonly PendingMessage[]> {
    const { sendDeadlineMs: ms } = this.parts;
    try {
      return await within(ms, this.parts.writer.write(topic.queue, topic.lanes.name, records), () => {
        throw new SinkError(
          'timeout',
          `The payloads of ${records.length} messages for the queue ${topic.queue.name} were not stored within ${ms} ms.`,
        );
      });
    } catch (error) {
      // somebody may raise the queue's limit for it
      topic.isDoubtful = true;
      throw error;
    }
  }

  /** Throws when SQS has not taken every entry; those that it has are remembered first. */
  async #sendBatch(client: SqsClientPort, topic: OpenedTopic, batch: readonly PendingMessage[]): Promise<void> {
    const entries = batch.map(entryOf);
    const answer = await this.#ask(client, topic, entries);
    const done = new Set(answer.done);
    for (const [index, { record }] of batch.entries()) {
      if (done.has(String(index))) {
        this.#stored.add(record);
      }
    }
    const failures = answer.failed.map(classifySqsEntry);
    // what is uncertain goes first: sent again, the rest of the batch shows whether a refusal stands
    const failure = failures.find(({ code }) => !isRefusal(code)) ?? failures[0];
    if (failure !== undefined) {
      throw this.#failed(topic, failure, `did not take ${failures.length} of ${batch.length} messages`);
    }
    if (entries.some(({ id }) => !done.has(id))) {
      throw new SinkError(
        'receipt_invalid',
        `The queue ${topic.queue.name} answered for ${done.size} of ${batch.length} messages: look at the endpoint.`,
      );
    }
  }

  async #ask(client: SqsClientPort, topic: OpenedTopic, entries: readonly SqsEntry[]): Promise<SqsBatchAnswer> {
    const { queue } = topic;
    try {
      return await callSqs(this.parts.requestTimeoutMs, (signal) => client.send(queue.url, entries, signal));
    } catch (error) {
      throw this.#failed(topic, classifySqsError(error), `did not take ${entries.length} messages`, error);
    }
  }

  async #attributesOf(url: string): Promise<SqsQueue> {
    const client = this.#running();
    try {
      return queueOf(url, await callSqs(this.parts.requestTimeoutMs, (signal) => client.queueAttributes(url, signal)));
    } catch (error) {
      if (error instanceof SinkError) {
        throw error;
      }
      const { code, reason, advice } = classifySqsError(error);
      throw new SinkError(code, `The queue ${url} does not answer: ${reason}. ${advice}`, { cause: error });
    }
  }

  /** A queue that was there once took what it had with it. */
  #failed(topic: OpenedTopic, failure: SqsFailure, what: string, cause?: unknown): SinkError {
    const { queue } = topic;
    const { code, reason, advice } = failure;
    if (code !== 'unavailable' && code !== 'timeout') {
      topic.isDoubtful = true;
    }
    if (code === 'topic_missing') {
      const lost = 'was there when it was opened and has been deleted since, with what was not received';
      const then = 'Create it, replay what consumers still need, then resume the route.';
      return new SinkError('topic_deleted', `The queue ${queue.name} ${lost}. ${then}`, { cause });
    }
    return new SinkError(code, `The queue ${queue.name} ${what}: ${reason}. ${advice}`, { cause });
  }

  #timeout({ queue }: OpenedTopic, left: number, all: number): SinkError {
    const { sendDeadlineMs } = this.parts;
    return new SinkError(
      'timeout',
      `The queue ${queue.name} has taken ${all - left} of ${all} messages within ${sendDeadlineMs} ms: the rest is sent again.`,
    );
  }

  #running(): SqsClientPort {
    this.#life.assertOpen();
    if (this.#client === null) {
      throw new Error('An SQS sink was started, and has no client.');
    }
    return this.#client;
  }
}

/** A topic whose queue has been looked at. */
interface OpenedTopic {
  readonly lanes: PartitionedTopic;
  readonly queue: SqsQueue;
  /** It is looked at again when it is opened the next time. */
  isDoubtful: boolean;
}

function entryOf({ record, message, groupId }: PendingMessage, index: number): SqsEntry {
  return {
    id: String(index),
    body: message.body,
    envelope: message.envelope,
    groupId,
    deduplicationId: groupId === null ? null : deduplicationIdOf(record),
  };
}

function isRefusal(code: SinkError['code']): boolean {
  return new SinkError(code, '').outcome === 'refused';
}
