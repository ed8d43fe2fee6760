import { setTimeout as sleep } from 'node:timers/promises';
import { assertTopicName, PartitionedTopic } from '../partitioned-topic.js';
import { type SinkLane, type SinkTopic } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { within } from '../deadline.js';
import { type KafkaTopicPolicy } from './kafka-config.js';
import { type KafkaProducerPort } from './kafka-producer-port.js';
import { topicSettingsOf } from './late-records.js';

export interface KafkaTopicsOptions {
  readonly policy: KafkaTopicPolicy;
  /** Bound of one refresh; a refresh that fails or takes longer is given up silently. */
  readonly refreshMs: number;
  /** How old a partition count may be before it is looked at again. */
  readonly recheckMs: number;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
}

interface PinnedTopic {
  readonly topic: PartitionedTopic;
  checkedAt: number;
  /** The partition count of the last look; `DELETED` when there was no topic. */
  seen: number;
}

const DELETED = 0;

/** A new topic is served within this time. */
const CREATED_VISIBLE_MS = 10_000;
const CREATED_POLL_MS = 50;

/**
 * The topics of a sink, each with the partition count that it had when it was opened. Keys are placed by that count
 * until somebody opens the topic again, so a count that changes moves no key by itself: it is an error that names both.
 */
export class KafkaTopics {
  readonly #pinned = new Map<string, PinnedTopic>();
  readonly #refreshing = new Map<string, { readonly producer: KafkaProducerPort; readonly looking: Promise<void> }>();
  #ending = new AbortController();

  constructor(private readonly options: KafkaTopicsOptions) {}

  /**
   * Pins the topic; a topic whose count has changed since is pinned anew, for somebody who begins again, and one that
   * was deleted is made or demanded again. Throws `SinkError` `topic_missing` or `configuration`; other errors are the
   * client's.
   */
  async open(name: string, producer: KafkaProducerPort): Promise<SinkTopic> {
    assertTopicName(name);
    const pinned = this.#pinned.get(name);
    if (pinned !== undefined && pinned.seen !== DELETED) {
      return this.#pin(name, this.#demanded(name, pinned.seen)).topic;
    }
    const count = (await producer.refreshTopic(name)) ?? (await this.#make(name, producer));
    return this.#pin(name, this.#demanded(name, count)).topic;
  }

  /** The topic was opened, and the last look found none. */
  isDeleted(name: string): boolean {
    return this.#pinned.get(name)?.seen === DELETED;
  }

  /**
   * For each send: the lane is one of ours and its topic has not changed. Looks again in the background now and then,
   * and at once while the topic is deleted: made again by somebody, it may have another number of partitions.
   */
  async assertLane(lane: SinkLane, producer: KafkaProducerPort): Promise<void> {
    const pinned = this.#pinned.get(lane.topic);
    if (pinned === undefined) {
      throw new Error(`Lane ${lane.id} belongs to no topic that was opened: take lanes from openTopic().`);
    }
    if (pinned.seen === DELETED) {
      await this.refresh(lane.topic, producer);
    }
    assertUnchanged(pinned, lane);
    if (this.options.now() - pinned.checkedAt > this.options.recheckMs) {
      pinned.checkedAt = this.options.now();
      void this.refresh(lane.topic, producer);
    }
  }

  /** Has a client take the leaders of now over, once for all lanes that ask at the same time. Never rejects. */
  refresh(name: string, producer: KafkaProducerPort): Promise<void> {
    const running = this.#refreshing.get(name);
    if (running?.producer === producer) {
      return running.looking;
    }
    const looking = this.#look(name, producer).finally(() => {
      if (this.#refreshing.get(name)?.looking === looking) {
        this.#refreshing.delete(name);
      }
    });
    this.#refreshing.set(name, { producer, looking });
    return looking;
  }

  /** Forgets all topics, and waits no longer for one that was just created. */
  clear(): void {
    this.#pinned.clear();
    this.#ending.abort();
    this.#ending = new AbortController();
  }

  async #look(name: string, producer: KafkaProducerPort): Promise<void> {
    const unknown = () => undefined;
    const looking = producer.refreshTopic(name).then((seen) => seen ?? DELETED, unknown);
    const count = await within(this.options.refreshMs, looking, unknown);
    const pinned = this.#pinned.get(name);
    if (pinned !== undefined && count !== undefined) {
      pinned.seen = count;
      pinned.checkedAt = this.options.now();
    }
  }

  async #make(name: string, producer: KafkaProducerPort): Promise<number> {
    const { policy } = this.options;
    if (!policy.create) {
      throw new SinkError(
        'topic_missing',
        `Kafka has no topic ${name}: create it (kafka-topics.sh --create --topic ${name} --partitions 6), or set topics.create to true and let Millrace create it.`,
      );
    }
    const { signal } = this.#ending;
    const { partitions, replication } = policy;
    await producer.createTopic(name, { partitions, replication, settings: topicSettingsOf(policy) });
    const until = this.options.now() + CREATED_VISIBLE_MS;
    while (this.options.now() < until && !signal.aborted) {
      const count = await servedPartitions(name, producer);
      if (count !== undefined) {
        return count;
      }
      await sleep(CREATED_POLL_MS, undefined, { signal }).catch(() => undefined); // aborted: the loop sees it
    }
    if (signal.aborted) {
      throw new SinkError('unavailable', `The Kafka sink was stopped before topic ${name} was served.`);
    }
    throw new SinkError(
      'topic_missing',
      `Topic ${name} was created, and is not served by the brokers ${CREATED_VISIBLE_MS} ms later.`,
    );
  }

  /** Of a topic that somebody else has to make. */
  #demanded(name: string, count: number): number {
    const { policy } = this.options;
    if (!policy.create && policy.partitions !== undefined && policy.partitions !== count) {
      throw new SinkError(
        'configuration',
        `Topic ${name} has ${count} partitions, and topics.partitions demands ${policy.partitions}: correct the one or the other.`,
      );
    }
    return count;
  }

  #pin(name: string, count: number): PinnedTopic {
    const existing = this.#pinned.get(name);
    if (existing?.topic.lanes.length === count) {
      existing.seen = count;
      return existing;
    }
    const pinned = { topic: new PartitionedTopic(name, count), checkedAt: this.options.now(), seen: count };
    this.#pinned.set(name, pinned);
    return pinned;
  }
}

/** Undefined while a broker does not know the topic, or its own part in it, yet. */
async function servedPartitions(name: string, producer: KafkaProducerPort): Promise<number | undefined> {
  try {
    const count = await producer.refreshTopic(name);
    return count !== undefined && (await producer.isTopicServed(name, count)) ? count : undefined;
  } catch {
    return undefined;
  }
}

/** A lane of an earlier opening is as wrong as one of a topic that has changed: its keys were placed by the old count. */
function assertUnchanged({ topic, seen }: PinnedTopic, lane: SinkLane): void {
  const isStale = topic.lanes[lane.partition] !== lane;
  const hasChanged = seen !== topic.lanes.length && seen !== DELETED;
  if (isStale || hasChanged) {
    const before = isStale ? 'another number of' : String(topic.lanes.length);
    throw new SinkError(
      'partition_count_changed',
      `Topic ${topic.name} had ${before} partitions when it was opened and has ${seen} now: keys would move between partitions and lose their order. Let consumers catch up, then resume the route to go on with ${seen}.`,
    );
  }
}
