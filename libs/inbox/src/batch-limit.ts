import { type InboxClock } from './inbox-clock.js';

const PAUSE_MIN_MS = 10_000;
const PAUSE_MAX_MS = 300_000;

/**
 * How many events a transaction may have just now. Two batches lock the rows of several events in whatever order they
 * come, so they can deadlock, which the server notices after a second; one event alone seldom can. After a conflict
 * there are no batches for 10 s, and twice as long, up to 5 minutes, when the next conflict follows soon.
 */
export class BatchLimit {
  #pausedUntilMs = -Infinity;
  #pauseMs = PAUSE_MIN_MS;

  constructor(
    private readonly most: number,
    private readonly clock: InboxClock,
  ) {}

  get size(): number {
    return this.clock.monotonicMs() < this.#pausedUntilMs ? 1 : this.most;
  }

  /** A batch was in another transaction's way. The batches that ran beside it count with it. */
  conflicted(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs < this.#pausedUntilMs) {
      return;
    }
    const isSoon = nowMs - this.#pausedUntilMs < this.#pauseMs;
    this.#pauseMs = isSoon ? Math.min(this.#pauseMs * 2, PAUSE_MAX_MS) : PAUSE_MIN_MS;
    this.#pausedUntilMs = nowMs + this.#pauseMs;
  }
}
