import { recordBytes } from '../kafka/batch-limits.js';
import { within } from '../deadline.js';
import { partitionOfKey } from '../murmur2.js';
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
import { assertPostgresUrl, DeliveryDatabase } from './delivery-database.js';
import { bigintOf, textOf } from './delivery-rows.js';
import { DELIVER_SQL, OPEN_TOPIC_SQL } from './delivery.sql.js';
import { LaneEnds } from './lane-ends.js';
import { OldRecords } from './old-records.js';
import { type PostgresSinkOptions } from './postgres-config.js';
import { readDeliveriesBack, readDeliveryTails } from './read-back.js';
import { stampedBatch } from './stamped-batch.js';

const BATCH_RECORDS_MAX = 1_000;
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/;

/**
 * A sink that writes into the database of a consumer, where `createPostgresSubscription` reads; nothing is opened before
 * `start`. Topics, partitions, offsets and the partition of a key are as in Kafka.
 *
 * Delivery: **exactly once** for records with the headers of a relay. The database remembers, in the transaction that
 * takes a batch, which positions of a route it has, and whose epoch was the last: what comes again is confirmed and not
 * stored, whoever sends it and whenever it arrives, and a relay that has lost the route to another one is refused
 * (`fenced`). Records with `millrace-replay`, and those without a relay's headers, are stored as often as they come.
 * Order: that of the sends of a lane. Failure: `SinkPort`. Old records are removed while the sink is started.
 */
export function createPostgresSink(options: PostgresSinkOptions): SinkPort {
  assertPostgresUrl(options.databaseUrl);
  return new PostgresSink(options);
}

class PostgresSink implements SinkPort {
  readonly kind = 'postgres';
  readonly features: SinkFeatures;
  readonly #database: DeliveryDatabase;
  readonly #oldRecords: OldRecords;
  readonly #inFlight = new Map<string, Promise<unknown>>();
  readonly #topics = new Map<string, SinkTopic>();
  readonly #ends = new LaneEnds();
  readonly #partitions: number;
  readonly #drainMs: number;
  #isStarted = false;
  #stopping: Promise<void> | undefined;

  constructor(options: PostgresSinkOptions) {
    const { partitions = 6, connectionsMax = 4, sendDeadlineMs = 30_000, drainMs = 10_000 } = options;
    const { recordBytesMax = 8 * 1_024 * 1_024 } = options;
    assertWithin('partitions', partitions, 1, 1_000);
    assertWithin('connectionsMax', connectionsMax, 1, 64);
    this.#partitions = partitions;
    this.#drainMs = drainMs;
    this.features = {
      isOrdered: true,
      isBatchAtomic: true,
      isDeduplicating: true,
      recordBytesMax,
      batchRecordsMax: BATCH_RECORDS_MAX,
      batchBytesMax: recordBytesMax,
    };
    this.#database = new DeliveryDatabase({
      databaseUrl: options.databaseUrl,
      applicationName: 'millrace sink',
      connectionsMax,
      statementMs: sendDeadlineMs,
    });
    this.#oldRecords = new OldRecords(this.#database, {
      keepMs: options.keepMs ?? 604_800_000,
      keepReadMs: options.keepReadMs ?? 3_600_000,
      intervalMs: options.removeIntervalMs ?? 5_000,
    });
  }

  async start(): Promise<void> {
    await this.#stopping;
    if (!this.#isStarted) {
      await this.#database.rows('select 1', []);
      this.#isStarted = true;
      this.#oldRecords.start();
    }
  }

  async openTopic(name: string): Promise<SinkTopic> {
    if (!TOPIC_NAME.test(name)) {
      throw new SinkError(
        'configuration',
        `"${name.slice(0, 260)}" is no legal topic name: use 1 to 249 letters, digits, dots, underscores and hyphens.`,
      );
    }
    this.#assertStarted();
    const [row] = await this.#database.rows(OPEN_TOPIC_SQL, [name, this.#partitions], 'millrace_open_topic');
    const topic = topicOf(name, Number(textOf(row, 'partitions')));
    this.#topics.set(name, topic);
    this.#ends.forgive(topic);
    return topic;
  }

  /** Besides `SinkError`, a plain `Error` for a caller's mistake: a lane in flight already, an unknown lane, no records. */
  async send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    if (this.#inFlight.has(lane.id)) {
      throw new Error(`Lane ${lane.id} has a send in flight: wait for it before the next one.`);
    }
    if (records.length === 0) {
      throw new Error(`A send on lane ${lane.id} needs at least one record.`);
    }
    this.#assertStarted();
    if (!this.#topics.has(lane.topic)) {
      throw new Error(`Lane ${lane.id} belongs to no topic that was opened: take lanes from openTopic().`);
    }
    this.#assertSize(lane.id, records);
    const sending = this.#deliver(lane, records);
    this.#inFlight.set(lane.id, sending);
    try {
      return await sending;
    } finally {
      this.#inFlight.delete(lane.id);
    }
  }

  readBack(request: ReadBackRequest, take: (records: readonly Delivery[]) => Promise<void>): Promise<ReadBackResult> {
    return readDeliveriesBack(this.#database, request, take);
  }

  readTails(request: ReadTailsRequest): Promise<void> {
    return readDeliveryTails(this.#database, request);
  }

  stop(): Promise<void> {
    this.#isStarted = false;
    this.#stopping ??= this.#drainAndClose().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  /** Of a batch that was there already, or in part, the receipt is as if it stood at the end: what comes after it does. */
  async #deliver(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    const { topic, partition, id } = lane;
    const { stream, positions, kinds, starts, bytes } = stampedBatch(id, records);
    const { source = null, route = null, epoch = null, low = null } = stream ?? {};
    const values = [topic, partition, source, route, epoch, low, positions, kinds, starts, bytes];
    const [row] = await this.#database.rows(DELIVER_SQL, values, 'millrace_deliver');
    switch (textOf(row, 'verdict')) {
      case 'taken': {
        const before = bigintOf(row, 'base_offset');
        const after = before + bigintOf(row, 'stored');
        this.#ends.accept(lane, before, after);
        return { baseOffset: after - BigInt(records.length) };
      }
      case 'fenced':
        throw new SinkError(
          'fenced',
          `A relay with a later epoch has delivered events of route ${route ?? ''} to ${id}: this one has lost the route.`,
        );
      default:
        this.#ends.forget(this.#topics.get(topic));
        throw new SinkError(
          'topic_deleted',
          `Topic ${topic} was there when it was opened and has been removed since, with the events in it that were ` +
            'acknowledged. Replay those that consumers still need, then resume the route.',
        );
    }
  }

  #assertSize(laneId: string, records: readonly SinkRecord[]): void {
    const { recordBytesMax, batchBytesMax, batchRecordsMax } = this.features;
    let total = 0;
    for (const record of records) {
      const bytes = recordBytes(record);
      total += bytes;
      if (bytes > recordBytesMax) {
        const limit = `A record for ${laneId} takes ${bytes} bytes, and at most ${recordBytesMax} fit`;
        throw new SinkError('record_too_large', `${limit}: raise recordBytesMax, or make the event smaller.`);
      }
    }
    if (total > batchBytesMax || records.length > batchRecordsMax) {
      const batch = `A batch of ${records.length} records and ${total} bytes for ${laneId}`;
      throw new SinkError('record_too_large', `${batch} is over the limits of the sink: send smaller batches.`);
    }
  }

  #assertStarted(): void {
    if (!this.#isStarted) {
      throw new SinkError('unavailable', 'The Postgres sink is not started: start it before sending.');
    }
  }

  async #drainAndClose(): Promise<void> {
    await this.#oldRecords.stop();
    await within(this.#drainMs, Promise.allSettled(this.#inFlight.values()), () => undefined);
    await this.#database.close();
    this.#topics.clear();
    this.#ends.clear();
  }
}

function topicOf(name: string, partitions: number): SinkTopic {
  const lanes = Array.from({ length: partitions }, (_, partition) => ({
    id: `${name}/${partition}`,
    topic: name,
    partition,
  }));
  return {
    name,
    lanes,
    laneOf: (key) => {
      const lane = lanes[partitionOfKey(key, lanes.length)];
      if (lane === undefined) {
        throw new Error(`Topic ${name} has no partitions.`);
      }
      return lane;
    },
  };
}

function assertWithin(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new SinkError('configuration', `${name} is ${value} and must be a whole number from ${least} to ${most}.`);
  }
}
