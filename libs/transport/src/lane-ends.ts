import { type SinkLane, type SinkTopic } from './sink-port.js';
import { SinkError } from './transport.errors.js';

/** Says that the log of a lane ends below where it had ended, why that may be, and what to do. */
export type TellLoss = (loss: { readonly laneId: string; readonly end: bigint; readonly known: bigint }) => string;

/**
 * Where the log of each lane ended after the last batch that was confirmed: it never ends below that later, unless
 * something was lost. Then events that were acknowledged are gone, and nothing of the lane is believed until somebody has
 * looked and it is opened again: what is sent again makes the log grow past the place and would hide it.
 */
export class LaneEnds {
  readonly #ends = new Map<string, bigint>();
  readonly #alarms = new Map<string, string>();

  constructor(private readonly tellLoss: TellLoss) {}

  /** `before` and `after` are the ends of the lane around a batch. Throws `SinkError` `receipt_invalid`. */
  accept({ id }: SinkLane, before: bigint, after: bigint): void {
    const known = this.#ends.get(id) ?? 0n;
    if (before < known && !this.#alarms.has(id)) {
      this.#alarms.set(id, this.tellLoss({ laneId: id, end: before, known }));
    }
    const alarm = this.#alarms.get(id);
    if (alarm !== undefined) {
      throw new SinkError('receipt_invalid', alarm);
    }
    this.#ends.set(id, after);
  }

  /** For a topic that is opened again: lanes whose log went back begin anew, because somebody has looked. */
  forgive({ lanes }: SinkTopic): void {
    for (const { id } of lanes) {
      if (this.#alarms.delete(id)) {
        this.#ends.delete(id);
      }
    }
  }

  /** For a topic that is no more, or was made anew: its lanes begin anew. */
  forget(topic: SinkTopic | undefined): void {
    for (const { id } of topic?.lanes ?? []) {
      this.#alarms.delete(id);
      this.#ends.delete(id);
    }
  }

  clear(): void {
    this.#ends.clear();
    this.#alarms.clear();
  }
}
