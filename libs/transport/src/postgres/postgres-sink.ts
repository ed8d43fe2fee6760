import { assertBatch } from '../batch-limits.js';
import { LaneEnds, type TellLoss } from '../lane-ends.js';
import { assertTopicName, PartitionedTopic } from '../partitioned-topic.js';
import { SinkLife } from '../sink-life.js';
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
import { OldRecords } from './old-records.js';
import { type PostgresSinkOptions } from './postgres-config.js';
import { readDeliveriesBack, readDeliveryTails } from './read-back.js';
import { stampedBatch } from './stamped-batch.js';

const BATCH_RECORDS_MAX = 1_000;

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
  readonly #topics = new Map<string, SinkTopic>();
  readonly #ends = new LaneEnds(wasSetBack);
  readonly #partitions: number;
  readonly #life: SinkLife;

  constructor(options: PostgresSinkOptions) {
    const { partitions = 6, connectionsMax = 4, sendDeadlineMs = 30_000, drainMs = 10_000 } = options;
    const { recordBytesMax = 8 * 1_024 * 1_024 } = options;
    assertWithin('partitions', partitions, 1, 1_000);
    assertWithin('connectionsMax', connectionsMax, 1, 64);
    this.#partitions = partitions;
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
    this.#life = new SinkLife({
      name: 'Postgres',
      opensItself: false,
      drainMs,
      open: async () => {
        await this.#database.rows('select 1', []);
        this.#oldRecords.start();
      },
      close: () => this.#close(),
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  async openTopic(name: string): Promise<SinkTopic> {
    assertTopicName(name);
    this.#life.assertOpen();
    const [row] = await this.#database.rows(OPEN_TOPIC_SQL, [name, this.#partitions], 'millrace_open_topic');
    const topic = new PartitionedTopic(name, Number(textOf(row, 'partitions')));
    this.#topics.set(name, topic);
    this.#ends.forgive(topic);
    return topic;
  }

  /** Besides `SinkError`, a plain `Error` for a caller's mistake: a lane in flight already, an unknown lane, no records. */
  send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    return this.#life.send(lane, records, this.#send);
  }

  readBack(request: ReadBackRequest, take: (records: readonly Delivery[]) => Promise<void>): Promise<ReadBackResult> {
    return readDeliveriesBack(this.#database, request, take);
  }

  readTails(request: ReadTailsRequest): Promise<void> {
    return readDeliveryTails(this.#database, request);
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  readonly #send = async (lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> => {
    this.#life.assertOpen();
    if (!this.#topics.has(lane.topic)) {
      throw new Error(`Lane ${lane.id} belongs to no topic that was opened: take lanes from openTopic().`);
    }
    assertBatch(lane.id, records, this.features, 'recordBytesMax');
    return this.#deliver(lane, records);
  };

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

  async #close(): Promise<void> {
    await this.#oldRecords.stop();
    await this.#database.close();
    this.#topics.clear();
    this.#ends.clear();
  }
}

const wasSetBack: TellLoss = ({ laneId, end, known }) =>
  `The log of ${laneId} ends at ${end} and had ended at ${known}: the database was set back (a standby promoted, a ` +
  'backup restored) or the topic was made again, so acknowledged events are gone. Find out which, deliver them again, ' +
  'then resume the route.';

function assertWithin(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new SinkError('configuration', `${name} is ${value} and must be a whole number from ${least} to ${most}.`);
  }
}
