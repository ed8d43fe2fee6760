import { createTopic, deleteTopic } from '@millrace/testing';
import { processCpuMs } from '../../harness/process-usage.js';
import { type KafkaClient } from '../../harness/relay-process.js';
import { type Servers } from '../../harness/servers.js';
import { startBenchServers } from '../bench-servers.js';
import { producerPerformanceOn } from '../producer-performance.js';
import { topicTimes } from '../topic-times.js';
import { type DrainPlace, type DrainSink, type DrainVariant } from './drain-sink.js';

/** Which relays drain into Kafka. */
export interface KafkaDrainOptions {
  readonly clients: readonly KafkaClient[];
  /** With each of these, on the client that can. */
  readonly idempotent: readonly boolean[];
}

interface KafkaVariant {
  readonly client: KafkaClient;
  readonly idempotent: boolean;
}

const PARTITIONS = 6;
const TOPIC_SETTINGS = { 'message.timestamp.type': 'LogAppendTime' };

/** A broker; a place is a topic. The ceiling is Kafka's own ProducerPerformance. */
export async function startKafkaDrain(options: KafkaDrainOptions): Promise<DrainSink> {
  const servers = await startBenchServers();
  return {
    folder: servers.folder,
    source: servers.postgres,
    title: `Kafka, ${PARTITIONS} partitions, acks=all`,
    variants: variantsOf(options).map((variant) => kafkaVariant(servers, variant)),
    stop: (logs) => servers.stop(logs),
  };
}

function variantsOf({ clients, idempotent }: KafkaDrainOptions): readonly KafkaVariant[] {
  return clients.flatMap((client): readonly KafkaVariant[] =>
    client === 'kafkajs' ? [{ client, idempotent: false }] : idempotent.map((on) => ({ client, idempotent: on })),
  );
}

function kafkaVariant(servers: Servers, { client, idempotent }: KafkaVariant): DrainVariant {
  return {
    name: idempotent ? `${client}, idempotent` : client,
    ceiling: "Kafka's ProducerPerformance",
    open: async (name, { events, payloadBytes }): Promise<DrainPlace> => {
      const { brokers, pid } = servers.kafka;
      // before the drain, which then meets a broker whose code is compiled
      const eventsPerSecond = await producerPerformanceOn(servers, events, payloadBytes);
      const topic = `${name}.order`;
      await createTopic({ brokers, topic, partitions: PARTITIONS, configs: TOPIC_SETTINGS });
      return {
        relay: { brokers, client, sink: { idempotent } },
        topic: `${name}.{aggregatetype}`,
        cpuMs: () => processCpuMs(pid),
        rate: async () => {
          const { records, firstMs, lastMs } = await topicTimes(brokers, topic, PARTITIONS);
          if (records !== events) {
            throw new Error(`The topic holds ${records} records instead of ${events}.`);
          }
          return records / ((lastMs - firstMs) / 1_000);
        },
        ceiling: () => Promise.resolve({ eventsPerSecond, cpu: null }),
        remove: () => deleteTopic(brokers, topic),
      };
    },
  };
}
