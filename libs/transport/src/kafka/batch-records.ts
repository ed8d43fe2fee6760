import { type Delivery } from '../subscription-port.js';
import { WireFormatError } from './wire/wire-buffers.js';

/** What the head of a batch says about its records. */
export interface BatchHead {
  readonly topic: string;
  readonly partition: number;
  /** Records below it are left out. */
  readonly firstOffset: bigint;
  readonly baseOffset: bigint;
  readonly count: number;
  readonly baseTimestampMs: number;
  /** Set when the broker stamped the batch; it then holds for every record. */
  readonly appendedMs: number | undefined;
}

const EMPTY = Buffer.alloc(0);
const NO_HEADERS: ReadonlyMap<string, Buffer> = new Map();

/** Appends the records of one batch, decompressed, to `deliveries`; keys, values and headers are views into `bytes`. */
export function readBatchRecords(bytes: Buffer, deliveries: Delivery[], head: BatchHead): void {
  const cursor = new RecordCursor(bytes);
  // in a chunk that was asked for from the middle of a batch, only the first batch has records to leave out
  const skipped = Number(head.firstOffset - head.baseOffset);
  if (head.count < 0) {
    throw new WireFormatError(`it has ${head.count} records`);
  }
  for (let left = head.count; left > 0; left -= 1) {
    const end = cursor.length() + cursor.at;
    cursor.at += 1; // attributes
    const timestampMs = head.baseTimestampMs + cursor.varlong();
    const delta = cursor.varint();
    if (delta >= skipped) {
      deliveries.push({
        topic: head.topic,
        partition: head.partition,
        offset: head.baseOffset + BigInt(delta),
        key: cursor.field(),
        value: cursor.field(),
        headers: cursor.headers(),
        timestampMs: head.appendedMs ?? timestampMs,
      });
      cursor.assertAt(end);
    }
    cursor.at = end;
  }
}

/** Reads the fields of records, one after the other; what is shorter than it should be throws a `WireFormatError`. */
class RecordCursor {
  at = 0;

  constructor(private readonly bytes: Buffer) {}

  /** Zigzag, 32 bits. */
  varint(): number {
    const { bytes } = this;
    let byte = bytes[this.at++] ?? this.#overrun();
    let raw = byte & 0x7f;
    for (let shift = 7; byte > 0x7f; shift += 7) {
      byte = bytes[this.at++] ?? this.#overrun();
      raw |= (byte & 0x7f) << shift;
    }
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** Zigzag, 64 bits; exact up to 2^53. */
  varlong(): number {
    let byte = this.bytes[this.at++] ?? this.#overrun();
    const isNegative = (byte & 1) === 1;
    let magnitude = (byte & 0x7f) >>> 1;
    for (let scale = 64; byte > 0x7f; scale *= 128) {
      byte = this.bytes[this.at++] ?? this.#overrun();
      magnitude += (byte & 0x7f) * scale;
    }
    return isNegative ? -magnitude - 1 : magnitude;
  }

  /** Of what must be there. */
  length(): number {
    const length = this.varint();
    return length < 0 ? this.#overrun() : length;
  }

  assertAt(end: number): void {
    if (this.at !== end) {
      this.#overrun();
    }
  }

  field(): Buffer | null {
    const length = this.varint();
    if (length < 0) {
      return null;
    }
    const start = this.at;
    this.at = start + length;
    return this.at > this.bytes.length ? this.#overrun() : this.bytes.subarray(start, this.at);
  }

  headers(): ReadonlyMap<string, Buffer> {
    const count = this.varint();
    if (count === 0) {
      return NO_HEADERS;
    }
    const headers = new Map<string, Buffer>();
    for (let left = count; left > 0; left -= 1) {
      const length = this.length();
      const start = this.at;
      this.at = start + length;
      const name = this.bytes.toString('utf8', start, this.at);
      headers.set(name, this.field() ?? EMPTY);
    }
    return headers;
  }

  #overrun(): never {
    throw new WireFormatError(`its ${this.bytes.length} bytes of records do not end where they say`);
  }
}
