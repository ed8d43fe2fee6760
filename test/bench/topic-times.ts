import { Admin } from '@platformatic/kafka';

/** What the broker says of a topic: how many records it holds, and when it appended the first and the last. */
export interface TopicTimes {
  readonly records: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

const FIRST_SINCE_EVER = 0n;
const LATEST = -1n;
const EARLIEST = -2n;
const LARGEST_TIMESTAMP = -3n;

/** Asks for the append times of a topic whose `message.timestamp.type` is `LogAppendTime`. */
export async function topicTimes(brokers: readonly string[], topic: string, partitions: number): Promise<TopicTimes> {
  const admin = new Admin({ clientId: 'millrace-bench', bootstrapBrokers: [...brokers] });
  try {
    const listed = async (timestamp: bigint): Promise<readonly { offset: bigint; timestamp: bigint }[]> => {
      const asked = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp }));
      const [answer] = await admin.listOffsets({ topics: [{ name: topic, partitions: asked }] });
      return answer?.partitions ?? [];
    };
    const ends = await listed(LATEST);
    const starts = await listed(EARLIEST);
    const first = await listed(FIRST_SINCE_EVER);
    const last = await listed(LARGEST_TIMESTAMP);
    return {
      records: sum(ends) - sum(starts),
      firstMs: Math.min(...times(first)),
      lastMs: Math.max(...times(last)),
    };
  } finally {
    await admin.close();
  }
}

function sum(offsets: readonly { offset: bigint }[]): number {
  return Number(offsets.reduce((total, { offset }) => total + offset, 0n));
}

/** An empty partition has none. */
function times(offsets: readonly { timestamp: bigint }[]): number[] {
  return offsets.map(({ timestamp }) => Number(timestamp)).filter((timestamp) => timestamp >= 0);
}
