interface Waiter {
  readonly isDone: () => boolean;
  readonly resolve: () => void;
}

const WAIT_MS = 60_000;

/** Lets a test wait for a state: whoever changes something says so, and what is waited for is looked at again. */
export class ChangeSignal {
  readonly #waiters = new Set<Waiter>();

  changed(): void {
    for (const waiter of this.#waiters) {
      if (waiter.isDone()) {
        this.#waiters.delete(waiter);
        waiter.resolve();
      }
    }
  }

  /** `what` completes the sentence "there never was ...". */
  async until(what: string, isDone: () => boolean, waitMs = WAIT_MS): Promise<void> {
    if (isDone()) {
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`Within ${waitMs} ms there never was ${what}.`));
      }, waitMs);
      const waiter: Waiter = {
        isDone,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      this.#waiters.add(waiter);
    });
  }
}
