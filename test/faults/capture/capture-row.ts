import { type CaptureMode } from '@millrace/capture';
import { type LibEdit } from '../../harness/libs-copy.js';
import { type RowWorld } from './row-world.js';

/** A row of the matrix. The world around it starts the servers before, and judges after, what it does. */
export interface CaptureRow {
  /** As `14` or `C3`. */
  readonly id: string;
  readonly title: string;
  /** The modes in which it means something. */
  readonly modes: readonly CaptureMode[];
  /** Above the defaults of the row's own PostgreSQL. */
  readonly postgresSettings?: Readonly<Record<string, string | number>>;
  /** One when left out; each publishes all events of the load, to a topic of its own unless said otherwise. */
  readonly routes?: readonly string[];
  /** All publish to the topic of the first one. */
  readonly areRoutesInOneTopic?: boolean;
  /** For relays whose limits are to be met sooner: changes of the libraries' copy that they run on. */
  readonly edits?: readonly LibEdit[];
  /** Why this machine cannot do the row; `undefined` when it can. */
  unable?(): string | undefined;
  /**
   * Starts the relays and the load, does the fault and looks at what only this row knows; what is wrong goes to
   * `world.found`. Afterwards the load is ended and everything that was committed is held against the topics.
   */
  run(world: RowWorld): Promise<void>;
}

/** The modes that a row of both ways has. */
export const BOTH_MODES: readonly CaptureMode[] = ['polling', 'wal'];
