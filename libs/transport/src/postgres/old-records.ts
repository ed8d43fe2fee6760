import { setTimeout as sleep } from 'node:timers/promises';
import { type DeliveryDatabase } from './delivery-database.js';
import { textOf } from './delivery-rows.js';
import { REMOVE_SQL } from './delivery.sql.js';

/** Times in milliseconds. */
export interface OldRecordsLimits {
  readonly keepMs: number;
  readonly keepReadMs: number;
  readonly intervalMs: number;
}

/** Rows of a partition in one statement: some milliseconds of work. */
const ROWS_MAX = 2_000;

/**
 * Removes what was delivered and read, while it is started. Several relays may do so beside each other: one at a time
 * does, the others find nothing.
 */
export class OldRecords {
  #stopping: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly database: Pick<DeliveryDatabase, 'rows'>,
    private readonly limits: OldRecordsLimits,
  ) {}

  /** Idempotent. */
  start(): void {
    if (this.#stopping === undefined) {
      this.#stopping = new AbortController();
      this.#running = this.#run(this.#stopping.signal);
    }
  }

  /** Lets a removal that is under way end. Idempotent, safe before start. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    this.#stopping = undefined;
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const hasMore = await this.#remove();
      if (!hasMore) {
        await sleep(this.limits.intervalMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** A database that is away is told by the sends; what could not be removed now is removed the next time. */
  async #remove(): Promise<boolean> {
    const { keepMs, keepReadMs } = this.limits;
    try {
      const [row] = await this.database.rows(REMOVE_SQL, [keepMs, keepReadMs, ROWS_MAX], 'millrace_remove');
      return Number(textOf(row, 'removed')) >= ROWS_MAX;
    } catch {
      return false;
    }
  }
}
