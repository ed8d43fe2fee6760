import { createTopic, type LocalKafkaCluster, type SinkSubject, type SlowDown, uniqueName } from '@millrace/testing';
import { createKafkaSink, type KafkaClientName, type SinkPort } from '@millrace/transport';
import { LIMITS, PATIENCE_MS } from './limits.js';
import { readBackAll } from './read-back.js';
import { tcpFaults } from './tcp-faults.js';

const PARTITIONS = 6;
const SMALL_TOPIC_BYTES = 20_000;

/** Sinks for a cluster, by way of the proxies of its nodes; with replicas on three of them where there are as many. */
export function kafkaSubject(cluster: LocalKafkaCluster, client: KafkaClientName): SinkSubject {
  const replication = Math.min(3, cluster.nodes.length);
  const sinkAt = (brokers: readonly string[]): SinkPort =>
    createKafkaSink({
      client,
      connection: { brokers },
      topics: { create: true, partitions: PARTITIONS, replication },
      ...LIMITS,
    });
  const makeTopic = async (configs: Readonly<Record<string, string>>): Promise<string> => {
    const topic = uniqueName('conformance');
    const brokers = cluster.directBrokers;
    const minInSync = replication > 1 ? { 'min.insync.replicas': '2' } : {};
    const settings = { ...minInSync, ...configs };
    await createTopic({ brokers, topic, partitions: PARTITIONS, replicas: replication, configs: settings });
    return topic;
  };
  return {
    name: `Kafka, ${client}, ${cluster.nodes.length === 1 ? 'one node' : `${cluster.nodes.length} nodes`}`,
    patienceMs: PATIENCE_MS,
    create: () => sinkAt(cluster.brokers),
    makeTopic: () => makeTopic({}),
    makePoisonedTopic: async () => ({
      topic: await makeTopic({ 'max.message.bytes': String(SMALL_TOPIC_BYTES) }),
      value: Buffer.alloc(2 * SMALL_TOPIC_BYTES, 'p'),
    }),
    readAll: (topic) => readBackAll(sinkAt(cluster.directBrokers), topic),
    faults: tcpFaults(cluster.nodes.map(({ proxy }) => proxy)),
    limits: { 'no repeats': 'of the very same batch by the same sink' },
    slowDown: cluster.nodes.length === 1 ? 'the partitions of a broker share one connection' : silenceLeader(cluster),
  };
}

/** The broker that leads a partition is silent: so are the other partitions that it leads. */
function silenceLeader(cluster: LocalKafkaCluster): SlowDown {
  return async ({ topic, partition }) => {
    const states = await cluster.partitions(topic);
    const leader = states.find((state) => state.partition === partition)?.leader;
    if (leader === undefined) {
      throw new Error(`Partition ${partition} of ${topic} has no leader.`);
    }
    const { proxy } = cluster.node(leader);
    proxy.set({ kind: 'blackhole' });
    const ids = states.filter((state) => state.leader === leader).map((state) => `${topic}/${state.partition}`);
    return {
      ids: new Set(ids),
      release: () => {
        proxy.heal();
        return Promise.resolve();
      },
    };
  };
}
