import {
  Admin,
  type Connection,
  createAPI,
  alterPartitionReassignmentsV0,
  type Reader,
  Writer,
} from '@platformatic/kafka';

/** Who has a partition, by node ids. */
export interface PartitionState {
  readonly partition: number;
  /** -1 while it has none. */
  readonly leader: number;
  /** The leader too. */
  readonly inSync: readonly number[];
  /** The first one is the preferred leader. */
  readonly replicas: readonly number[];
}

const ELECT_LEADERS = { key: 43, version: 2 };
const PREFERRED = 0;
const TIMEOUT_MS = 10_000;

const electLeaders = createAPI<[topic: string, partitions: readonly number[]], undefined>(
  ELECT_LEADERS.key,
  ELECT_LEADERS.version,
  (topic: string, partitions: readonly number[]) =>
    Writer.create()
      .appendInt8(PREFERRED)
      .appendArray([topic], (writer, name) => {
        writer
          .appendString(name)
          .appendArray([...partitions], (each, partition) => each.appendInt32(partition), true, false);
      })
      .appendInt32(TIMEOUT_MS)
      .appendTaggedFields(),
  // what became of each partition shows in the metadata; one that could not move keeps its leader
  (_correlationId: number, _key: number, _version: number, reader: Reader) => {
    reader.skip(reader.remaining);
    return undefined;
  },
);

/** The partitions of a topic as one of these brokers knows them. Rejects while that broker does not answer. */
export async function partitionStates(brokers: readonly string[], topic: string): Promise<PartitionState[]> {
  return withConnection(brokers, async (admin) => {
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
    const partitions = metadata.topics.get(topic)?.partitions ?? [];
    return partitions.map(({ leader, isr, replicas }, partition) => ({ partition, leader, inSync: isr, replicas }));
  });
}

/**
 * Makes these nodes the preferred leaders of the partitions, by number, and elects them: what an operator's preferred
 * election does. A node that is not in sync is not elected. Nothing is copied: the replicas stay where they are.
 */
export async function moveLeaders(
  brokers: readonly string[],
  topic: string,
  leaders: ReadonlyMap<number, number>,
): Promise<void> {
  const states = await partitionStates(brokers, topic);
  const moved = states.filter(({ partition }) => leaders.has(partition));
  const partitions = moved.map(({ partition, replicas }) => {
    const first = leaders.get(partition) ?? -1;
    return { partitionIndex: partition, replicas: [first, ...replicas.filter((node) => node !== first)] };
  });
  await withConnection(brokers, async (_admin, connection) => {
    await alterPartitionReassignmentsV0.api.async(connection, TIMEOUT_MS, false, [{ name: topic, partitions }]);
    await electLeaders.async(
      connection,
      topic,
      moved.map(({ partition }) => partition),
    );
  });
}

async function withConnection<Result>(
  brokers: readonly string[],
  work: (admin: Admin, connection: Connection) => Promise<Result>,
): Promise<Result> {
  const admin = new Admin({
    clientId: 'millrace-testing',
    bootstrapBrokers: [...brokers],
    retries: 0,
    connectTimeout: 2_000,
    requestTimeout: TIMEOUT_MS,
    timeout: TIMEOUT_MS,
  });
  try {
    const metadata = await admin.metadata({ topics: [], forceUpdate: true });
    const connections = await admin.connectToBrokers([...metadata.brokers.keys()].slice(0, 1));
    const [connection] = connections.values();
    if (connection === undefined) {
      throw new Error('No broker of the cluster can be connected to.');
    }
    return await work(admin, connection);
  } finally {
    await admin.close();
  }
}
