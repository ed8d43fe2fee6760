import { type SubscriptionListener, type SubscriptionPort, type SubscriptionStatus } from '@millrace/transport';
import { type InboxClock, pause } from './inbox-clock.js';
import { type TaskHealth } from './task-health.js';

const START_AGAIN_MS = 1_000;

const STATUS: SubscriptionStatus = {
  kind: 'rebuilding',
  reason: 'The database was away: all partitions are opened again, from what it has.',
  attempt: 1,
};

/** Ends all assignments of a subscription and has it make them anew, however often that fails. */
export class SubscriptionRestart {
  readonly #stopping = new AbortController();
  #restarts: Promise<void> = Promise.resolve();
  #underWay = 0;

  constructor(
    private readonly subscription: SubscriptionPort,
    private readonly clock: InboxClock,
    private readonly health: TaskHealth,
  ) {}

  get #isWanted(): boolean {
    return !this.#stopping.signal.aborted;
  }

  /** How the subscription stands, where a restart is no stop. */
  status(): SubscriptionStatus {
    return this.#underWay > 0 ? STATUS : this.subscription.status();
  }

  /** Returns at once. One restart follows the other, so that none is lost. */
  begin(listener: SubscriptionListener): void {
    this.#underWay++;
    this.#restarts = this.#restarts.then(async () => {
      await this.#restart(listener);
      this.#underWay--;
    });
  }

  /** Stops the subscription for good, also in the middle of a restart. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#restarts;
    await this.subscription.stop();
  }

  async #restart(listener: SubscriptionListener): Promise<void> {
    await this.subscription.stop();
    while (this.#isWanted && !(await this.#isStarted(listener))) {
      await pause(this.clock, START_AGAIN_MS, this.#stopping.signal);
    }
  }

  async #isStarted(listener: SubscriptionListener): Promise<boolean> {
    try {
      await this.subscription.start(listener);
      return true;
    } catch (error) {
      this.health.failed(error);
      return false;
    }
  }
}
