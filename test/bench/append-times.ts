import { Consumer, stringDeserializers } from '@platformatic/kafka';

/** Which records are read. */
export interface AppendTimesOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** The topic holds so many records. */
  readonly records: number;
}

const FETCH = { minBytes: 1, maxBytes: 8 * 1024 * 1024, maxWaitTime: 100 };

/**
 * When the broker appended each record (ms since 1970), by the number in its header `aggregateversion`. Rejects on a
 * number that comes twice: a repeat would be measured in place of the first.
 */
export async function appendTimes({ brokers, topic, records }: AppendTimesOptions): Promise<number[]> {
  const consumer = new Consumer({
    groupId: `bench-${topic}`,
    clientId: 'millrace-bench',
    bootstrapBrokers: [...brokers],
    deserializers: stringDeserializers,
  });
  const times: number[] = [];
  let read = 0;
  try {
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, ...FETCH });
    for await (const { headers, timestamp } of stream) {
      const number = Number(headers.get('aggregateversion'));
      if (times[number] !== undefined) {
        throw new Error(`Event ${number} is in ${topic} twice.`);
      }
      times[number] = Number(timestamp);
      read += 1;
      if (read === records) {
        break;
      }
    }
    return times;
  } finally {
    await consumer.close(true);
  }
}
