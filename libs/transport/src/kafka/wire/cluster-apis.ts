import { type WireApi, WireFormatError, type WireReader } from './wire-buffers.js';

export interface MetadataAnswer {
  readonly brokers: readonly { readonly node: number; readonly address: string }[];
  readonly topics: readonly {
    readonly topic: string;
    readonly errorCode: number;
    /** `leader` is -1 while there is none. */
    readonly partitions: readonly { readonly partition: number; readonly leader: number }[];
  }[];
}

/** Never makes a topic that is missing. Source of all of these: https://kafka.apache.org/protocol. */
export const METADATA: WireApi<{ readonly topics: readonly string[] }, MetadataAnswer> = {
  name: 'Metadata',
  key: 3,
  version: 5,
  write(writer, { topics }) {
    writer.array(topics, (to, topic) => to.string(topic)).int8(0);
  },
  read(reader) {
    reader.int32(); // throttle time
    const brokers = reader.array((broker) => {
      const node = broker.int32();
      const address = `${broker.string()}:${broker.int32()}`;
      broker.nullableString(); // rack
      return { node, address };
    });
    reader.nullableString(); // cluster id
    reader.int32(); // controller
    const topics = reader.array((item) => {
      const errorCode = item.int16();
      const topic = item.string();
      item.int8(); // is internal
      return { topic, errorCode, partitions: item.array(readPartition) };
    });
    return { brokers, topics };
  },
};

function readPartition(reader: WireReader): MetadataAnswer['topics'][number]['partitions'][number] {
  reader.int16(); // an error code that says no more than a leader of -1
  const partition = reader.int32();
  const leader = reader.int32();
  for (let lists = 3; lists > 0; lists -= 1) {
    reader.array((node) => node.int32()); // replicas, in sync, offline
  }
  return { partition, leader };
}

/** Where the coordinator of a group is. */
export const FIND_COORDINATOR: WireApi<
  { readonly groupId: string },
  { readonly errorCode: number; readonly address: string }
> = {
  name: 'FindCoordinator',
  key: 10,
  version: 2,
  write(writer, { groupId }) {
    writer.string(groupId).int8(0);
  },
  read(reader) {
    reader.int32(); // throttle time
    const errorCode = reader.int16();
    reader.nullableString(); // error text
    reader.int32(); // node
    return { errorCode, address: `${reader.string()}:${reader.int32()}` };
  },
};

export interface ListOffsetsQuestion {
  readonly topic: string;
  readonly partition: number;
}

export interface EarliestOffset {
  readonly errorCode: number;
  readonly offset: bigint;
}

const EARLIEST = -2n;

/** The first offset that a partition still has. */
export const EARLIEST_OFFSET: WireApi<ListOffsetsQuestion, EarliestOffset> = {
  name: 'ListOffsets',
  key: 2,
  version: 5,
  write(writer, { topic, partition }) {
    writer.int32(-1).int8(0);
    writer.array([topic], (topics) =>
      topics.string(topic).array([partition], (one) => one.int32(partition).int32(-1).int64(EARLIEST)),
    );
  },
  read(reader) {
    reader.int32(); // throttle time
    const topics = reader.array((item) => {
      item.string();
      return item.array((one) => {
        one.int32(); // partition
        const errorCode = one.int16();
        one.int64(); // timestamp
        const offset = one.int64();
        one.int32(); // leader epoch
        return { errorCode, offset };
      });
    });
    const [found] = topics.flat();
    if (found === undefined) {
      throw new WireFormatError('An answer to ListOffsets names no partition.');
    }
    return found;
  },
};
