import { type LocalPostgres } from '@millrace/testing';
import { type RelayProcessOptions } from '../../harness/relay-process.js';
import { type Backlog } from '../backlog.js';
import { type Ceiling } from './ceiling.js';

/** The servers of one kind of sink, and of the source beside it. */
export interface DrainSink {
  /** Where programs write their logs. */
  readonly folder: string;
  readonly source: LocalPostgres;
  /** For the head of the results. */
  readonly title: string;
  readonly variants: readonly DrainVariant[];
  /** Removes the data; the logs only when nobody needs them any more. */
  stop(logs: 'keep' | 'remove'): Promise<void>;
}

/** One way to drain into a sink: two lines of the table. */
export interface DrainVariant {
  readonly name: string;
  /** What takes the same without a relay: the ceiling of this machine. */
  readonly ceiling: string;
  /** A place for one backlog; `name` is unique, of lower-case letters, digits and `_`. */
  open(name: string, backlog: Backlog): Promise<DrainPlace>;
}

/** Where the events of one run go. */
export interface DrainPlace {
  readonly relay: Pick<RelayProcessOptions, 'brokers' | 'client' | 'sink' | 'environment'>;
  /** The topic template of the route. */
  readonly topic: string;
  /** Milliseconds of processor time that the sink's server has used so far. */
  cpuMs(): number;
  /**
   * Events per second between the first that was stored and the last; where the sink does not say that, over the seconds
   * that the relay took from its claim to the last ledger write. Throws when the place does not hold all events.
   */
  rate(seconds: number): Promise<number>;
  /** Asked once, after the drain. */
  ceiling(): Promise<Ceiling>;
  remove(): Promise<void>;
}
