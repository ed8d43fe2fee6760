import { growingPauseMs } from '../growing-pause.js';
import { type PartitionFeed } from './partition-feed.js';

const PAUSE = { firstMs: 250, maxMs: 3_000 };

/** Feeds that are left alone for a while, for longer each time, until all is well with them again. */
export class FeedPauses {
  readonly #attempts = new Map<PartitionFeed, number>();
  readonly #timers = new Map<PartitionFeed, NodeJS.Timeout>();

  has(feed: PartitionFeed): boolean {
    return this.#timers.has(feed);
  }

  /** Returns true for the first one since all was well. */
  begin(feed: PartitionFeed, onOver: () => void): boolean {
    const attempt = (this.#attempts.get(feed) ?? 0) + 1;
    this.#attempts.set(feed, attempt);
    clearTimeout(this.#timers.get(feed));
    const timer = setTimeout(
      () => {
        this.#timers.delete(feed);
        onOver();
      },
      growingPauseMs(attempt, PAUSE),
    );
    this.#timers.set(feed, timer);
    return attempt === 1;
  }

  allIsWell(feed: PartitionFeed): void {
    this.#attempts.delete(feed);
  }

  close(): void {
    for (const timer of this.#timers.values()) {
      clearTimeout(timer);
    }
    this.#timers.clear();
  }
}
