import { type ByteCursor, malformed } from './byte-cursor.js';

/** What a column's value is. `unchanged`: a large value that an UPDATE did not touch and the server does not send. */
export type ColumnKind = 'null' | 'unchanged' | 'text' | 'binary';

const KIND_OF: ReadonlyMap<number, ColumnKind> = new Map([
  [0x6e, 'null'],
  [0x75, 'unchanged'],
  [0x74, 'text'],
  [0x62, 'binary'],
]);

/**
 * The columns of one row, as views on the message's memory: what is to be kept must be read out before the call that
 * brought the message returns, since the connection uses that memory again.
 */
export class Tuple {
  private constructor(
    private readonly buffer: Buffer,
    private readonly kinds: readonly ColumnKind[],
    /** Start and end of each column. */
    private readonly bounds: readonly number[],
  ) {}

  static read(cursor: ByteCursor): Tuple {
    const count = cursor.uint16();
    const kinds: ColumnKind[] = [];
    const bounds: number[] = [];
    for (let column = 0; column < count; column += 1) {
      const kind = KIND_OF.get(cursor.uint8());
      if (kind === undefined) {
        throw cursor.wrong('has a column of an unknown kind');
      }
      const length = kind === 'text' || kind === 'binary' ? cursor.uint32() : 0;
      const start = cursor.step(length);
      kinds.push(kind);
      bounds.push(start, start + length);
    }
    return new Tuple(cursor.buffer, kinds, bounds);
  }

  get length(): number {
    return this.kinds.length;
  }

  kindOf(column: number): ColumnKind {
    const kind = this.kinds[column];
    if (kind === undefined) {
      throw malformed(`a row has ${this.kinds.length} columns, and column ${column + 1} is asked for`);
    }
    return kind;
  }

  /** The text that PostgreSQL printed; `null` for SQL's null. Throws where there is none: unchanged or binary. */
  text(column: number): string | null {
    const kind = this.kindOf(column);
    if (kind === 'null') {
      return null;
    }
    if (kind !== 'text') {
      throw malformed(`column ${column + 1} of a row came as ${kind} instead of as text`);
    }
    return this.buffer.toString('utf8', this.bounds[column * 2], this.bounds[column * 2 + 1]);
  }

  /** The value's bytes, untouched; `null` when there is no value (see `kindOf`). */
  bytes(column: number): Buffer | null {
    const kind = this.kindOf(column);
    return kind === 'text' || kind === 'binary'
      ? this.buffer.subarray(this.bounds[column * 2], this.bounds[column * 2 + 1])
      : null;
  }

  /** How many bytes the value has; 0 without one. */
  byteLength(column: number): number {
    return (this.bounds[column * 2 + 1] ?? 0) - (this.bounds[column * 2] ?? 0);
  }
}
