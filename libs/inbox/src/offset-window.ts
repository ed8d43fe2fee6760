import { type LowMark } from './decode-delivery.js';

/** A record that was taken in, until everything before it and itself is done. */
export interface WindowEntry {
  readonly offset: bigint;
  readonly chunk: WindowChunk;
  /** What its floor may rise to once everything up to it is done. */
  readonly mark: LowMark | null;
  isDone: boolean;
}

/** Records that are in memory together until all of them are done. */
export interface WindowChunk {
  readonly bytes: number;
  /** How many are not done yet; one more while there are records to come. */
  unfinished: number;
}

/** Bounds of a window; at least one chunk and one record always fit. */
export interface WindowLimits {
  /** Between watermark and newest, done or not. */
  readonly recordsMax: number;
  /** Of the chunks that are not done; of the others only offsets are left. */
  readonly bytesMax: number;
}

/**
 * The records of a partition between the oldest unfinished one and the newest taken in, and the watermark below which
 * all are done. The watermark passes no unfinished record, whatever the order in which records end. Pure.
 */
export class OffsetWindow {
  #entries: WindowEntry[] = [];
  /** Entries before it are done and forgotten. */
  #head = 0;
  #unfinishedBytes = 0;
  #nextOffset: bigint | null = null;

  constructor(private readonly limits: WindowLimits) {}

  /** Records between watermark and newest. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** The first offset that is not done; null before the first record was done. */
  get nextOffset(): bigint | null {
    return this.#nextOffset;
  }

  /** False until something is done. */
  hasRoomForChunk(): boolean {
    return this.#unfinishedBytes < this.limits.bytesMax;
  }

  /** False until the watermark has moved. */
  hasRoomForRecord(): boolean {
    return this.size < this.limits.recordsMax;
  }

  /** Begins the next chunk; to be ended once its records were added. */
  begin(bytes: number): WindowChunk {
    this.#unfinishedBytes += bytes;
    return { bytes, unfinished: 1 };
  }

  end(chunk: WindowChunk): void {
    chunk.unfinished -= 1;
    if (chunk.unfinished === 0) {
      this.#unfinishedBytes -= chunk.bytes;
    }
  }

  /** Takes in the next record; offsets must grow. */
  add(chunk: WindowChunk, offset: bigint, mark: LowMark | null): WindowEntry {
    const entry: WindowEntry = { offset, chunk, mark, isDone: false };
    this.#entries.push(entry);
    chunk.unfinished += 1;
    return entry;
  }

  /** A record is done; returns the entries that the watermark has now passed, in order. */
  finish(entry: WindowEntry): readonly WindowEntry[] {
    entry.isDone = true;
    this.end(entry.chunk);
    const from = this.#head;
    for (let first = this.#entries[this.#head]; first?.isDone === true; first = this.#entries[this.#head]) {
      this.#head++;
      this.#nextOffset = first.offset + 1n;
    }
    const passed = this.#entries.slice(from, this.#head);
    this.#compact();
    return passed;
  }

  #compact(): void {
    if (this.#head === this.#entries.length || this.#head >= COMPACT_AT) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}

const COMPACT_AT = 1_000;
