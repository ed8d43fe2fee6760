import { type SubscriptionEvent } from '../kafka/subscription-events.js';
import { within } from '../deadline.js';
import { type SubscriptionListener } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { type DeliveryDatabase, type DeliveryRow } from './delivery-database.js';
import { bigintOf, bigintOrNull, deliveryOf, numberOf, textOf } from './delivery-rows.js';
import { READ_SQL } from './delivery.sql.js';
import { PlaceFeed } from './place-feed.js';
import { BEAT_SQL, CLAIM_SQL, COMMIT_SQL, GIVE_BACK_SQL, LEAVE_SQL, TOPIC_PARTITIONS_SQL } from './place.sql.js';
import { Wakeable } from './wakeable.js';

/** Times in milliseconds, sizes in bytes. */
export interface MemberLimits {
  readonly leaseMs: number;
  readonly beatMs: number;
  readonly pollMs: number;
  readonly commitIntervalMs: number;
  readonly drainMs: number;
  readonly chunkRecordsMax: number;
  readonly chunkBytesMax: number;
}

/** What a session is made of. */
export interface MemberSessionParts {
  readonly database: Pick<DeliveryDatabase, 'rows'>;
  readonly consumer: string;
  /** A UUID: every session is a member of its own. */
  readonly memberId: string;
  readonly topics: readonly string[];
  readonly limits: MemberLimits;
  readonly listener: SubscriptionListener;
  readonly onEvent: (event: SubscriptionEvent) => void;
  /** After each sign of life. */
  readonly onStanding: (standing: { readonly partitions: number; readonly missingTopics: readonly string[] }) => void;
}

interface KnownPartition {
  readonly partitionId: number;
  readonly topic: string;
  readonly partition: number;
}

const POLL_FIRST_MS = 4;

/**
 * One life of a member: gives signs of life, takes its share of the partitions, reads what they have, writes how far its
 * receivers are. Partitions are dealt in turn to the members in the order of their names, so all come to the same deal;
 * one that is another's now is closed first and then given back, and is nobody's in between. All of it happens one after
 * the other on one connection; only receivers work beside it.
 */
export class MemberSession {
  readonly #feeds = new Map<number, PlaceFeed>();
  /** Closed, or given up: to be given back. */
  readonly #drained = new Set<PlaceFeed>();
  readonly #bell = new Wakeable();
  #missing: readonly string[] = [];
  #isStopping = false;
  #failure: { readonly error: unknown } | null = null;
  #aliveAtMs = 0;
  #beatAtMs = 0;
  #commitAtMs = 0;
  #pauseMs = POLL_FIRST_MS;

  constructor(private readonly parts: MemberSessionParts) {}

  /** Resolves after `stop`; rejects with why the session is of no use any more. In both cases all is closed then. */
  async run(): Promise<void> {
    this.#aliveAtMs = performance.now();
    try {
      while (!this.#isStopping) {
        this.#assertWell();
        await this.#beatIfDue();
        await this.#commitIfDue();
        const hasRead = await this.#read();
        this.#pauseMs = hasRead ? POLL_FIRST_MS : Math.min(this.#pauseMs * 2, this.parts.limits.pollMs);
        if (!hasRead) {
          await this.#bell.wait(this.#pauseMs);
        }
      }
    } finally {
      await this.#leave();
    }
  }

  /** Ends the session after what it is doing. */
  stop(): void {
    this.#isStopping = true;
    this.#bell.ring();
  }

  #assertWell(): void {
    if (this.#failure !== null) {
      throw this.#failure.error;
    }
    if (performance.now() - this.#aliveAtMs > this.parts.limits.leaseMs) {
      throw new SinkError(
        'timeout',
        'This member could give no sign of life in time: another one may have its partitions.',
      );
    }
  }

  async #beatIfDue(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs < this.#beatAtMs) {
      return;
    }
    this.#beatAtMs = nowMs + this.parts.limits.beatMs;
    const { database, consumer, memberId, topics, limits } = this.parts;
    const rows = await database.rows(BEAT_SQL, [consumer, memberId, limits.leaseMs, topics], 'millrace_beat');
    const members = rows.map((row) => textOf(row, 'member')).sort();
    const known = (await database.rows(TOPIC_PARTITIONS_SQL, [topics], 'millrace_partitions')).map(partitionOf);
    const share = known.filter((_, index) => members[index % members.length] === memberId);
    await this.#takeShare(share);
    this.#aliveAtMs = nowMs;
    const missingTopics = topics.filter((topic) => !known.some((partition) => partition.topic === topic));
    this.parts.onStanding({ partitions: this.#feeds.size, missingTopics });
    this.#tellTopics(missingTopics);
  }

  async #takeShare(share: readonly KnownPartition[]): Promise<void> {
    const { database, consumer, memberId, limits } = this.parts;
    const wanted = new Set(share.map(({ partitionId }) => partitionId));
    this.#closeAll([...this.#feeds.values()].filter(({ place }) => !wanted.has(place.partitionId)));
    await this.#giveBackClosed();
    const ids = [...new Set([...wanted, ...this.#feeds.keys()])];
    const rows = await database.rows(CLAIM_SQL, [consumer, memberId, limits.leaseMs, ids], 'millrace_claim');
    const claimed = new Map(rows.map((row) => [numberOf(row, 'partition_id'), row]));
    this.#closeAll([...this.#feeds.values()].filter(({ place }) => !claimed.has(place.partitionId)));
    const opened = share.filter(({ partitionId }) => claimed.has(partitionId) && !this.#feeds.has(partitionId));
    for (const partition of opened) {
      this.#open(partition, bigintOrNull(claimed.get(partition.partitionId), 'next_offset'));
    }
    if (opened.length > 0) {
      this.parts.onEvent({ kind: 'assigned', partitions: opened.map(placeOf) });
    }
  }

  #open({ partitionId, topic, partition }: KnownPartition, committedOffset: bigint | null): void {
    const place = { partitionId, topic, partition, committedOffset };
    const feed = new PlaceFeed(place, this.parts.listener, {
      changed: () => {
        this.#bell.ring();
      },
      failed: (error) => {
        this.#failure ??= { error };
        this.#bell.ring();
      },
    });
    this.#feeds.set(partitionId, feed);
  }

  /** Begins it; they are given back when they are closed, or when that takes too long. */
  #closeAll(feeds: readonly PlaceFeed[]): void {
    for (const feed of feeds) {
      if (!feed.isClosing) {
        void within(this.parts.limits.drainMs, feed.close(), () => undefined).then(() => {
          this.#drained.add(feed);
          this.#beatAtMs = 0;
          this.#bell.ring();
        });
      }
    }
  }

  async #giveBackClosed(): Promise<void> {
    if (this.#drained.size === 0) {
      return;
    }
    const feeds = [...this.#drained];
    this.#drained.clear();
    await this.#commit();
    const { database, consumer, memberId } = this.parts;
    const ids = feeds.map(({ place }) => place.partitionId);
    await database.rows(GIVE_BACK_SQL, [consumer, memberId, ids]);
    for (const id of ids) {
      this.#feeds.delete(id);
    }
    for (const isDrained of [true, false]) {
      const partitions = feeds.filter(({ isClosed }) => isClosed === isDrained).map(({ place }) => placeOf(place));
      if (partitions.length > 0) {
        this.parts.onEvent({ kind: 'revoked', partitions, isDrained });
      }
    }
  }

  async #commitIfDue(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs >= this.#commitAtMs) {
      this.#commitAtMs = nowMs + this.parts.limits.commitIntervalMs;
      await this.#commit();
    }
  }

  async #commit(): Promise<void> {
    const { database, consumer, memberId, onEvent } = this.parts;
    const changed = [...this.#feeds.values()].flatMap((feed) => {
      const offset = feed.uncommitted;
      return offset === null ? [] : [{ feed, offset }];
    });
    if (changed.length === 0) {
      return;
    }
    const ids = changed.map(({ feed }) => feed.place.partitionId);
    const offsets = changed.map(({ offset }) => String(offset));
    const rows = await database.rows(COMMIT_SQL, [consumer, memberId, ids, offsets], 'millrace_commit');
    for (const { feed, offset } of changed) {
      feed.written(offset);
    }
    if (rows.length < changed.length) {
      const reason = 'Another member has the partition.';
      onEvent({ kind: 'commit_failed', reason, partitions: changed.length - rows.length });
    }
  }

  /** True when there may be more at once. */
  async #read(): Promise<boolean> {
    const hungry = [...this.#feeds.values()].filter(({ isHungry }) => isHungry);
    if (hungry.length === 0) {
      return false;
    }
    const { database, limits } = this.parts;
    const ids = hungry.map(({ place }) => place.partitionId);
    const offsets = hungry.map(({ next }) => String(next));
    const values = [ids, offsets, limits.chunkRecordsMax, limits.chunkBytesMax];
    const rows = await database.rows(READ_SQL, values, 'millrace_read');
    let hasRead = false;
    for (const feed of hungry) {
      // while the statement ran it may have been told to close
      const own = rows.filter((row) => numberOf(row, 'partition_id') === feed.place.partitionId);
      hasRead = (feed.isHungry && this.#feed(feed, own)) || hasRead;
    }
    return hasRead;
  }

  #feed(feed: PlaceFeed, rows: readonly DeliveryRow[]): boolean {
    const [first] = rows;
    if (first === undefined) {
      return false;
    }
    this.#stayWithin(feed, bigintOf(first, 'first_offset'), bigintOf(first, 'next_offset'));
    const deliveries = rows.flatMap((row) => deliveryOf(row, feed.place) ?? []);
    const last = deliveries.at(-1);
    if (last === undefined) {
      return false;
    }
    const bytes = deliveries.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0);
    feed.take({ deliveries, firstOffset: feed.next, nextOffset: last.offset + 1n, bytes });
    return true;
  }

  /** Records may have been removed, or the database set back: then it goes on at the earliest there is. */
  #stayWithin(feed: PlaceFeed, first: bigint, end: bigint): void {
    const expected = feed.next;
    if (expected >= first && expected <= end) {
      return;
    }
    feed.moveTo(first);
    if (feed.place.committedOffset !== null || expected > end) {
      const { topic, partition } = feed.place;
      this.parts.onEvent({ kind: 'out_of_range', topic, partition, expected, first });
    }
  }

  #tellTopics(missing: readonly string[]): void {
    for (const topic of missing.filter((one) => !this.#missing.includes(one))) {
      this.parts.onEvent({ kind: 'topic_missing', topic });
    }
    for (const topic of this.#missing.filter((one) => !missing.includes(one))) {
      this.parts.onEvent({ kind: 'topic_appeared', topic });
    }
    this.#missing = missing;
  }

  /** Bounded: what cannot be written is written by nobody, and comes again. */
  async #leave(): Promise<void> {
    const feeds = [...this.#feeds.values()];
    const { database, consumer, memberId, limits, onEvent } = this.parts;
    await within(limits.drainMs, Promise.all(feeds.map((feed) => feed.close())), () => undefined);
    try {
      await this.#commit();
      await database.rows(LEAVE_SQL, [consumer, memberId]);
    } catch (error) {
      if (this.#isStopping) {
        const reason = error instanceof SinkError ? error.message : 'The database did not take them.';
        onEvent({ kind: 'commit_failed', reason, partitions: feeds.length });
      }
    }
    if (feeds.length > 0) {
      const isDrained = feeds.every(({ isClosed }) => isClosed);
      onEvent({ kind: 'revoked', partitions: feeds.map(({ place }) => placeOf(place)), isDrained });
    }
    this.#feeds.clear();
  }
}

function partitionOf(row: DeliveryRow): KnownPartition {
  return {
    partitionId: numberOf(row, 'partition_id'),
    topic: textOf(row, 'topic'),
    partition: numberOf(row, 'partition'),
  };
}

function placeOf({ topic, partition }: KnownPartition): Pick<KnownPartition, 'topic' | 'partition'> {
  return { topic, partition };
}
