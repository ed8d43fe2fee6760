import { type EventRow } from './event-row.js';
import { OutboxError } from './outbox.errors.js';
import { writeRows } from './outbox-writer.js';
import { type Transaction } from './transaction.js';

const QUEUE_BYTES_MAX = 128 * 1_024 * 1_024;

/**
 * The events of one ambient transaction, or of one savepoint in it, until COMMIT. Order is the order of `add`. An event
 * that was refused fails the whole scope when it ends, even where the caller did not await or caught the error: a
 * transaction never commits without an event that it asked for.
 */
export class EventQueue {
  readonly #entries: Promise<readonly EventRow[]>[] = [];
  #isOpen = true;

  /** False once the transaction or savepoint has ended. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Takes a place in the order at once; the rows may still be in the making. */
  add(rows: Promise<readonly EventRow[]>): void {
    if (!this.#isOpen) {
      throw new OutboxError(
        'transaction_finished',
        'The ambient transaction has ended. Await what publishes inside of the transactional method.',
      );
    }
    this.#entries.push(rows);
  }

  /** Writes everything in one statement (per 1,000 rows); to be called as the last thing before COMMIT. */
  async flush(transaction: Transaction): Promise<void> {
    const rows = await this.settle();
    if (rows.length > 0) {
      await writeRows(transaction, rows);
    }
  }

  /** Hands a released savepoint's events to the scope around it. */
  async mergeInto(outer: EventQueue): Promise<void> {
    outer.add(Promise.resolve(await this.settle()));
  }

  /** Drops everything: the transaction or savepoint was rolled back. */
  discard(): void {
    this.#isOpen = false;
    this.#entries.length = 0;
  }

  /** Entries that arrive while earlier ones are awaited are taken too; after the last one the queue is closed. */
  private async settle(): Promise<readonly EventRow[]> {
    const rows: EventRow[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      for (const row of await entry) {
        bytes += row.bytes;
        if (bytes > QUEUE_BYTES_MAX) {
          throw new OutboxError(
            'queue_full',
            `One ambient transaction may queue ${QUEUE_BYTES_MAX} bytes of events. ` +
              'Publish bulk with the explicit form, publish(transaction, contract, payloads), in parts.',
          );
        }
        rows.push(row);
      }
    }
    this.#isOpen = false;
    return rows;
  }
}
