import { type Breaker } from './breaker.js';
import { type InboxClock } from './inbox-clock.js';
import { type InboxObserver } from './inbox-observer.js';
import { type InboxPort } from './inbox-port.js';
import { TaskHealth } from './task-health.js';

/** What claims are removed with. */
export interface PruneParts {
  readonly inbox: Pick<InboxPort, 'prune'>;
  readonly breaker: Breaker;
  readonly clock: InboxClock;
  readonly observer: Required<InboxObserver>;
}

const PRUNE_MS = 1_000;
const FAILED_MS = 10_000;

/**
 * Removes claims that are not needed any more, at most once a second and only while progress is made. Beside everything
 * else: that it is slow or fails costs room in the database, never progress.
 */
export class ClaimPruner {
  #round: Promise<void> | null = null;
  #cancel: (() => void) | null = null;
  readonly #health: TaskHealth;
  #isStopped = false;

  constructor(private readonly parts: PruneParts) {
    this.#health = new TaskHealth('prune', parts.observer);
  }

  /** Progress was written, so there may be something to remove. */
  touched(): void {
    if (this.#round === null && this.#cancel === null) {
      this.#runLater(PRUNE_MS);
    }
  }

  /** Begins nothing more; resolves when the step that runs has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#round;
  }

  #runLater(waitMs: number): void {
    if (!this.#isStopped) {
      this.#cancel = this.parts.clock.after(waitMs, () => {
        this.#cancel = null;
        this.#round = this.#run();
      });
    }
  }

  async #run(): Promise<void> {
    const isDone = await this.#pruneAll();
    this.#round = null;
    if (!isDone) {
      this.#runLater(FAILED_MS);
    }
  }

  async #pruneAll(): Promise<boolean> {
    try {
      for (let isMoreLeft = true; isMoreLeft && !this.#isStopped && !this.parts.breaker.isOpen;) {
        ({ isMoreLeft } = await this.parts.inbox.prune());
        this.#health.worked();
      }
      return true;
    } catch (error) {
      if (await this.parts.breaker.isDatabaseThere(error)) {
        this.#health.failed(error);
      }
      return false;
    }
  }
}
