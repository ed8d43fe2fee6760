import { type Breaker } from './breaker.js';
import { backoffMs, type InboxClock } from './inbox-clock.js';
import { type InboxObserver } from './inbox-observer.js';
import { type Handle, type HoldVerdict, type InboxPort, type ReleaseReport } from './inbox-port.js';
import { failureCodeOf, heldVerdict, parkedVerdict, policyFor } from './retry-policy.js';
import { TaskHealth } from './task-health.js';

/** What held chains are released with. */
export interface ReleaseParts {
  readonly inbox: Pick<InboxPort, 'releaseDue'>;
  readonly handle: Handle;
  readonly breaker: Breaker;
  readonly clock: InboxClock;
  readonly maxAttempts: number;
  readonly observer: Required<InboxObserver>;
}

const HELD_MIN_MS = 1_000;
const HELD_MAX_MS = 300_000;
/** A foreign server that is away, or a statement that costs its connection, is not asked every second. */
const AWAY_HELD_MS = 15_000;
/** Other members may add a chain at any time. */
const LOOK_MS = 5_000;
const AWAY_MS = 1_000;
const SOON_MS = 10;
const STOP_MS = 5_000;

/** Tries the held chains of a consumer again when they are due, one round at a time. */
export class ChainReleaser {
  #round: Promise<void> = Promise.resolve();
  #cancel = (): void => undefined;
  readonly #health: TaskHealth;
  #isStopped = false;

  constructor(private readonly parts: ReleaseParts) {
    this.#health = new TaskHealth('release', parts.observer);
  }

  start(): void {
    this.#runLater(0);
  }

  /**
   * Begins no further round; resolves when the running one has ended, or after 5 s: what it is at is then rolled back
   * with its connection, and due again. Idempotent, safe before start.
   */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    let cancel = (): void => undefined;
    const timeout = new Promise<void>((resolve) => {
      cancel = this.parts.clock.after(STOP_MS, resolve);
    });
    await Promise.race([this.#round, timeout]);
    cancel();
  }

  #runLater(waitMs: number): void {
    if (!this.#isStopped) {
      this.#cancel = this.parts.clock.after(waitMs, () => {
        this.#round = this.#run();
      });
    }
  }

  async #run(): Promise<void> {
    if (this.parts.breaker.isOpen) {
      this.#runLater(AWAY_MS);
      return;
    }
    try {
      const report = await this.parts.inbox.releaseDue(this.parts.handle, (error, attempt) =>
        judgeRelease(error, attempt, this.parts),
      );
      this.#health.worked();
      this.#tell(report);
      this.#runLater(Math.max(SOON_MS, Math.min(report.nextDueInMs ?? LOOK_MS, LOOK_MS)));
    } catch (error) {
      if (await this.parts.breaker.isDatabaseThere(error)) {
        this.#health.failed(error);
      }
      this.#runLater(LOOK_MS);
    }
  }

  #tell(report: ReleaseReport): void {
    if (report.applied > 0) {
      this.parts.observer.chainsReleased(report.applied);
    }
    for (const { id, topic, code } of report.parked) {
      this.parts.observer.chainParked({ id, topic, code });
    }
  }
}

/**
 * What becomes of a chain whose head has failed on its `attempt`-th try. One that failed as if the database were away is
 * put off, uncounted, like one that was in another's way: if the database is away, that cannot be written, and if it is
 * there, the chain must not stop the others.
 */
export function judgeRelease(
  error: unknown,
  attempt: number,
  { maxAttempts, clock, observer }: Pick<ReleaseParts, 'maxAttempts' | 'clock' | 'observer'>,
): HoldVerdict {
  const code = failureCodeOf(error);
  const { action } = policyFor(code);
  observer.attemptFailed({ code, action, records: 1, error });
  switch (action) {
    case 'park':
      return parkedVerdict(error, code);
    case 'wait':
    case 'again':
      return { ...heldVerdict(error, code, action === 'wait' ? AWAY_HELD_MS : HELD_MIN_MS), isFree: true };
    case 'retry':
    case 'hold':
      return attempt >= maxAttempts
        ? parkedVerdict(error, code)
        : heldVerdict(error, code, backoffMs(attempt + 1, HELD_MIN_MS, HELD_MAX_MS, clock));
  }
}
