import {
  type ReadBackRequest,
  type ReadBackResult,
  type ReadTailsRequest,
  type SinkFeatures,
  type SinkLane,
  type SinkPort,
  type SinkReceipt,
  type SinkRecord,
  type SinkTopic,
} from '../sink-port.js';
import { type Delivery } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { assertBatch } from '../batch-limits.js';
import { within } from '../deadline.js';
import { LaneEnds, type TellLoss } from '../lane-ends.js';
import { SinkLife } from '../sink-life.js';
import { baseOffsetOf } from './base-offset.js';
import { classifyKafkaError, type KafkaFailure, SendDeadlineError } from './kafka-errors.js';
import {
  ACKS_ALL,
  type KafkaAck,
  type KafkaBatch,
  type KafkaProducerPort,
  type ProducerStamp,
} from './kafka-producer-port.js';
import { KafkaTopics, type KafkaTopicsOptions } from './kafka-topics.js';
import { LaneSequences } from './lane-sequences.js';
import { type TailReader } from './tail-reader.js';
import { type TopicReader } from './topic-reader.js';
import { type CreateProducer, ProducerLink, type ProducerLinkLimits } from './producer-link.js';

/** What `KafkaSink` is made of; `createKafkaSink` fills it from `KafkaSinkOptions`. Times in milliseconds. */
export interface KafkaSinkParts {
  readonly create: CreateProducer;
  /** Batches are numbered, so that the brokers store one that is sent again once. The client must give producer ids. */
  readonly isIdempotent: boolean;
  readonly link: ProducerLinkLimits;
  readonly topics: KafkaTopicsOptions;
  readonly features: SinkFeatures;
  readonly sendDeadlineMs: number;
  readonly drainMs: number;
  /** Of the wall clock: the time that stands on records. */
  readonly nowMs: () => number;
  /** A reader of its own for each reading back. */
  readonly openReader: () => Promise<TopicReader>;
  /** The same for each reading of tails. */
  readonly openTailReader: (sinkErrorOf: (error: unknown) => SinkError) => Promise<TailReader>;
}

/**
 * `SinkPort` over Kafka: every rule that keeps a Node client from losing, reordering or hanging, once, above the small
 * port that one client implements.
 *
 * Order: one send is one topic and one partition, and a lane has at most one in flight. Delivery: acks of all in-sync
 * replicas, at least once, and once in idempotent mode when the caller sends the very same records again; a receipt is
 * believed only when it names our partition with a growing offset. Failure: nothing is sent again here. Before a send rejects,
 * the leaders are refreshed, or the client is thrown away when it may be the reason; every send, and every opening of a
 * topic, has a deadline of its own.
 */
export class KafkaSink implements SinkPort {
  readonly kind = 'kafka';
  readonly features: SinkFeatures;
  readonly #link: ProducerLink;
  readonly #topics: KafkaTopics;
  /** A batch whose outcome was unknown may lie between two that were confirmed. */
  readonly #ends = new LaneEnds(logWasCut);
  readonly #sequences = new LaneSequences();
  readonly #life: SinkLife;

  constructor(private readonly parts: KafkaSinkParts) {
    this.features = parts.features;
    this.#link = new ProducerLink(parts.create, parts.link);
    this.#topics = new KafkaTopics(parts.topics);
    this.#life = new SinkLife({
      name: 'Kafka',
      opensItself: true,
      drainMs: parts.drainMs,
      open: async () => {
        await this.#connected();
      },
      close: () => this.#close(),
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  async openTopic(topic: string): Promise<SinkTopic> {
    const producer = await this.#producer();
    try {
      const wasDeleted = this.#topics.isDeleted(topic);
      const opened = await this.#inTime(this.#topics.open(topic, producer));
      if (wasDeleted) {
        this.#ends.forget(opened);
        this.#sequences.forget(opened.lanes);
      } else {
        this.#ends.forgive(opened);
      }
      await this.#endOfEarlierLanes(opened);
      return opened;
    } catch (error) {
      if (error instanceof SendDeadlineError) {
        await this.#link.discard(producer);
      }
      throw this.#sinkError(`Kafka did not open topic ${topic}`, classifyKafkaError(error), error);
    }
  }

  /** Besides `SinkError`, a plain `Error` for a caller's mistake: a lane in flight already, an unknown lane, no records. */
  send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    return this.#life.send(lane, records, this.#send);
  }

  async readBack(
    request: ReadBackRequest,
    take: (records: readonly Delivery[]) => Promise<void>,
  ): Promise<ReadBackResult> {
    const ofTaker: unknown[] = [];
    const takeAll = (records: readonly Delivery[]): Promise<void> =>
      take(records).catch((error: unknown) => {
        ofTaker.push(error);
        throw error;
      });
    try {
      const reader = await this.parts.openReader();
      return await reader.read(request, takeAll).finally(() => {
        reader.close();
      });
    } catch (error) {
      throw ofTaker.includes(error)
        ? error
        : this.#sinkError('Kafka could not be read back', classifyKafkaError(error), error);
    }
  }

  async readTails(request: ReadTailsRequest): Promise<void> {
    const sinkErrorOf = (error: unknown): SinkError =>
      this.#sinkError('Kafka could not be read', classifyKafkaError(error), error);
    try {
      const reader = await this.parts.openTailReader(sinkErrorOf);
      const close = (): void => {
        reader.close();
      };
      request.signal.addEventListener('abort', close, { once: true });
      await reader.read(request).finally(() => {
        request.signal.removeEventListener('abort', close);
        close();
      });
    } catch (error) {
      throw sinkErrorOf(error);
    }
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  readonly #send = async (lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> => {
    // before anything is waited for: the caller has just looked whether it may send
    const { topic, partition } = lane;
    const batch: KafkaBatch = { topic, partition, records, acks: ACKS_ALL, sentMs: this.parts.nowMs() };
    assertBatch(lane.id, records, this.features, "messageBytesMax and the brokers' message.max.bytes");
    const producer = await this.#producer();
    await this.#topics.assertLane(lane, producer);
    try {
      const acks = await this.#produce(producer, lane, batch);
      const baseOffset = baseOffsetOf(lane, acks);
      this.#ends.accept(lane, baseOffset, baseOffset + BigInt(records.length));
      this.#sequences.acknowledged(lane);
      return { baseOffset };
    } catch (error) {
      const failure = classifyKafkaError(error);
      if (failure.isSequenceLost) {
        this.#sequences.forget([lane]);
      }
      await (failure.isClientSuspect ? this.#link.discard(producer) : this.#topics.refresh(lane.topic, producer));
      if (this.#topics.isDeleted(lane.topic)) {
        throw topicDeleted(lane.topic, error);
      }
      throw this.#sinkError(`Kafka did not take a batch of ${records.length} for ${lane.id}`, failure, error);
    }
  };

  #produce(producer: KafkaProducerPort, lane: SinkLane, batch: KafkaBatch): Promise<readonly KafkaAck[]> {
    const attempt = new AbortController();
    const produce = async (): Promise<readonly KafkaAck[]> => {
      const { records } = batch;
      const stamp = this.parts.isIdempotent ? await this.#stamp(producer, lane, records, attempt.signal) : undefined;
      return producer.produce({ ...batch, stamp });
    };
    return this.#inTime(produce(), () => {
      attempt.abort();
    });
  }

  /** Whatever the client does. */
  #inTime<Result>(work: Promise<Result>, late: () => void = () => undefined): Promise<Result> {
    const ms = this.parts.sendDeadlineMs;
    return within(ms, work, () => {
      late();
      throw new SendDeadlineError(`no answer within ${ms} ms`);
    });
  }

  async #stamp(
    producer: KafkaProducerPort,
    lane: SinkLane,
    records: readonly SinkRecord[],
    late: AbortSignal,
  ): Promise<ProducerStamp> {
    const known = this.#sequences.stampOf(lane, records);
    if (known !== undefined) {
      return known;
    }
    if (producer.newProducerId === undefined) {
      throw new SinkError('configuration', 'This Kafka client gives no producer ids: set idempotent to false.');
    }
    const identity = await producer.newProducerId(lane);
    // after the deadline the same records may be on their way again, under another id
    late.throwIfAborted();
    return this.#sequences.begin(lane, identity, records);
  }

  #producer(): Promise<KafkaProducerPort> {
    this.#life.assertOpen();
    return this.#connected();
  }

  async #connected(): Promise<KafkaProducerPort> {
    try {
      return await this.#link.get();
    } catch (error) {
      throw this.#sinkError('Kafka could not be reached', classifyKafkaError(error), error);
    }
  }

  async #close(): Promise<void> {
    await this.#link.close();
    this.#topics.clear();
    this.#ends.clear();
    this.#sequences.clear();
  }

  /** What is on its way to lanes of an earlier number of partitions ends before a key can take another lane. */
  #endOfEarlierLanes({ name, lanes }: SinkTopic): Promise<void> {
    return this.#life.endOfSends((lane) => lane.topic === name && lanes[lane.partition] !== lane);
  }

  #sinkError(what: string, { code, reason, advice }: KafkaFailure, cause: unknown): SinkError {
    if (cause instanceof SinkError) {
      return cause;
    }
    return new SinkError(code, `${what}: ${reason}.${advice && ` ${advice}`}`, { cause });
  }
}

const logWasCut: TellLoss = ({ laneId, end, known }) =>
  `Kafka stored a batch of ${laneId} at offset ${end}, and had acknowledged all below ${known}: the log was cut (unclean leader election) or the topic was made again, so acknowledged events are gone. Find out which, replay them, then resume the route.`;

function topicDeleted(topic: string, cause: unknown): SinkError {
  return new SinkError(
    'topic_deleted',
    `Topic ${topic} was there when it was opened and has been deleted since, and the events in it that were acknowledged are gone with it. Replay those that consumers still need, then resume the route: it opens the topic anew, and creates it where topics.create is true.`,
    { cause },
  );
}
