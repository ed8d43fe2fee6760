import { type WireApi, type WireReader, type WireWriter } from './wire-buffers.js';

/** A member in a generation of its group; what it sends under an older one is refused. */
export interface GroupIdentity {
  readonly groupId: string;
  readonly memberId: string;
  readonly generation: number;
}

export interface JoinGroupQuestion {
  readonly groupId: string;
  /** Empty for a member that has none yet. */
  readonly memberId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocol: string;
  readonly subscription: Buffer;
}

export interface JoinGroupAnswer {
  readonly errorCode: number;
  readonly generation: number;
  readonly leaderId: string;
  readonly memberId: string;
  /** Of the whole group, for its leader; empty for the others. */
  readonly members: readonly { readonly memberId: string; readonly subscription: Buffer }[];
}

const PROTOCOL_TYPE = 'consumer';

export const JOIN_GROUP: WireApi<JoinGroupQuestion, JoinGroupAnswer> = {
  name: 'JoinGroup',
  key: 11,
  version: 5,
  write(writer, question) {
    writer
      .string(question.groupId)
      .int32(question.sessionTimeoutMs)
      .int32(question.rebalanceTimeoutMs)
      .string(question.memberId)
      .string(null)
      .string(PROTOCOL_TYPE)
      .array([question.protocol], (to, name) => to.string(name).bytes(question.subscription));
  },
  read(reader) {
    reader.int32(); // throttle time
    const errorCode = reader.int16();
    const generation = reader.int32();
    reader.nullableString(); // protocol
    const leaderId = reader.string();
    const memberId = reader.string();
    const members = reader.array((item) => {
      const id = item.string();
      item.nullableString(); // instance id
      return { memberId: id, subscription: item.bytes() };
    });
    return { errorCode, generation, leaderId, memberId, members };
  },
};

export interface SyncGroupQuestion extends GroupIdentity {
  /** From the leader for all members; empty from the others. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[];
}

export const SYNC_GROUP: WireApi<SyncGroupQuestion, { readonly errorCode: number; readonly assignment: Buffer }> = {
  name: 'SyncGroup',
  key: 14,
  version: 3,
  write(writer, question) {
    writeIdentity(writer, question).array(question.assignments, (to, { memberId, assignment }) =>
      to.string(memberId).bytes(assignment),
    );
  },
  read(reader) {
    reader.int32(); // throttle time
    return { errorCode: reader.int16(), assignment: reader.bytes() };
  },
};

export const HEARTBEAT: WireApi<GroupIdentity, { readonly errorCode: number }> = {
  name: 'Heartbeat',
  key: 12,
  version: 3,
  write: writeIdentity,
  read: readErrorCode,
};

export const LEAVE_GROUP: WireApi<Omit<GroupIdentity, 'generation'>, { readonly errorCode: number }> = {
  name: 'LeaveGroup',
  key: 13,
  version: 3,
  write(writer, { groupId, memberId }) {
    writer.string(groupId).array([memberId], (to, id) => to.string(id).string(null));
  },
  read: readErrorCode,
};

/** Partitions of topics, as requests group them. */
export interface ByTopic<Item> {
  readonly topic: string;
  readonly items: readonly Item[];
}

export interface OffsetCommitQuestion extends GroupIdentity {
  readonly topics: readonly ByTopic<{ readonly partition: number; readonly offset: bigint }>[];
}

export interface PartitionResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
}

export const OFFSET_COMMIT: WireApi<OffsetCommitQuestion, readonly PartitionResult[]> = {
  name: 'OffsetCommit',
  key: 8,
  version: 7,
  write(writer, question) {
    writeIdentity(writer, question).array(question.topics, (to, { topic, items }) =>
      to
        .string(topic)
        .array(items, (one, { partition, offset }) => one.int32(partition).int64(offset).int32(-1).string(null)),
    );
  },
  read(reader) {
    reader.int32(); // throttle time
    return readByTopic(reader, (item, topic) => ({ topic, partition: item.int32(), errorCode: item.int16() }));
  },
};

export interface OffsetFetchAnswer {
  readonly errorCode: number;
  readonly partitions: readonly (PartitionResult & {
    /** -1 where the group has none. */
    readonly offset: bigint;
  })[];
}

export const OFFSET_FETCH: WireApi<
  { readonly groupId: string; readonly topics: readonly ByTopic<number>[] },
  OffsetFetchAnswer
> = {
  name: 'OffsetFetch',
  key: 9,
  version: 5,
  write(writer, { groupId, topics }) {
    writer
      .string(groupId)
      .array(topics, (to, { topic, items }) => to.string(topic).array(items, (one, partition) => one.int32(partition)));
  },
  read(reader) {
    reader.int32(); // throttle time
    const partitions = readByTopic(reader, (item, topic) => {
      const partition = item.int32();
      const offset = item.int64();
      item.int32(); // leader epoch
      item.nullableString(); // metadata
      return { topic, partition, offset, errorCode: item.int16() };
    });
    return { partitions, errorCode: reader.int16() };
  },
};

function writeIdentity(writer: WireWriter, { groupId, generation, memberId }: GroupIdentity): WireWriter {
  return writer.string(groupId).int32(generation).string(memberId).string(null);
}

function readErrorCode(reader: WireReader): { readonly errorCode: number } {
  reader.int32(); // throttle time
  return { errorCode: reader.int16() };
}

function readByTopic<Item>(reader: WireReader, read: (item: WireReader, topic: string) => Item): Item[] {
  return reader
    .array((topics) => {
      const topic = topics.string();
      return topics.array((item) => read(item, topic));
    })
    .flat();
}
