import { type Breaker } from './breaker.js';
import { type InboxClock } from './inbox-clock.js';
import { type InboxObserver } from './inbox-observer.js';
import { type InboxPort, type PartitionProgress } from './inbox-port.js';
import { type PartitionSession } from './partition-session.js';
import { TaskHealth } from './task-health.js';

/** What progress is written with. */
export interface ProgressParts {
  readonly inbox: Pick<InboxPort, 'saveProgress' | 'openPartition'>;
  readonly breaker: Breaker;
  readonly clock: InboxClock;
  readonly intervalMs: number;
  /** Progress was written. */
  readonly written: () => void;
  readonly observer: Required<InboxObserver>;
}

/** How often a frozen partition is looked up, and how long a failed write waits. */
const SLOW_MS = 5_000;
const FAILED_MS = 1_000;

/**
 * Writes the progress of all partitions with one statement per interval, and only then lets the group's offsets move.
 * Writes do not overlap, so a partition's progress never goes back. A session that is closing is written by its flush
 * alone: the next session of its partition may be there already, and no statement can have both. Idle while there is
 * nothing to write.
 */
export class ProgressWriter {
  readonly #sessions = new Set<PartitionSession>();
  #writing: Promise<void> = Promise.resolve();
  #cancelWrite: (() => void) | null = null;
  #cancelLook: (() => void) | null = null;
  readonly #health: TaskHealth;
  #isStopped = false;

  constructor(private readonly parts: ProgressParts) {
    this.#health = new TaskHealth('progress', parts.observer);
  }

  add(session: PartitionSession): void {
    this.#sessions.add(session);
  }

  /** Something has changed: it is written within the interval. */
  touched(): void {
    this.#writeLater(this.parts.intervalMs);
  }

  /** Writes what is left of one session, which is then forgotten. Never rejects; gives up while the database is away. */
  async flush(session: PartitionSession): Promise<void> {
    await this.#write([session]);
    this.#sessions.delete(session);
  }

  /** Ends the timers; call it when all sessions are flushed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelWrite?.();
    this.#cancelLook?.();
    await this.#writing;
  }

  #writeLater(waitMs: number): void {
    if (this.#cancelWrite === null && !this.#isStopped) {
      this.#cancelWrite = this.parts.clock.after(waitMs, () => {
        this.#cancelWrite = null;
        void this.#write([...this.#sessions].filter(({ isClosing }) => !isClosing));
      });
    }
  }

  /** One after the other. */
  #write(sessions: readonly PartitionSession[]): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeNow(sessions));
    return this.#writing;
  }

  async #writeNow(sessions: readonly PartitionSession[]): Promise<void> {
    if (this.parts.breaker.isOpen) {
      this.#writeLater(FAILED_MS);
      return;
    }
    const written = sessions
      .map((session) => ({ session, progress: session.takeProgress() }))
      .filter((item): item is Written => item.progress !== null);
    if (written.length === 0) {
      return;
    }
    try {
      await this.parts.inbox.saveProgress(written.map(({ progress }) => progress));
    } catch (error) {
      await this.#failed(written, error);
      return;
    }
    this.#health.worked();
    for (const { session, progress } of written) {
      session.saved(progress);
    }
    this.parts.written();
    this.#lookLater();
  }

  async #failed(written: readonly Written[], error: unknown): Promise<void> {
    for (const { session } of written) {
      session.notSaved();
    }
    if (await this.parts.breaker.isDatabaseThere(error)) {
      this.#health.failed(error);
    }
    this.#writeLater(FAILED_MS);
  }

  /** As long as a partition is frozen: has somebody thawed it? */
  #lookLater(): void {
    const isFrozen = [...this.#sessions].some((session) => session.isFrozenForAll);
    if (isFrozen && this.#cancelLook === null && !this.#isStopped) {
      this.#cancelLook = this.parts.clock.after(SLOW_MS, () => {
        this.#cancelLook = null;
        void this.#look();
      });
    }
  }

  async #look(): Promise<void> {
    for (const session of this.#sessions) {
      if (session.isFrozenForAll) {
        await this.#lookAt(session);
      }
    }
    this.#lookLater();
  }

  async #lookAt(session: PartitionSession): Promise<void> {
    try {
      session.refresh(await this.parts.inbox.openPartition(session.topic, session.partition));
    } catch (error) {
      await this.parts.breaker.isDatabaseThere(error);
    }
  }
}

interface Written {
  readonly session: PartitionSession;
  readonly progress: PartitionProgress;
}
