import { sourceSilent } from './problem.js';
import { type RelayClock } from './relay-clock.js';
import { withDeadline } from './waiting.js';

/**
 * The calls over the connection of a claim's ledger: writes, and readings of what is held, one at a time. A call that fails,
 * or has no answer in time, ends the claim, so none follows it.
 */
export class LedgerCalls {
  private sinceMs: number | null = null;
  private readonly over = new AbortController();

  constructor(
    private readonly clock: RelayClock,
    private readonly deadlineMs: number,
  ) {}

  get isBusy(): boolean {
    return this.sinceMs !== null;
  }

  /** Milliseconds for which the call under way has had no answer; 0 when there is none. */
  get waitingMs(): number {
    return this.sinceMs === null ? 0 : this.clock.monotonicMs() - this.sinceMs;
  }

  /** Ends with the claim. */
  get signal(): AbortSignal {
    return this.over.signal;
  }

  async make<T>(call: () => Promise<T>): Promise<T> {
    this.sinceMs = this.clock.monotonicMs();
    const deadline = { clock: this.clock, ms: this.deadlineMs, signal: this.over.signal, error: sourceSilent };
    const result = await withDeadline(call(), deadline);
    this.sinceMs = null;
    return result;
  }

  close(): void {
    this.over.abort();
  }
}
