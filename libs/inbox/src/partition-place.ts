import { type Position } from '@millrace/events';
import { type DeliveredChunk } from '@millrace/transport';
import { type LowMark } from './decode-delivery.js';
import { type Arrival, type PartitionProgress, type Stream } from './inbox-port.js';

/** Offsets, both included, that no chunk has covered. */
export interface Hole {
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * How far a partition is applied: which offset comes next, the floors of its streams, and whether they stand still. A
 * floor follows the `millrace-low` of the contiguously applied prefix, never of a record that ran ahead of it, and rises
 * above no position of its stream that the prefix has: a low that lies about the future stays without effect there. It
 * never moves while there is a hole: what the hole swallowed may still come and must not be taken for a duplicate. Pure.
 */
export class PartitionPlace {
  readonly #floors = new Map<string, Floor>();
  /** By stream, the highest position in the prefix of this session. */
  readonly #highest = new Map<string, Position>();
  #expected: bigint | null;
  #hole: Hole | null;

  /**
   * What the group has passed and the database knows nothing of: it was made anew, or the group belonged to another one.
   * A hole like any other.
   */
  readonly unknown: Hole | null;

  /** `committedOffset` is where the group goes on; it counts only where the database knows nothing. */
  constructor(
    private readonly known: PartitionProgress,
    committedOffset: bigint | null,
  ) {
    this.#expected = known.nextOffset ?? committedOffset;
    this.unknown = known.nextOffset === null && committedOffset !== null ? holeBelow(committedOffset) : null;
    this.#hole = this.unknown ?? known.hole;
    this.#take(known);
  }

  get hole(): Hole | null {
    return this.#hole;
  }

  /**
   * Call it for each chunk before anything else; returns the hole when this one reveals a new one. Offsets without a record
   * inside of a chunk are none: compaction, or marks of transactions.
   */
  arrive({ firstOffset, nextOffset }: Pick<DeliveredChunk, 'firstOffset' | 'nextOffset'>): Hole | null {
    const expected = this.#expected;
    if (expected === null || nextOffset > expected) {
      this.#expected = nextOffset;
    }
    if (expected === null || firstOffset <= expected) {
      return null;
    }
    const hole = { from: expected, to: firstOffset - 1n };
    this.#hole = this.#hole === null ? hole : { from: smaller(this.#hole.from, hole.from), to: hole.to };
    return hole;
  }

  /** True when the arrival certainly was applied before; without a look at the database. */
  isBelowFloor({ stream, position, isBypassingFloor }: Arrival): boolean {
    if (stream === null || isBypassingFloor) {
      return false;
    }
    const floor = this.#floors.get(keyOf(stream));
    return floor !== undefined && position <= floor.floor;
  }

  /** The contiguously applied prefix has reached a record with this mark. */
  pass({ stream, low, position }: LowMark): void {
    const key = keyOf(stream);
    const highest = larger(position, this.#highest.get(key) ?? position);
    this.#highest.set(key, highest);
    if (this.#hole === null) {
      this.#raise(key, stream, smaller(low, highest));
    }
  }

  /** What is to be written once everything below `nextOffset` is done. */
  progress(nextOffset: bigint): PartitionProgress {
    const { topic, partition } = this.known;
    return { topic, partition, nextOffset, hole: this.#hole, floors: [...this.#floors.values()] };
  }

  /** Somebody has thawed the partition: the floors go on from what the database has. */
  thaw(known: PartitionProgress): void {
    this.#hole = known.hole;
    this.#take(known);
  }

  #take({ floors }: PartitionProgress): void {
    for (const { source, route, floor } of floors) {
      this.#raise(keyOf({ source, route }), { source, route }, floor);
    }
  }

  #raise(key: string, { source, route }: StreamName, floor: Position): void {
    const before = this.#floors.get(key);
    if (before === undefined || floor > before.floor) {
      this.#floors.set(key, { source, route, floor });
    }
  }
}

function holeBelow(offset: bigint): Hole | null {
  return offset > 0n ? { from: 0n, to: offset - 1n } : null;
}

type StreamName = Pick<Stream, 'source' | 'route'>;

interface Floor extends StreamName {
  readonly floor: Position;
}

/** Neither part can have a NUL. */
function keyOf({ source, route }: StreamName): string {
  return `${source}\0${route}`;
}

function smaller<Whole extends bigint>(a: Whole, b: Whole): Whole {
  return a < b ? a : b;
}

function larger<Whole extends bigint>(a: Whole, b: Whole): Whole {
  return a > b ? a : b;
}
