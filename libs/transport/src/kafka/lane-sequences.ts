import { type SinkLane, type SinkRecord } from '../sink-port.js';
import { type ProducerIdentity, type ProducerStamp } from './kafka-producer-port.js';

/** The numbers of one lane under one producer id. */
interface LaneSequence {
  readonly identity: ProducerIdentity;
  next: number;
  /** Sent under `next`, and not acknowledged so far. */
  pending: readonly SinkRecord[] | undefined;
}

/** A lane takes a new producer id here; sequences end at 2^31. */
const SEQUENCE_MAX = 2 ** 30;

/**
 * The numbers by which a broker knows a batch that it has stored already, and stores it once.
 *
 * One rule keeps this from losing anything: **a number belongs to one batch for ever**. A broker answers a number that it
 * knows with "stored", whatever the batch holds. So a batch that is sent again gets its number again, and any other batch
 * after an outcome that is not known gets a new producer id, whose numbers begin at 0. Each lane has an id of its own,
 * which outlives a client that was thrown away. Pure: one send per lane at a time, as `KafkaSink` has it.
 */
export class LaneSequences {
  readonly #lanes = new Map<string, LaneSequence>();

  constructor(private readonly sequenceMax = SEQUENCE_MAX) {}

  /** The number of this batch; undefined: ask for a new producer id, and `begin`. */
  stampOf({ id }: SinkLane, records: readonly SinkRecord[]): ProducerStamp | undefined {
    const lane = this.#lanes.get(id);
    if (lane === undefined || !canTake(lane, records) || lane.next + records.length > this.sequenceMax) {
      return undefined;
    }
    lane.pending = records;
    return { ...lane.identity, baseSequence: lane.next };
  }

  /** The first number under a new producer id, for this batch. */
  begin({ id }: SinkLane, identity: ProducerIdentity, records: readonly SinkRecord[]): ProducerStamp {
    this.#lanes.set(id, { identity, next: 0, pending: records });
    return { ...identity, baseSequence: 0 };
  }

  acknowledged({ id }: SinkLane): void {
    const lane = this.#lanes.get(id);
    if (lane?.pending !== undefined) {
      lane.next += lane.pending.length;
      lane.pending = undefined;
    }
  }

  /** The brokers do not follow the numbers of these lanes any more: they begin anew. */
  forget(lanes: readonly SinkLane[]): void {
    for (const { id } of lanes) {
      this.#lanes.delete(id);
    }
  }

  clear(): void {
    this.#lanes.clear();
  }
}

function canTake({ pending }: LaneSequence, records: readonly SinkRecord[]): boolean {
  return (
    pending === undefined || (pending.length === records.length && pending.every((one, at) => one === records[at]))
  );
}
