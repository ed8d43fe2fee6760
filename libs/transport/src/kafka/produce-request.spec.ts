import { describe, expect, it } from '@jest/globals';
import { Reader, Writer } from '@platformatic/kafka';
import { ACKS_ALL } from './kafka-producer-port.js';
import { writeProduceRequest } from './produce-request.js';

describe('a Produce request', () => {
  it('asks for the acknowledgement of all in-sync replicas, for one partition of one topic', () => {
    const batch = { topic: 'orders', partition: 3, records: [], acks: ACKS_ALL, sentMs: 0 } as const;
    const records = Buffer.from('the batch');

    const { buffer } = writeProduceRequest(Writer.create(), { batch, records, timeoutMs: 7_000 });

    const reader = Reader.from(buffer);
    expect(reader.readNullableString()).toBeNull();
    expect(reader.readInt16()).toBe(-1);
    expect(reader.readInt32()).toBe(7_000);
    const topics = reader.readArray((topic) => ({
      name: topic.readString(),
      partitions: topic.readArray((partition) => ({
        index: partition.readInt32(),
        records: partition.readBytes(),
      })),
    }));
    expect(topics).toEqual([{ name: 'orders', partitions: [{ index: 3, records }] }]);
  });
});
