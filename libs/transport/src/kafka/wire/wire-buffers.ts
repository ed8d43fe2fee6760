/** Writes the fields of a request, big endian, as Kafka's protocol lays them out before its flexible versions. */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  int8(value: number): this {
    this.#length = this.#room(1).writeInt8(value, this.#length);
    return this;
  }

  int16(value: number): this {
    this.#length = this.#room(2).writeInt16BE(value, this.#length);
    return this;
  }

  int32(value: number): this {
    this.#length = this.#room(4).writeInt32BE(value, this.#length);
    return this;
  }

  int64(value: bigint): this {
    this.#length = this.#room(8).writeBigInt64BE(value, this.#length);
    return this;
  }

  string(value: string | null): this {
    if (value === null) {
      return this.int16(-1);
    }
    const bytes = Buffer.byteLength(value);
    this.int16(bytes).#room(bytes).write(value, this.#length);
    this.#length += bytes;
    return this;
  }

  bytes(value: Buffer): this {
    this.int32(value.length).#room(value.length).set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  array<Item>(items: readonly Item[], write: (writer: this, item: Item) => void): this {
    this.int32(items.length);
    for (const item of items) {
      write(this, item);
    }
    return this;
  }

  /** What has been written; write nothing after it. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #room(bytes: number): Buffer {
    const needed = this.#length + bytes;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}

/** Bytes from a broker that are not what they should be. `message` quotes none of them. */
export class WireFormatError extends Error {
  override readonly name = 'WireFormatError';
}

/** Reads the fields of an answer; what is shorter than it should be throws a `WireFormatError`. */
export class WireReader {
  #at = 0;

  constructor(private readonly buffer: Buffer) {}

  int8(): number {
    return this.buffer.readInt8(this.#skip(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#skip(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#skip(4));
  }

  int64(): bigint {
    return this.buffer.readBigInt64BE(this.#skip(8));
  }

  string(): string {
    return this.nullableString() ?? '';
  }

  nullableString(): string | null {
    const bytes = this.int16();
    return bytes < 0 ? null : this.#slice(bytes).toString();
  }

  /** A view, not a copy; empty for null. */
  bytes(): Buffer {
    return this.#slice(Math.max(this.int32(), 0));
  }

  array<Item>(read: (reader: this) => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.int32(); left > 0; left -= 1) {
      items.push(read(this));
    }
    return items;
  }

  #slice(bytes: number): Buffer {
    const start = this.#skip(bytes);
    if (start + bytes > this.buffer.length) {
      throw new RangeError(
        `An answer of ${this.buffer.length} bytes ends ${start + bytes - this.buffer.length} early.`,
      );
    }
    return this.buffer.subarray(start, start + bytes);
  }

  #skip(bytes: number): number {
    const start = this.#at;
    this.#at += bytes;
    if (this.#at > this.buffer.length) {
      throw new WireFormatError(
        `An answer of ${this.buffer.length} bytes ends ${this.#at - this.buffer.length} early.`,
      );
    }
    return start;
  }
}

/** A request of Kafka's protocol in one version, and its answer. */
export interface WireApi<Question, Answer> {
  readonly name: string;
  readonly key: number;
  readonly version: number;
  write(writer: WireWriter, question: Question): void;
  read(reader: WireReader): Answer;
}
