import { within } from './deadline.js';
import { type SinkLane, type SinkRecord } from './sink-port.js';
import { SinkError } from './transport.errors.js';

/** What differs from sink to sink. Times in milliseconds. */
export interface SinkLifeParts {
  /** For messages: `Kafka`. */
  readonly name: string;
  /** Sends may come before the first start, because they open what they need. */
  readonly opensItself: boolean;
  /** How long the sends in flight are waited for at the end. */
  readonly drainMs: number;
  /** Reaches the server; ends in time. Called at each start. */
  readonly open: () => Promise<void>;
  /** Gives back whatever is open, which may be nothing; ends in time, and never rejects. */
  readonly close: () => Promise<void>;
}

interface LaneSend {
  readonly lane: SinkLane;
  readonly sending: Promise<unknown>;
}

/**
 * The life of a sink: it is started and stopped as often as one likes, and knows the sends that are under way, at most one
 * per lane.
 *
 * Of a start and a stop that meet the later call counts: a start that is overtaken by a stop rejects, and what it had opened
 * is given back before the stop resolves.
 */
export class SinkLife {
  readonly #sends = new Map<string, LaneSend>();
  #isOpen: boolean;
  #stops = 0;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(private readonly parts: SinkLifeParts) {
    this.#isOpen = parts.opensItself;
  }

  /** Rejects with what `open` rejects with, or with `SinkError` `unavailable` when a stop came meanwhile. */
  async start(): Promise<void> {
    const stops = this.#stops;
    await this.#closing;
    this.#assertNotStoppedSince(stops);
    this.#opening ??= this.parts.open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
    this.#assertNotStoppedSince(stops);
    this.#isOpen = true;
  }

  /** Takes no more sends, waits a while for those in flight, then closes. Idempotent, safe before start. */
  stop(): Promise<void> {
    this.#stops += 1;
    this.#isOpen = false;
    this.#closing ??= this.#drainAndClose().finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  /** Throws `SinkError` `unavailable` while the sink is stopped. */
  assertOpen(): void {
    if (!this.#isOpen) {
      throw new SinkError('unavailable', `The ${this.parts.name} sink is not started: start it before sending.`);
    }
  }

  /**
   * Sends, at once. Throws a plain `Error` for a caller's mistake: a send on this lane is under way, or there are no
   * records.
   */
  async send<Receipt>(
    lane: SinkLane,
    records: readonly SinkRecord[],
    send: (lane: SinkLane, records: readonly SinkRecord[]) => Promise<Receipt>,
  ): Promise<Receipt> {
    if (this.#sends.has(lane.id)) {
      throw new Error(`Lane ${lane.id} has a send in flight: wait for it before the next one.`);
    }
    if (records.length === 0) {
      throw new Error(`A send on lane ${lane.id} needs at least one record.`);
    }
    const sending = send(lane, records);
    this.#sends.set(lane.id, { lane, sending });
    try {
      return await sending;
    } finally {
      this.#sends.delete(lane.id);
    }
  }

  /** Resolves when the sends that are under way now, on lanes that are meant, have ended, well or not. */
  async endOfSends(isMeant: (lane: SinkLane) => boolean = () => true): Promise<void> {
    const meant = [...this.#sends.values()].filter(({ lane }) => isMeant(lane));
    await Promise.allSettled(meant.map(({ sending }) => sending));
  }

  async #drainAndClose(): Promise<void> {
    await within(this.parts.drainMs, this.endOfSends(), () => undefined);
    await this.#opening?.catch(() => undefined);
    await this.parts.close();
  }

  #assertNotStoppedSince(stops: number): void {
    if (this.#stops !== stops) {
      throw new SinkError('unavailable', `The ${this.parts.name} sink was stopped before it had started.`);
    }
  }
}
