import { type HttpFaultProxy, type LocalSqs } from '@millrace/testing';
import { type LibEdit } from '../../../harness/libs-copy.js';
import { type FindingKind } from '../../capture/findings.js';
import { type RowDescription, type RowScene } from '../publish-row.js';
import { type QueueReader } from './queue-reader.js';

/** What a row on a queue of SQS works with. */
export interface QueueScene extends RowScene {
  readonly row: QueueRow;
  readonly sqs: LocalSqs;
  /** Between the relays and the queue; a row may put its consumers behind it, too. */
  readonly proxy: HttpFaultProxy;
  /** The name of the route's queue. */
  readonly queue: string;
  /** Has what came out of the queue, once a row's consumers are put behind it. */
  readonly reader: QueueReader;
}

/** A row of the matrix whose fault is on the side of SQS, or between it and a relay or a consumer. */
export interface QueueRow extends RowDescription {
  /** A standard queue has no order and takes every copy. */
  readonly kind: 'fifo' | 'standard';
  /** For a control: what is put into the libraries that the relays run on, and what must be found then. */
  readonly wrongRule?: { readonly edits: readonly LibEdit[]; readonly finds: FindingKind };
  /**
   * Starts the relays, the load and what consumes, does the fault and looks at what only this row knows. Afterwards the
   * load is ended and everything that was committed is held against what came out of the queue.
   */
  run(scene: QueueScene): Promise<void>;
}
