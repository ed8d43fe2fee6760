import {
  type Delivery,
  type ReadTailsRequest,
  SinkError,
  type SinkFeatures,
  type SinkLane,
  type SinkPort,
  type SinkReceipt,
  type SinkRecord,
  type SinkTopic,
  type TailEnd,
  type TailStart,
} from '@millrace/transport';
import { type Network } from './network.js';
import { deliveryOf, type SimKafka } from './sim-kafka.js';
import { type SimProcess } from './sim-process.js';

const SEND_TIMEOUT_MS = 3_000;

/** Told of every send at the moment at which it is made, and of how it ended as the process was told. */
export interface SendWatch {
  sending(process: string, lane: SinkLane, records: readonly SinkRecord[]): void;
  ended(process: string, lane: SinkLane, outcome: 'stored' | 'refused' | 'unknown'): void;
}

/** What a process publishes with. */
export interface SimSinkParts {
  readonly process: SimProcess;
  readonly network: Network;
  readonly kafka: SimKafka;
  readonly watch: SendWatch;
}

/** The simulated Kafka, as one process sees it: an answer may be lost while the records were stored. */
export class SimSink implements SinkPort {
  readonly kind = 'simulated';
  readonly features: SinkFeatures = {
    isOrdered: true,
    isBatchAtomic: true,
    isDeduplicating: false,
    recordBytesMax: 1_000_000,
    batchRecordsMax: 1_000,
    batchBytesMax: 1_000_000,
  };

  constructor(private readonly parts: SimSinkParts) {}

  start(): Promise<void> {
    return this.ask(() => undefined);
  }

  openTopic(topic: string): Promise<SinkTopic> {
    const { kafka } = this.parts;
    return this.ask(() => {
      if (!kafka.isTopicThere) {
        throw new SinkError('topic_missing', 'The simulated topic is missing.');
      }
      const lanes = kafka.logs.map((_, partition) => ({ id: `${topic}/${partition}`, topic, partition }));
      return {
        name: topic,
        lanes,
        laneOf: (key) => {
          const lane = lanes[kafka.partitionOf(key)];
          if (lane === undefined) {
            throw new Error('a topic without lanes');
          }
          return lane;
        },
      };
    });
  }

  async send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    const { kafka, watch, process } = this.parts;
    watch.sending(process.name, lane, records);
    try {
      const baseOffset = await this.ask(() => {
        if (!kafka.isTopicThere) {
          throw new SinkError('topic_missing', 'The simulated topic is missing.');
        }
        if (records.length > kafka.batchRecordsMax) {
          throw new SinkError('record_too_large', 'The simulated broker takes smaller batches only.');
        }
        if (kafka.refuses(records)) {
          throw new SinkError('record_invalid', 'The simulated broker will not have it.');
        }
        return kafka.append(lane, records);
      }, lane);
      watch.ended(process.name, lane, 'stored');
      return { baseOffset };
    } catch (error) {
      watch.ended(
        process.name,
        lane,
        error instanceof SinkError && error.outcome === 'refused' ? 'refused' : 'unknown',
      );
      throw error;
    }
  }

  async readTails({ lanes, take, ended }: ReadTailsRequest): Promise<void> {
    const tails = await this.ask(() => lanes.map((lane) => this.tailOf(lane)));
    for (const { records, end } of tails) {
      take(records);
      ended(end);
    }
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  private tailOf({ topic, partition, from }: TailStart): { readonly records: Delivery[]; readonly end: TailEnd } {
    const { kafka } = this.parts;
    const lane = { topic, partition };
    if (!kafka.isTopicThere || kafka.silent.includes(partition)) {
      const error = kafka.isTopicThere
        ? new SinkError('timeout', 'The simulated partition did not answer.')
        : new SinkError('topic_missing', 'The simulated topic is missing.');
      return { records: [], end: { ...lane, kind: 'failed', error } };
    }
    const log = kafka.logs[partition] ?? [];
    const records = log
      .map((record, offset) => deliveryOf(record, { ...lane, offset: BigInt(offset) }))
      .filter(({ offset }) => from !== null && offset >= from.offset && offset < (from.to ?? BigInt(log.length)));
    const end = BigInt(log.length);
    return { records, end: { ...lane, kind: 'read', topicId: 'topic', end, records: records.length, unreadable: 0 } };
  }

  private ask<T>(serve: () => T, lane?: SinkLane): Promise<T> {
    const { process, network, kafka } = this.parts;
    return process.call({
      there: lane !== undefined && kafka.silent.includes(lane.partition) ? 'lost' : network.travel('kafka', 0),
      back: network.travel('kafka', 0),
      timeoutMs: SEND_TIMEOUT_MS,
      timeoutError: () => new SinkError('timeout', 'The simulated broker did not answer.'),
      serve: () => {
        if (!kafka.isUp) {
          throw new SinkError('unavailable', 'The simulated broker is down.');
        }
        return serve();
      },
    });
  }
}
