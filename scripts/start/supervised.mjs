import { setTimeout as sleep } from 'node:timers/promises';
import { say } from './say.mjs';
import { restartDelay } from './restart-delay.mjs';

/**
 * Keeps a program running: `start()` resolves when it is up, `exited()` when it has ended, `stop(signal)` ends it. A
 * program that ends by itself after it was up is reported and started again; `onChange` is told when it is down (false)
 * and up again (true).
 */
export class Supervised {
  #stopping = new AbortController();
  #starting = Promise.resolve();
  #watching = Promise.resolve();

  constructor(title, program, onChange = () => undefined) {
    this.title = title;
    this.program = program;
    this.onChange = onChange;
  }

  /** Starts it for the first time; rejects when it does not come up. */
  async start() {
    const starting = this.program.start();
    this.#starting = starting.catch(() => undefined); // the caller is told
    await starting;
    if (!this.#stopping.signal.aborted) {
      this.#watching = this.#watch();
    }
  }

  /** Stops it in order and for good. Safe at any time and more than once. */
  async stop() {
    this.#stopping.abort();
    await this.program.stop();
    await Promise.all([this.#starting, this.#watching]);
    await this.program.stop(); // for what a start in progress has still brought up
  }

  /** Ends it at once. */
  async kill() {
    this.#stopping.abort();
    await this.program.kill();
  }

  async #watch() {
    let previousMs;
    for (;;) {
      const startedAt = performance.now();
      const how = await this.program.exited();
      if (this.#stopping.signal.aborted) {
        return;
      }
      this.onChange(false);
      previousMs = restartDelay({ ranForMs: performance.now() - startedAt, previousMs });
      say(
        `${this.title} ended unexpectedly${how === undefined ? '' : ` (${how})`}; starting it again in ${previousMs / 1_000} s.`,
      );
      if (!(await this.#pause(previousMs))) {
        return;
      }
      await this.#startAgain();
    }
  }

  async #startAgain() {
    try {
      await this.program.start();
      if (!this.#stopping.signal.aborted) {
        say(`${this.title} is running again.`);
        this.onChange(true);
      }
    } catch (error) {
      // not up: the next turn of the watch finds it ended, reports it and waits longer
      if (!this.#stopping.signal.aborted) {
        say(error.message);
      }
    }
  }

  async #pause(milliseconds) {
    try {
      await sleep(milliseconds, undefined, { signal: this.#stopping.signal });
      return true;
    } catch {
      return false; // it is being stopped
    }
  }
}
