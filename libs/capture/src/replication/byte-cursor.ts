import { CaptureError } from '../capture.errors.js';

/** Microseconds between 1970 and 2000, where PostgreSQL's time begins. */
const EPOCH_2000_US = 946_684_800_000_000n;

/** The stream broke its own format. `what` says how, without a byte of the contents. */
export function malformed(what: string): CaptureError {
  return new CaptureError(
    'stream_malformed',
    `The replication stream cannot be read: ${what}. The relay closes it and begins anew; if that repeats, set the ` +
      'route to polling and check that the server is PostgreSQL 15 to 18.',
  );
}

/** The first byte of a message as an operator knows it: its letter, or its number when it is none. */
function typeName(type: number | undefined): string {
  if (type === undefined) {
    return 'none';
  }
  const letter = String.fromCharCode(type);
  return /[A-Za-z]/.test(letter) ? letter : `0x${type.toString(16).padStart(2, '0')}`;
}

/**
 * Reads the fields of one message, front to back. Every step is checked against the message's end: what is too short,
 * too long or not as it must be throws `CaptureError` `stream_malformed` with the message's type and length.
 */
export class ByteCursor {
  private at: number;

  /** The message lies in `buffer` from `from` to the end; its first byte is its type. */
  constructor(
    readonly buffer: Buffer,
    private readonly from: number,
  ) {
    this.at = from;
  }

  /** Where the next field begins. */
  get offset(): number {
    return this.at;
  }

  uint8(): number {
    return this.buffer.readUInt8(this.step(1));
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.step(2));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.step(4));
  }

  lsn(): bigint {
    return this.buffer.readBigUInt64BE(this.step(8));
  }

  /** Milliseconds since 1970. */
  timeMs(): number {
    return Number((this.buffer.readBigInt64BE(this.step(8)) + EPOCH_2000_US) / 1_000n);
  }

  /** A text that ends with a zero byte. */
  cstring(): string {
    const end = this.buffer.indexOf(0, this.at);
    if (end === -1) {
      throw this.wrong('is cut off');
    }
    const text = this.buffer.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  /** Passes over so many bytes and returns where they begin. */
  step(count: number): number {
    const start = this.at;
    if (count > this.buffer.length - start) {
      throw this.wrong('is cut off');
    }
    this.at = start + count;
    return start;
  }

  /** To be called when all fields are read. */
  end(): void {
    if (this.at !== this.buffer.length) {
      throw this.wrong('has bytes after its last field');
    }
  }

  /** The error for this message. */
  wrong(how: string): CaptureError {
    const type = typeName(this.buffer[this.from]);
    return malformed(`a message of type ${type} with ${Math.max(0, this.buffer.length - this.from)} bytes ${how}`);
  }
}
