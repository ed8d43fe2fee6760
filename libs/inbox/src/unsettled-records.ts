import { type AssignedPartition, type Delivery } from '@millrace/transport';
import { type Decoded } from './decode-delivery.js';
import { type WindowEntry } from './offset-window.js';

/**
 * The records of a queue that are not done. A queue has no offsets, so no progress is kept of it: each record is settled
 * by itself, once what became of it is committed. Of a partition with offsets it keeps nothing.
 */
export class UnsettledRecords {
  readonly #deliveries = new Map<WindowEntry, Delivery>();

  constructor(private readonly partition: Pick<AssignedPartition, 'settle'>) {}

  get isQueue(): boolean {
    return this.partition.settle !== undefined;
  }

  add(entry: WindowEntry, delivery: Delivery): void {
    if (this.isQueue) {
      this.#deliveries.set(entry, delivery);
    }
  }

  /** Call it once for each entry that is done; with `isKept` false the record comes again. */
  finish(entry: WindowEntry, isKept: boolean): void {
    const delivery = this.#deliveries.get(entry);
    this.#deliveries.delete(entry);
    if (delivery !== undefined && isKept) {
      this.partition.settle?.(delivery);
    }
  }

  /**
   * What a record of a queue is: its floor could be that of another queue's share of the stream, so its event is claimed by
   * its id alone, and the claim is kept for 30 days. No message of SQS comes back after so long.
   */
  read(decoded: Decoded): Decoded {
    if (!this.isQueue || decoded.kind === 'malformed') {
      return decoded;
    }
    return decoded.kind === 'event'
      ? { ...decoded, arrival: { ...decoded.arrival, isBypassingFloor: true }, mark: null }
      : { ...decoded, mark: null };
  }
}
