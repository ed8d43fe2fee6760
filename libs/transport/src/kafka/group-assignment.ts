import { type SubscriptionListener } from '../subscription-port.js';
import { type TopicPartition } from './assign-partitions.js';
import { partitionId } from './by-topic.js';
import { type TopicLeaders } from './kafka-cluster.js';
import { type OffsetCommitter } from './offset-committer.js';
import { PartitionFeed } from './partition-feed.js';
import { PartitionFetcher, type PartitionFetcherOptions } from './partition-fetcher.js';
import { type SubscriptionEvent } from './subscription-events.js';

export interface GroupAssignmentOptions {
  readonly partitions: readonly TopicPartition[];
  /** By `partitionId`. */
  readonly committed: ReadonlyMap<string, bigint>;
  readonly listener: SubscriptionListener;
  readonly committer: OffsetCommitter;
  readonly fetch: Omit<PartitionFetcherOptions, 'onOutOfRange'>;
  readonly onEvent: (event: SubscriptionEvent) => void;
  readonly onFailure: (error: unknown) => void;
}

/** A broker's log ends below what was already delivered: the log was cut, or the topic made again. */
export class LogWentBackError extends Error {
  override readonly name = 'LogWentBackError';
}

/** The partitions of one generation, from the opening of their receivers until all are closed. */
export class GroupAssignment {
  readonly #feeds: readonly PartitionFeed[];
  readonly #fetcher: PartitionFetcher;

  constructor(private readonly options: GroupAssignmentOptions) {
    const { partitions, committed, listener, committer, fetch, onFailure } = options;
    this.#feeds = partitions.map((partition) => {
      const feed: PartitionFeed = new PartitionFeed({
        ...partition,
        committedOffset: committed.get(partitionId(partition)) ?? null,
        listener,
        commit: (nextOffset) => {
          committer.raise(partition, nextOffset);
        },
        onHungry: () => {
          this.#fetcher.wake();
        },
        onUnreadable: (error) => {
          this.#fetcher.pause(feed, error);
        },
        onFailure,
      });
      return feed;
    });
    this.#fetcher = new PartitionFetcher(this.#feeds, {
      ...fetch,
      onOutOfRange: (feed, first) => {
        this.#goOnFrom(feed, first);
      },
    });
  }

  lead(leaders: TopicLeaders): void {
    this.#fetcher.lead(leaders);
  }

  /**
   * These topics are gone, and their offsets with them: what receivers commit from now on would be taken as offsets in a topic
   * that was made again under the name. True when some partition was of them.
   */
  forget(topics: readonly string[]): boolean {
    const gone = this.#feeds.filter(({ topic }) => topics.includes(topic));
    for (const feed of gone) {
      this.options.committer.forget(feed);
    }
    return gone.length > 0;
  }

  /** Gives out nothing more and closes the receivers, which then have committed all that they will. Never rejects. */
  async close(drainMs: number): Promise<void> {
    this.#fetcher.close();
    const drained = await Promise.all(this.#feeds.map((feed) => feed.close(drainMs)));
    if (this.#feeds.length > 0) {
      this.options.onEvent({
        kind: 'revoked',
        partitions: this.options.partitions,
        isDrained: drained.every(Boolean),
      });
    }
  }

  #goOnFrom(feed: PartitionFeed, first: bigint): void {
    const { topic, partition, position, expectsOffset } = feed;
    if (expectsOffset) {
      this.options.onEvent({ kind: 'out_of_range', topic, partition, expected: position, first });
    }
    if (feed.hasDelivered && first < position) {
      // what the receiver was given lies ahead of what comes now: it must begin again, as a new receiver, and not where
      // the one before would leave the group: the log may have grown past that by then
      this.options.committer.goBack(feed, first);
      this.options.onFailure(
        new LogWentBackError(`The log of ${partitionId(feed)} no longer has what was delivered of it.`),
      );
    } else {
      feed.position = first;
    }
  }
}
