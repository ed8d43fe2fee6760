import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { consoleConsume, createTopic, testKafkaBrokers, uniqueName } from '@millrace/testing';
import { Admin } from '@platformatic/kafka';
import { type SinkLane, type SinkPort, type SinkTopic } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { KAFKA_CLIENTS } from './kafka-config.js';

jest.setTimeout(300_000);

const KEYS = Array.from({ length: 40 }, (_, index) => `order-${index}`);
const ROUNDS = 50;

async function grow(topic: string, count: number): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [...testKafkaBrokers()], retries: 3 });
  try {
    await admin.createPartitions({ topics: [{ name: topic, count }] });
  } finally {
    await admin.close();
  }
}

interface Stored {
  readonly partition: number;
  readonly value: string | null;
}

/** A number that was sent again stands behind itself. */
function withoutRepeats(stored: readonly Stored[]): readonly Stored[] {
  return stored.filter(({ value, partition }, index) => {
    const before = stored[index - 1];
    return before?.value !== value || before.partition !== partition;
  });
}

/** A question of its own: it is another answer after a wait. */
function hasEnded({ aborted }: AbortSignal): boolean {
  return aborted;
}

/** Sends the next number of each key, on all lanes of a topic at once, until it is told to end or a lane is refused. */
class Load {
  readonly next = new Map(KEYS.map((key) => [key, 0]));
  rounds = 0;
  /** Sends that ended well although new lanes had been given. */
  lateSends = 0;
  #ending = new AbortController();
  #lanes: readonly Promise<void>[] = [];

  constructor(private readonly sink: SinkPort) {}

  /** Resolves when the first lane has ended. */
  async runOn(topic: SinkTopic): Promise<void> {
    this.#ending = new AbortController();
    this.#lanes = topic.lanes.map((lane) => this.#loop(topic, lane));
    await Promise.race(this.#lanes);
  }

  newLanesGiven(): void {
    this.#ending.abort();
  }

  async ended(): Promise<void> {
    await Promise.all(this.#lanes);
  }

  async #loop(topic: SinkTopic, lane: SinkLane): Promise<void> {
    const keys = KEYS.filter((key) => topic.laneOf(Buffer.from(key)) === lane);
    const { signal } = this.#ending;
    while (keys.length > 0 && !signal.aborted) {
      const records = keys.map((key) => ({
        key: Buffer.from(key),
        value: Buffer.from(String(this.next.get(key))),
        headers: [],
      }));
      const refusal = await this.sink.send(lane, records).then(
        () => undefined,
        (error: unknown) => (error instanceof SinkError ? error.code : String(error)),
      );
      if (refusal === 'partition_count_changed') {
        return;
      }
      if (refusal !== undefined) {
        // what a client says while the new partitions have no leader yet: the same records go again, as a route sends them
        await setImmediate();
        continue;
      }
      this.lateSends += Number(hasEnded(signal));
      this.rounds += 1;
      for (const key of keys) {
        this.next.set(key, (this.next.get(key) ?? 0) + 1);
      }
    }
  }
}

describe.each(KAFKA_CLIENTS)('a topic that grows under load, on %s', (client) => {
  let sink: SinkPort;

  afterEach(async () => {
    await sink.stop();
  });

  it('has all that a key had in its earlier partition before anything in its new one', async () => {
    const brokers = testKafkaBrokers();
    const name = uniqueName('grows');
    await createTopic({ brokers, topic: name, partitions: 3 });
    sink = createKafkaSink({
      client,
      connection: { brokers },
      topics: { create: false },
      metadataMaxAgeMs: 100,
    });
    const load = new Load(sink);
    const before = await sink.openTopic(name);
    const running = load.runOn(before);
    while (load.rounds < ROUNDS) {
      await setImmediate();
    }
    await grow(name, 7);
    await running;

    const after = await sink.openTopic(name);
    await setImmediate();
    load.newLanesGiven();
    await load.ended();
    expect(load.lateSends).toBe(0);
    const turn = new Map(load.next);
    const rounds = load.rounds;
    const again = load.runOn(after);
    while (load.rounds < rounds + ROUNDS) {
      await setImmediate();
    }
    load.newLanesGiven();
    await Promise.all([again, load.ended()]);

    expect(after.lanes).toHaveLength(7);
    const stored = await consoleConsume({ brokers, topic: name });
    for (const key of KEYS) {
      const of = (topic: SinkTopic): number => topic.laneOf(Buffer.from(key)).partition;
      const expected = Array.from({ length: load.next.get(key) ?? 0 }, (_, number) => ({
        partition: number < (turn.get(key) ?? 0) ? of(before) : of(after),
        value: String(number),
      }));
      const found = stored
        .filter((record) => record.key === key)
        .sort((one, other) => one.timestampMs - other.timestampMs || Number(one.value) - Number(other.value))
        .map(({ partition, value }) => ({ partition, value }));
      expect(withoutRepeats(found)).toEqual(expected);
    }
    expect(
      KEYS.some((key) => before.laneOf(Buffer.from(key)).partition !== after.laneOf(Buffer.from(key)).partition),
    ).toBe(true);
  });
});
