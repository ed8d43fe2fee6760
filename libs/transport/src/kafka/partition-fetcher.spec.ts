import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type DeliveredChunk } from '../subscription-port.js';
import { storedBatch, storedRecord } from '../testing/stored-batch.js';
import { type KafkaCluster } from './kafka-cluster.js';
import { PartitionFeed } from './partition-feed.js';
import { PartitionFetcher } from './partition-fetcher.js';
import { type FetchAnswer, type FetchedPartition, type FetchQuestion } from './wire/fetch-api.js';

/** A fetch that a broker has not answered yet. */
interface Asked {
  readonly address: string;
  /** `partition@offset`, in the order of the request. */
  readonly wanted: readonly string[];
  answer(...partitions: readonly FetchedPartition[]): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** Brokers whose answers a test gives. */
class ScriptedCluster implements Pick<KafkaCluster, 'ask' | 'addressOf'> {
  readonly asked: Asked[] = [];

  addressOf(node: number): string {
    return `broker-${node}`;
  }

  ask<Answer>(address: string, _api: unknown, question: unknown): Promise<Answer> {
    const { partitions } = question as FetchQuestion;
    return new Promise((resolve, reject) => {
      this.asked.push({
        address,
        wanted: partitions.map(({ partition, offset }) => `${partition}@${offset}`),
        answer: (...fetched) => {
          const answer: FetchAnswer = { errorCode: 0, partitions: fetched };
          resolve(answer as Answer);
          return settled();
        },
        fail: (error) => {
          reject(error);
          return settled();
        },
      });
    });
  }

  /** The newest fetch. */
  get last(): Asked {
    const last = this.asked.at(-1);
    if (last === undefined) {
      throw new Error('Nothing was asked.');
    }
    return last;
  }
}

/** Partitions of one topic whose receivers take a chunk and, where a test says so, no more for a while. */
class Scene {
  readonly cluster = new ScriptedCluster();
  readonly delivered: bigint[] = [];
  readonly failures: unknown[] = [];
  readonly interrupted: string[] = [];
  readonly feeds: readonly PartitionFeed[];
  readonly fetcher: PartitionFetcher;
  #gate: Promise<void> | undefined;

  constructor(partitions: number) {
    this.feeds = Array.from({ length: partitions }, (_, partition) => this.#feed(partition));
    this.fetcher = new PartitionFetcher(this.feeds, {
      cluster: this.cluster as unknown as KafkaCluster,
      decompress: (_codec, bytes) => bytes,
      bytesMax: 1_000_000,
      partitionBytesMax: 250_000,
      maxWaitMs: 10,
      requestTimeoutMs: 1_000,
      refreshLeaders: () => Promise.resolve(),
      onOutOfRange: (feed, first) => {
        feed.position = first;
      },
      onInterrupted: (feeds, error) => {
        this.interrupted.push(`${feeds.map(({ partition }) => partition).join()}: ${String(error)}`);
      },
      onFailure: (error) => this.failures.push(error),
    });
  }

  /** From now on receivers take no more until the result is called. */
  hold(): () => Promise<void> {
    let open = (): void => undefined;
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return () => {
      this.#gate = undefined;
      open();
      return settled();
    };
  }

  async lead(...leaders: readonly number[]): Promise<void> {
    this.fetcher.lead(new Map([['t', leaders]]));
    await settled();
  }

  #feed(partition: number): PartitionFeed {
    return new PartitionFeed({
      topic: 't',
      partition,
      committedOffset: 0n,
      listener: {
        open: () =>
          Promise.resolve({
            receive: async ({ deliveries }: DeliveredChunk) => {
              this.delivered.push(...deliveries.map(({ offset }) => offset));
              await this.#gate;
            },
            close: () => Promise.resolve(),
          }),
      },
      commit: () => undefined,
      onHungry: () => {
        this.fetcher.wake();
      },
      onUnreadable: (error) => {
        const feed = this.feeds[partition];
        if (feed !== undefined) {
          this.fetcher.pause(feed, error);
        }
      },
      onFailure: (error) => this.failures.push(error),
    });
  }
}

async function settled(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await new Promise(setImmediate);
  }
}

/** One batch of `count` records. */
async function fetched(partition: number, at: bigint, count: number): Promise<FetchedPartition> {
  const records = Array.from({ length: count }, () => storedRecord('v'));
  return {
    ...{ topic: 't', partition, errorCode: 0, aborted: [] },
    records: await storedBatch({ at: Number(at), records }),
  };
}

/** The same with a bit that has flipped. */
async function broken(partition: number, at: bigint): Promise<FetchedPartition> {
  const whole = await fetched(partition, at, 1);
  whole.records.writeUInt8(whole.records.readUInt8(70) ^ 1, 70);
  return whole;
}

describe('the fetcher of an assignment', () => {
  let scene: Scene;

  function begin(partitions: number): Promise<void> {
    scene = new Scene(partitions);
    return settled();
  }

  afterEach(() => {
    scene.fetcher.close();
  });

  it('loses nothing when a leader moves while a fetch is in flight and the receiver is busy', async () => {
    await begin(1);
    const { cluster } = scene;
    await scene.lead(1);
    const release = scene.hold();
    await cluster.last.answer(await fetched(0, 0n, 2));
    const old = cluster.last;
    expect([old.address, old.wanted]).toEqual(['broker-1', ['0@2']]);
    await scene.lead(2);
    await old.answer(await fetched(0, 2n, 2));
    await release();
    expect(cluster.last.address).toBe('broker-2');
    await cluster.last.answer(await fetched(0, 4n, 2));
    expect(scene.delivered).toEqual([0n, 1n, 2n, 3n, 4n, 5n]);
  });

  it('asks for a partition once at a time, and of its new leader as soon as the old one has failed', async () => {
    await begin(1);
    await scene.lead(1);
    await scene.lead(2);
    expect(scene.cluster.asked.map(({ address }) => address)).toEqual(['broker-1']);
    await scene.cluster.last.fail(new Error('gone'));
    await scene.lead(2);
    expect(scene.cluster.asked.map(({ address }) => address)).toEqual(['broker-1', 'broker-2']);
  });

  it('drops an answer to a question that is no longer asked', async () => {
    await begin(1);
    await scene.lead(1);
    const [feed] = scene.feeds;
    if (feed !== undefined) {
      feed.position = 7n;
    }
    await scene.cluster.last.answer(await fetched(0, 0n, 9));
    expect(scene.delivered).toEqual([]);
    expect(scene.cluster.last.wanted).toEqual(['0@7']);
  });

  it('begins the requests to each broker with each of its partitions in turn', async () => {
    await begin(4);
    await scene.lead(1, 1, 2, 2);
    for (let round = 0; round < 8; round += 1) {
      await scene.cluster.asked[round]?.answer();
    }
    const wanted = (broker: string): (readonly string[])[] =>
      scene.cluster.asked.filter(({ address }) => address === broker).map((asked) => asked.wanted);
    expect(wanted('broker-1').slice(0, 3)).toEqual([
      ['0@0', '1@0'],
      ['1@0', '0@0'],
      ['0@0', '1@0'],
    ]);
    expect(wanted('broker-2').slice(0, 3)).toEqual([
      ['2@0', '3@0'],
      ['3@0', '2@0'],
      ['2@0', '3@0'],
    ]);
  });

  describe('of records that cannot be read', () => {
    beforeEach(() => {
      jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    });

    afterEach(() => {
      jest.useRealTimers();
    });

    async function pass(ms: number): Promise<void> {
      jest.advanceTimersByTime(ms);
      await settled();
    }

    it('leaves their partition alone for longer each time, tells once where it is, and goes on with the others', async () => {
      await begin(2);
      const { cluster } = scene;
      await scene.lead(1, 1);
      await cluster.last.answer(await fetched(0, 0n, 2), await fetched(1, 0n, 1));
      expect(cluster.last.wanted).toEqual(['1@1', '0@2']);
      await cluster.last.answer(await broken(0, 2n), await fetched(1, 1n, 1));
      expect(cluster.last.wanted).toEqual(['1@2']);
      expect(scene.interrupted).toEqual([
        '0: UnreadableBatchError: The record batch of t/0 at offset 2 cannot be read: its checksum does not fit.',
      ]);
      for (const [tooShort, longEnough] of [
        [124, 250],
        [249, 500],
        [499, 1_000],
      ] as const) {
        await pass(tooShort);
        await cluster.last.answer();
        expect(cluster.last.wanted).toEqual(['1@2']);
        await pass(longEnough - tooShort);
        await cluster.last.answer();
        expect(cluster.last.wanted).toContain('0@2');
        await cluster.last.answer(await broken(0, 2n));
      }
      await pass(2_000);
      await cluster.last.answer();
      expect(scene.interrupted).toHaveLength(1);
      await cluster.last.answer(await fetched(0, 2n, 1));
      expect([scene.delivered, cluster.last.wanted.toSorted()]).toEqual([
        [0n, 1n, 0n, 1n, 2n],
        ['0@3', '1@2'],
      ]);
      await cluster.last.answer(await broken(0, 3n));
      expect(scene.interrupted).toHaveLength(2);
      expect(scene.failures).toEqual([]);
    });

    it('goes back to where they begin, and drops what was fetched or asked behind them', async () => {
      await begin(1);
      const { cluster } = scene;
      await scene.lead(1);
      const release = scene.hold();
      await cluster.last.answer(await fetched(0, 0n, 2));
      await cluster.last.answer(await broken(0, 2n));
      const behind = cluster.asked.length;
      await release();
      expect(cluster.asked.length).toBe(behind + 1);
      await cluster.last.answer(await fetched(0, 3n, 1));
      await pass(250);
      expect(cluster.last.wanted).toEqual(['0@2']);
      await cluster.last.answer(await fetched(0, 2n, 2));
      expect(scene.delivered).toEqual([0n, 1n, 2n, 3n]);
    });
  });
});
