import { setTimeout as sleep } from 'node:timers/promises';
import { readInstance } from '../start/instance.mjs';
import { Random } from './random.mjs';

const PAUSE_MS = { shortest: 8_000, longest: 24_000 };
const POLL_MS = 100;
const RETURN_LIMIT_MS = 90_000;
const DOWN_AT_ONCE_MAX = 2;
/** How often each is drawn, of the ones that are up. */
const WEIGHTS = { relay: 3, order: 2, inventory: 2, payment: 2, kafka: 2, postgres: 2 };

/**
 * Kills, with SIGKILL, one program of `npm start` after the other, drawn by the seed, and sees that it comes back by
 * itself. Two may be down at a time; so a slow machine sees fewer kills, not an outage without end. Servers that
 * `npm start` has not started are left alone.
 */
export class Chaos {
  #random;
  #pauseMs;
  #stopping = new AbortController();
  #running;
  #down = new Map();
  #read;
  #kill;
  kills = new Map();
  backAfterMs = [];
  last;

  constructor(seed, { read = readInstance, kill = process.kill.bind(process), pauseMs = PAUSE_MS } = {}) {
    this.#random = new Random(seed);
    this.#pauseMs = pauseMs;
    this.#read = read;
    this.#kill = kill;
  }

  start() {
    this.#running = Promise.all([this.#strike(), this.#watchReturns()]);
  }

  /** Kills no more; resolves, when all that was killed is up again or should be, to the names of what is not. */
  async stop() {
    this.#stopping.abort();
    await this.#running;
    return [...this.#down.keys()];
  }

  get count() {
    return [...this.kills.values()].reduce((sum, kills) => sum + kills, 0);
  }

  async #strike() {
    while (await this.#pause(this.#random.between(this.#pauseMs.shortest, this.#pauseMs.longest))) {
      const up = (this.#read()?.processes ?? []).filter(({ name, pid }) => pid !== null && !this.#down.has(name));
      if (up.length > 0 && this.#down.size < DOWN_AT_ONCE_MAX) {
        this.#strikeOne(this.#random.pick(up.flatMap((one) => Array.from({ length: WEIGHTS[one.name] }, () => one))));
      }
    }
  }

  #strikeOne({ name, pid }) {
    try {
      this.#kill(pid, 'SIGKILL');
    } catch (error) {
      if (error.code === 'ESRCH') {
        return; // it has ended by itself in this moment
      }
      throw error;
    }
    this.#down.set(name, { pid, atMs: performance.now() });
    this.kills.set(name, (this.kills.get(name) ?? 0) + 1);
    this.last = `${name} killed`;
  }

  async #watchReturns() {
    while (!this.#stopping.signal.aborted || this.#isReturnAwaited()) {
      for (const { name, pid } of this.#read()?.processes ?? []) {
        const down = this.#down.get(name);
        if (down !== undefined && pid !== null && pid !== down.pid) {
          this.#down.delete(name);
          const tookMs = performance.now() - down.atMs;
          this.backAfterMs.push(tookMs);
          this.last = `${name} back after ${(tookMs / 1_000).toFixed(1)} s`;
        }
      }
      await sleep(POLL_MS);
    }
  }

  #isReturnAwaited() {
    return [...this.#down.values()].some(({ atMs }) => performance.now() - atMs < RETURN_LIMIT_MS);
  }

  async #pause(milliseconds) {
    try {
      await sleep(milliseconds, undefined, { signal: this.#stopping.signal });
      return true;
    } catch {
      return false;
    }
  }
}
