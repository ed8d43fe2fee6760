import { type Delivery, type SinkLane, type SinkPort } from '@millrace/transport';

/** What can be done to all connections between the sinks of a subject and its server. */
export interface SinkFaults {
  /** Connections are cut, and so is every new one, until `heal`. */
  readonly cut: () => void;
  /** Nothing arrives any more, on open connections and on new ones. What was on its way may arrive after `heal`. */
  readonly silence: () => void;
  /** The server does what it is asked, and its answers are lost. Sends may hear nothing until `cut`. */
  readonly loseReplies: () => void;
  /** Of a batch that is sent now a part alone reaches the server, or is taken by it. */
  readonly breakBatches: () => void;
  /** Everything passes again. */
  readonly heal: () => void;
}

/** A topic on whose server one value is refused, and every other one of the same kind taken. */
export interface PoisonedTopic {
  readonly topic: string;
  readonly value: Buffer;
}

/** Some lanes are slow: what is sent to them has no answer until `release`. */
export interface SlowLanes {
  readonly ids: ReadonlySet<string>;
  readonly release: () => Promise<void>;
}

/** Makes the lane slow, and as few others as can be. Records that are sent to it have this key. */
export type SlowDown = (lane: SinkLane, key: Buffer) => Promise<SlowLanes>;

/** An implementation of `SinkPort` on its real server, as the conformance suite needs it. */
export interface SinkSubject {
  readonly name: string;
  /** Milliseconds: how long the suite waits for what must happen. */
  readonly patienceMs: number;
  /**
   * A sink of its own, not started, that reaches the server by way of the faults. Its limits of time are short, so that
   * the suite is: 2 s to 8 s until a send without an answer rejects, and `CONFORMANCE_DRAIN_MS` for `stop`.
   */
  create(): SinkPort;
  /** A topic that there was not before and that sinks may open, of several lanes. */
  makeTopic(): Promise<string>;
  makePoisonedTopic(): Promise<PoisonedTopic>;
  /**
   * All that the topic has stored since it was made, past the faults and not by a sink's memory; the records of a key in
   * their order. It may be asked again and again.
   */
  readAll(topic: string): Promise<readonly Delivery[]>;
  readonly faults: SinkFaults;
  /** By property: within what a promise holds, as the table says beside `passed`. */
  readonly limits?: Readonly<Record<string, string>>;
  /** Or a sentence that says why lanes cannot be slow one by one: then it is not promised that they are. */
  readonly slowDown: SlowDown | string;
}

/** The drain time of a subject's sinks, in milliseconds. */
export const CONFORMANCE_DRAIN_MS = 2_000;
