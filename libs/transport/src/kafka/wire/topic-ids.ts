import { type WireApi, type WireReader, type WireWriter } from './wire-buffers.js';

/** A range of versions of a request that a broker takes. */
export interface ApiRange {
  readonly key: number;
  readonly min: number;
  readonly max: number;
}

/** What a broker takes. Every broker takes this version of the question. */
export const API_VERSIONS: WireApi<null, { readonly errorCode: number; readonly apis: readonly ApiRange[] }> = {
  name: 'ApiVersions',
  key: 18,
  version: 0,
  write: () => undefined,
  read: (reader) => ({
    errorCode: reader.int16(),
    apis: reader.array((item) => ({ key: item.int16(), min: item.int16(), max: item.int16() })),
  }),
};

/** A topic's own name for itself: one that is made anew under the same name has another. */
export interface TopicId {
  readonly topic: string;
  readonly errorCode: number;
  /** As Kafka's tools print it. */
  readonly id: string;
}

const ID_BYTES = 16;

/**
 * The ids of topics: Metadata in its first version that has them, which is one of the flexible ones. A link knows nothing
 * of these: the tagged fields that end the head of a request, and begin an answer, are part of the body here.
 */
export const TOPIC_IDS: WireApi<{ readonly topics: readonly string[] }, readonly TopicId[]> = {
  name: 'Metadata',
  key: 3,
  version: 10,
  write(writer, { topics }) {
    tags(writer);
    unsigned(writer, topics.length + 1);
    for (const topic of topics) {
      writer.int64(0n).int64(0n);
      text(writer, topic);
      tags(writer);
    }
    // no topic is made; what the asker may do is not asked
    writer.int8(0).int8(0).int8(0);
    tags(writer);
  },
  read(reader) {
    skipTags(reader);
    reader.int32(); // throttle time
    readList(reader, () => {
      reader.int32(); // node
      readText(reader);
      reader.int32(); // port
      readText(reader); // rack
      skipTags(reader);
    });
    readText(reader); // cluster id
    reader.int32(); // controller
    return readList(reader, () => readTopic(reader));
  },
};

function readTopic(reader: WireReader): TopicId {
  const errorCode = reader.int16();
  const topic = readText(reader);
  const id = Buffer.alloc(ID_BYTES);
  id.writeBigInt64BE(reader.int64(), 0);
  id.writeBigInt64BE(reader.int64(), 8);
  reader.int8(); // is internal
  readList(reader, () => {
    reader.int16();
    reader.int32(); // partition
    reader.int32(); // leader
    reader.int32(); // leader epoch
    for (let lists = 3; lists > 0; lists -= 1) {
      readList(reader, () => reader.int32());
    }
    skipTags(reader);
  });
  reader.int32(); // what the asker may do
  skipTags(reader);
  return { topic, errorCode, id: id.toString('base64url') };
}

function unsigned(writer: WireWriter, value: number): void {
  let left = value;
  for (; left > 0x7f; left >>>= 7) {
    signed8(writer, (left & 0x7f) | 0x80);
  }
  signed8(writer, left);
}

function signed8(writer: WireWriter, byte: number): void {
  writer.int8(byte > 0x7f ? byte - 0x100 : byte);
}

function text(writer: WireWriter, value: string): void {
  const bytes = Buffer.from(value);
  unsigned(writer, bytes.length + 1);
  for (const byte of bytes) {
    signed8(writer, byte);
  }
}

/** None. */
function tags(writer: WireWriter): void {
  writer.int8(0);
}

function readUnsigned(reader: WireReader): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = reader.int8();
    value |= (byte & 0x7f) << shift;
    if (byte >= 0) {
      return value;
    }
  }
}

/** Empty for null. */
function readText(reader: WireReader): string {
  const length = Math.max(readUnsigned(reader) - 1, 0);
  return Buffer.from(Array.from({ length }, () => reader.int8())).toString();
}

function readList<Item>(reader: WireReader, read: () => Item): Item[] {
  const length = Math.max(readUnsigned(reader) - 1, 0);
  return Array.from({ length }, read);
}

function skipTags(reader: WireReader): void {
  for (let left = readUnsigned(reader); left > 0; left -= 1) {
    readUnsigned(reader);
    for (let bytes = readUnsigned(reader); bytes > 0; bytes -= 1) {
      reader.int8();
    }
  }
}
