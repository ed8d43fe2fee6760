import { type WireApi, WireFormatError, type WireReader, type WireWriter } from './wire-buffers.js';

export interface MetadataAnswer {
  readonly brokers: readonly { readonly node: number; readonly address: string }[];
  readonly topics: readonly {
    readonly topic: string;
    readonly errorCode: number;
    /** One of Kafka's own, as `__consumer_offsets`. */
    readonly isInternal: boolean;
    /** `leader` is -1 while there is none. */
    readonly partitions: readonly { readonly partition: number; readonly leader: number }[];
  }[];
}

/** `null` asks for all topics. Never makes one that is missing. Source of all of these: https://kafka.apache.org/protocol. */
export const METADATA: WireApi<{ readonly topics: readonly string[] | null }, MetadataAnswer> = {
  name: 'Metadata',
  key: 3,
  version: 5,
  write(writer, { topics }) {
    writeNames(writer, topics).int8(0);
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
      const isInternal = item.int8() !== 0;
      return { topic, errorCode, isInternal, partitions: item.array(readPartition) };
    });
    return { brokers, topics };
  },
};

/** A list, or null in its place. */
function writeNames(writer: WireWriter, names: readonly string[] | null): WireWriter {
  return names === null ? writer.int32(-1) : writer.array(names, (to, name) => to.string(name));
}

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

export interface FoundOffset {
  readonly errorCode: number;
  /** -1 when there is none. */
  readonly offset: bigint;
}

/** In place of a time: the end of what all in-sync replicas have, and the first offset that the partition still has. */
export const LATEST = -1n;
export const EARLIEST = -2n;

/**
 * The first offset of a record that is as old as `at`, in milliseconds since 1970, or younger; of partitions that one
 * broker leads, each named once.
 */
export const OFFSETS_AT: WireApi<
  readonly (ListOffsetsQuestion & { readonly at: bigint })[],
  readonly (ListOffsetsQuestion & FoundOffset)[]
> = {
  name: 'ListOffsets',
  key: 2,
  version: 5,
  write(writer, questions) {
    writer.int32(-1).int8(0);
    writer.array(questions, (topics, { topic, partition, at }) =>
      topics.string(topic).array([partition], (one) => one.int32(partition).int32(-1).int64(at)),
    );
  },
  read(reader) {
    reader.int32(); // throttle time
    const topics = reader.array((item) => {
      const topic = item.string();
      return item.array((one) => {
        const partition = one.int32();
        const errorCode = one.int16();
        one.int64(); // timestamp
        const offset = one.int64();
        one.int32(); // leader epoch
        return { topic, partition, errorCode, offset };
      });
    });
    return topics.flat();
  },
};

/** The same of one partition. */
export const OFFSET_AT: WireApi<ListOffsetsQuestion & { readonly at: bigint }, FoundOffset> = {
  ...OFFSETS_AT,
  write(writer, question) {
    OFFSETS_AT.write(writer, [question]);
  },
  read(reader) {
    const [found] = OFFSETS_AT.read(reader);
    if (found === undefined) {
      throw new WireFormatError('An answer to ListOffsets names no partition.');
    }
    return found;
  },
};

/** The first offset that a partition still has. */
export const EARLIEST_OFFSET: WireApi<ListOffsetsQuestion, FoundOffset> = {
  ...OFFSET_AT,
  write(writer, question) {
    OFFSET_AT.write(writer, { ...question, at: EARLIEST });
  },
};

export interface TopicSettings {
  readonly topic: string;
  readonly errorCode: number;
  readonly values: ReadonlyMap<string, string | null>;
}

const TOPIC_RESOURCE = 2;

/** Settings of topics by name, as they are in force. */
export const DESCRIBE_TOPICS: WireApi<
  { readonly topics: readonly string[]; readonly names: readonly string[] },
  readonly TopicSettings[]
> = {
  name: 'DescribeConfigs',
  key: 32,
  version: 1,
  write(writer, { topics, names }) {
    writer.array(topics, (to, topic) => writeNames(to.int8(TOPIC_RESOURCE).string(topic), names)).int8(0);
  },
  read(reader) {
    reader.int32(); // throttle time
    return reader.array((item) => {
      const errorCode = item.int16();
      item.nullableString(); // error text
      item.int8(); // kind of resource
      const topic = item.string();
      return { topic, errorCode, values: new Map(item.array(readSetting)) };
    });
  },
};

function readSetting(reader: WireReader): readonly [name: string, value: string | null] {
  const name = reader.string();
  const value = reader.nullableString();
  reader.int8(); // is read-only
  reader.int8(); // where the value comes from
  reader.int8(); // is sensitive
  reader.array((synonym) => {
    synonym.string();
    synonym.nullableString();
    synonym.int8();
  });
  return [name, value];
}
