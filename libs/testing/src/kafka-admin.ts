import { setTimeout as sleep } from 'node:timers/promises';
import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka';
import { LocalServerError } from './testing.errors.js';

/** How a test's topic is made. */
export interface TestTopicOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** 1 when left out. */
  readonly partitions?: number | undefined;
  /** 1 when left out. */
  readonly replicas?: number | undefined;
  /** Topic settings, such as `max.message.bytes`. */
  readonly configs?: Readonly<Record<string, string>> | undefined;
}

/** The offsets that a partition holds: from `first` up to, without, `end`. */
export interface PartitionOffsets {
  readonly partition: number;
  readonly first: bigint;
  readonly end: bigint;
}

interface AdminLimits {
  readonly connectTimeout: number;
  readonly timeout: number;
}

const LATEST = -1n;
const EARLIEST = -2n;
const LEADER_WAIT_MS = 60_000;
/** Nobody waits so long but on a machine that is busy with other things. */
const PATIENT: AdminLimits = { connectTimeout: 20_000, timeout: 60_000 };
/** Somebody asks again and again. */
const QUICK: AdminLimits = { connectTimeout: 2_000, timeout: 10_000 };
const POLL_MS = 20;

/**
 * Creates a topic and waits until each of its partitions takes records: a leader that is named in the metadata may still
 * refuse them for some milliseconds, and a client's retry would then double those of the other partitions. Rejects when
 * the topic exists.
 */
export async function createTopic(options: TestTopicOptions): Promise<void> {
  const partitions = options.partitions ?? 1;
  await withAdmin(options.brokers, async (admin) => {
    await admin.createTopics({
      topics: [options.topic],
      partitions,
      replicas: options.replicas ?? 1,
      configs: Object.entries(options.configs ?? {}).map(([name, value]) => ({ name, value })),
    });
    await waitForLeaders(admin, options.topic, partitions);
  });
}

/** Changes settings of a topic, such as `max.message.bytes`; brokers may take a moment to go by them. */
export async function alterTopic({ brokers, topic, configs = {} }: TestTopicOptions): Promise<void> {
  const { SET } = IncrementalAlterConfigOperationTypes;
  const resource = {
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName: topic,
    configs: Object.entries(configs).map(([name, value]) => ({ name, value, configOperation: SET })),
  };
  await withAdmin(brokers, async (admin) => admin.incrementalAlterConfigs({ resources: [resource] }));
}

/** Deletes a topic with its records. */
export async function deleteTopic(brokers: readonly string[], topic: string): Promise<void> {
  await withAdmin(brokers, async (admin) => admin.deleteTopics({ topics: [topic] }));
}

/** The names of all topics but Kafka's own. */
export async function listTopics(brokers: readonly string[]): Promise<string[]> {
  return withAdmin(brokers, async (admin) => admin.listTopics());
}

/** First and end offset of each partition of a topic, by partition; rejects when the topic does not exist. */
export async function topicOffsets(brokers: readonly string[], topic: string): Promise<PartitionOffsets[]> {
  return withAdmin(brokers, async (admin) => {
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
    const partitions = Array.from({ length: metadata.topics.get(topic)?.partitionsCount ?? 0 }, (_, index) => index);
    const first = await offsetsAt(admin, topic, partitions, EARLIEST);
    const end = await offsetsAt(admin, topic, partitions, LATEST);
    return partitions.map((partition) => ({
      partition,
      first: first.get(partition) ?? 0n,
      end: end.get(partition) ?? 0n,
    }));
  });
}

/** Whether this broker answers a metadata request with at least one broker of the cluster able to serve. */
export async function answersMetadata(broker: string): Promise<boolean> {
  try {
    return await withAdmin(
      [broker],
      async (admin) => {
        const metadata = await admin.metadata({ topics: [], forceUpdate: true });
        return metadata.brokers.size > 0;
      },
      QUICK,
    );
  } catch {
    return false; // it is still starting; the caller has a deadline and the log
  }
}

async function offsetsAt(
  admin: Admin,
  topic: string,
  partitions: readonly number[],
  timestamp: bigint,
): Promise<Map<number, bigint>> {
  const asked = partitions.map((partitionIndex) => ({ partitionIndex, timestamp }));
  const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions: asked }] });
  return new Map(listed?.partitions.map((partition) => [partition.partitionIndex, partition.offset]));
}

async function waitForLeaders(admin: Admin, topic: string, partitions: number): Promise<void> {
  const deadline = performance.now() + LEADER_WAIT_MS;
  while (performance.now() < deadline) {
    if (await hasLeaders(admin, topic, partitions)) {
      return;
    }
    await sleep(POLL_MS);
  }
  throw new LocalServerError('server_failed', `Topic ${topic} did not get its leaders within ${LEADER_WAIT_MS} ms.`);
}

async function hasLeaders(admin: Admin, topic: string, partitions: number): Promise<boolean> {
  try {
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
    const known = metadata.topics.get(topic)?.partitions ?? [];
    if (known.length !== partitions || known.some((partition) => partition.leader < 0)) {
      return false;
    }
    const answers = await offsetsAt(admin, topic, [...known.keys()], LATEST);
    return answers.size === partitions;
  } catch {
    return false; // a broker does not know the topic or its own part in it yet; the caller has a deadline
  }
}

async function withAdmin<Result>(
  brokers: readonly string[],
  work: (admin: Admin) => Promise<Result>,
  limits = PATIENT,
): Promise<Result> {
  const admin = new Admin({
    clientId: 'millrace-testing',
    bootstrapBrokers: [...brokers],
    retries: 0,
    ...limits,
  });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}
