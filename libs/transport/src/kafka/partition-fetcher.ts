import { type DeliveredChunk } from '../subscription-port.js';
import { partitionId } from './by-topic.js';
import { FeedPauses } from './feed-pauses.js';
import { ANSWER, assertAnswered, KafkaAnswerError } from './kafka-answer.js';
import { type KafkaCluster, type TopicLeaders } from './kafka-cluster.js';
import { type PartitionFeed } from './partition-feed.js';
import { chunkEnd, type Decompress, readChunk, type RecordChunk } from './record-chunk.js';
import { EARLIEST_OFFSET } from './wire/cluster-apis.js';
import { FETCH, type FetchedPartition } from './wire/fetch-api.js';
import { WireFormatError } from './wire/wire-buffers.js';

export interface PartitionFetcherOptions {
  readonly cluster: KafkaCluster;
  readonly decompress: Decompress;
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
  readonly maxWaitMs: number;
  readonly requestTimeoutMs: number;
  /** Asks the cluster who leads what; the answer comes by `lead`. Never rejects. */
  readonly refreshLeaders: () => Promise<void>;
  /** The broker no longer has, or does not have yet, the offset; it goes on from `first`. */
  readonly onOutOfRange: (feed: PartitionFeed, first: bigint) => void;
  /** These wait for a broker that leads them and answers, or for records that can be read; told once, until they are served. */
  readonly onInterrupted: (feeds: readonly PartitionFeed[], error: unknown) => void;
  /** Nothing more is fetched. */
  readonly onFailure: (error: unknown) => void;
}

/** While some partitions of a broker can take nothing, the others' request must end soon, for them to be in the next one. */
const PARTIAL_WAIT_MS = 100;

/** What passes once another broker leads, or the leader has caught up. */
const PASSING: ReadonlySet<number> = new Set([
  ANSWER.UNKNOWN_TOPIC_OR_PARTITION,
  ANSWER.LEADER_NOT_AVAILABLE,
  ANSWER.NOT_LEADER_OR_FOLLOWER,
  ANSWER.REPLICA_NOT_AVAILABLE,
  ANSWER.KAFKA_STORAGE_ERROR,
  ANSWER.FENCED_LEADER_EPOCH,
  ANSWER.UNKNOWN_LEADER_EPOCH,
  ANSWER.OFFSET_NOT_AVAILABLE,
]);

const NO_LEADER = -1;
/** Between two looks for the leaders of partitions that have none, or whose broker does not answer. */
const REFRESH_MS = 100;

/**
 * Fetches for the feeds of one assignment: per broker one request at a time, for those of its partitions that can take
 * records. A partition that can take none is left out, and the others go on. Whatever a broker fails to answer is asked
 * of whoever leads then, for ever.
 */
export class PartitionFetcher {
  /** In the order in which requests name them: what was first in one is last in the next. */
  readonly #feeds: Map<string, PartitionFeed>;
  readonly #leaders = new Map<string, number>();
  readonly #busy = new Set<number>();
  /** Named in a request that has no answer yet, of whichever broker. */
  readonly #asked = new Set<PartitionFeed>();
  readonly #interrupted = new Set<PartitionFeed>();
  readonly #pauses = new FeedPauses();
  #isClosed = false;
  #refreshing: NodeJS.Timeout | undefined;

  constructor(
    feeds: readonly PartitionFeed[],
    private readonly options: PartitionFetcherOptions,
  ) {
    this.#feeds = new Map(feeds.map((feed) => [partitionId(feed), feed]));
  }

  /** Takes over who leads what, and goes on. */
  lead(leaders: TopicLeaders): void {
    for (const [id, { topic, partition }] of this.#feeds) {
      this.#leaders.set(id, leaders.get(topic)?.[partition] ?? NO_LEADER);
    }
    this.wake();
  }

  /** Asks every idle broker for the partitions that can take records. */
  wake(): void {
    if (this.#isClosed) {
      return;
    }
    for (const [leader, feeds] of this.#byLeader()) {
      const hungry = feeds.filter((feed) => this.#isToBeAsked(feed));
      if (leader === NO_LEADER) {
        this.#refreshSoon();
      } else if (hungry.length > 0 && !this.#busy.has(leader)) {
        void this.#fetch(leader, hungry, hungry.length < feeds.length);
      }
    }
  }

  /** What a partition has at its position cannot be read: it is fetched again after a pause, for ever, and the others go on. */
  pause(feed: PartitionFeed, error: unknown): void {
    if (this.#isClosed) {
      return;
    }
    const isNews = this.#pauses.begin(feed, () => {
      this.wake();
    });
    if (isNews) {
      this.options.onInterrupted([feed], error);
    }
  }

  /** What is in flight is dropped when it comes. */
  close(): void {
    this.#isClosed = true;
    this.#pauses.close();
    clearTimeout(this.#refreshing);
  }

  #isToBeAsked(feed: PartitionFeed): boolean {
    return feed.isHungry && !this.#asked.has(feed) && !this.#pauses.has(feed);
  }

  #byLeader(): Map<number, PartitionFeed[]> {
    const found = new Map<number, PartitionFeed[]>();
    for (const [id, feed] of this.#feeds) {
      const leader = this.#leaders.get(id) ?? NO_LEADER;
      const feeds = found.get(leader) ?? [];
      feeds.push(feed);
      found.set(leader, feeds);
    }
    return found;
  }

  async #fetch(leader: number, hungry: readonly PartitionFeed[], isPartial: boolean): Promise<void> {
    this.#busy.add(leader);
    for (const feed of hungry) {
      this.#asked.add(feed);
    }
    try {
      await this.#fetchOnce(leader, hungry, isPartial);
    } catch (error) {
      this.#onRequestError(leader, hungry, error);
    } finally {
      this.#busy.delete(leader);
      for (const feed of hungry) {
        this.#asked.delete(feed);
      }
    }
    this.wake();
  }

  async #fetchOnce(leader: number, hungry: readonly PartitionFeed[], isPartial: boolean): Promise<void> {
    const { cluster, bytesMax, partitionBytesMax, maxWaitMs, requestTimeoutMs } = this.options;
    const waitMs = isPartial ? Math.min(PARTIAL_WAIT_MS, maxWaitMs) : maxWaitMs;
    this.#putLast(hungry[0]);
    const partitions = hungry.map(({ topic, partition, position: offset }) => ({ topic, partition, offset }));
    const question = { maxWaitMs: waitMs, bytesMax, partitionBytesMax, partitions };
    const answer = await cluster.ask(cluster.addressOf(leader), FETCH, question, waitMs + requestTimeoutMs);
    assertAnswered(answer.errorCode, 'Fetch');
    const offsets = new Map(partitions.map((asked) => [partitionId(asked), asked.offset]));
    for (const fetched of answer.partitions) {
      const id = partitionId(fetched);
      const feed = this.#feeds.get(id);
      // what went elsewhere meanwhile has no use for what it had asked for
      if (feed !== undefined && feed.position === offsets.get(id) && !this.#isClosed) {
        await this.#take(feed, fetched, leader);
      }
    }
  }

  /** A full answer has room for the first ones only. */
  #putLast(feed: PartitionFeed | undefined): void {
    if (feed !== undefined) {
      const id = partitionId(feed);
      this.#feeds.delete(id);
      this.#feeds.set(id, feed);
    }
  }

  async #take(feed: PartitionFeed, fetched: FetchedPartition, leader: number): Promise<void> {
    const { errorCode, topic, partition, records, aborted } = fetched;
    if (errorCode === ANSWER.OFFSET_OUT_OF_RANGE) {
      await this.#reset(feed, leader);
    } else if (PASSING.has(errorCode)) {
      this.#lose(leader, [feed], new KafkaAnswerError(errorCode, `Fetch of ${partitionId(feed)}`));
    } else {
      assertAnswered(errorCode, `Fetch of ${partitionId(feed)}`);
      this.#interrupted.delete(feed);
      // as a view, few bytes of one partition would keep the answer with those of all others
      const bytes = Buffer.allocUnsafeSlow(records.length);
      bytes.set(records);
      this.#offer(feed, { topic, partition, firstOffset: feed.position, bytes, aborted });
    }
  }

  #offer(feed: PartitionFeed, chunk: RecordChunk): void {
    const { firstOffset } = chunk;
    try {
      const nextOffset = chunkEnd(chunk);
      if (nextOffset > firstOffset) {
        feed.offer({ firstOffset, nextOffset, read: () => this.#read(feed, chunk) });
      }
    } catch (error) {
      this.pause(feed, error);
    }
  }

  *#read(feed: PartitionFeed, chunk: RecordChunk): Generator<DeliveredChunk, void> {
    for (const part of readChunk(chunk, this.options.decompress)) {
      this.#pauses.allIsWell(feed);
      yield part;
    }
  }

  /** Never to the end: what is missing is missing, but nothing that is there is skipped. */
  async #reset(feed: PartitionFeed, leader: number): Promise<void> {
    const { cluster } = this.options;
    const earliest = await cluster.ask(cluster.addressOf(leader), EARLIEST_OFFSET, feed);
    assertAnswered(earliest.errorCode, `ListOffsets of ${partitionId(feed)}`);
    if (!this.#isClosed) {
      this.options.onOutOfRange(feed, earliest.offset);
    }
  }

  #onRequestError(leader: number, feeds: readonly PartitionFeed[], error: unknown): void {
    // what a broker says is not mended by another connection, nor is an answer that cannot be read
    if (error instanceof WireFormatError || (error instanceof KafkaAnswerError && !PASSING.has(error.code))) {
      this.close();
      this.options.onFailure(error);
    } else {
      this.#lose(leader, feeds, error);
    }
  }

  /** They wait for another look at who leads them; those that have another leader by now go on there. */
  #lose(leader: number, feeds: readonly PartitionFeed[], error: unknown): void {
    if (this.#isClosed) {
      return;
    }
    const lost = feeds.filter((feed) => this.#leaders.get(partitionId(feed)) === leader);
    const fresh = lost.filter((feed) => !this.#interrupted.has(feed));
    for (const feed of lost) {
      this.#leaders.set(partitionId(feed), NO_LEADER);
      this.#interrupted.add(feed);
    }
    if (fresh.length > 0) {
      this.options.onInterrupted(fresh, error);
    }
  }

  #refreshSoon(): void {
    this.#refreshing ??= setTimeout(() => {
      void this.options.refreshLeaders().finally(() => {
        this.#refreshing = undefined;
        this.wake();
      });
    }, REFRESH_MS);
  }
}
