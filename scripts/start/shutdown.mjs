import { onParentGone } from '../setup/parent.mjs';
import { say } from './say.mjs';

/** A terminal's Ctrl-C, and npm, which passes it on, are heard as several signals. */
const ONE_REQUEST_MS = 300;

/**
 * Knows what runs, and stops it in the reverse order at the first SIGINT, SIGTERM or SIGHUP, or when the npm that
 * started this process is gone. A second signal ends everything at once.
 */
export class Shutdown {
  #stages = [];
  #requestedAt;
  #request;
  #stopping;
  #parentWatch;

  constructor() {
    this.requested = new Promise((resolve) => {
      this.#request = resolve;
    });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => this.#hear());
    }
    this.#parentWatch = onParentGone(() => this.#hear());
  }

  get isRequested() {
    return this.#requestedAt !== undefined;
  }

  /** Throws when a stop was asked for, so that a start in progress ends. */
  check() {
    if (this.isRequested) {
      throw new Error('The start was told to stop.');
    }
  }

  /** Names what is being started, in the order in which it starts; things of one stage stop side by side. */
  add(stage, title, supervised) {
    const known = this.#stages.find(({ name }) => name === stage);
    if (known === undefined) {
      this.#stages.push({ name: stage, members: [{ title, supervised }] });
    } else {
      known.members.push({ title, supervised });
    }
  }

  /** Stops all, the last stage first. Repeated calls wait for the same stop. */
  async stopAll() {
    this.#requestedAt ??= performance.now();
    this.#stopping ??= this.#stopStages();
    await this.#stopping;
    this.#parentWatch.stop();
  }

  async #stopStages() {
    for (const { members } of this.#stages.toReversed()) {
      say(`Stopping ${members.map(({ title }) => title).join(', ')} ...`);
      await Promise.all(members.map(async ({ supervised }) => supervised.stop()));
    }
    if (this.#stages.length > 0) {
      say('Everything is stopped.');
    }
  }

  #hear() {
    const now = performance.now();
    if (this.#requestedAt === undefined) {
      this.#requestedAt = now;
      this.#request();
      void this.stopAll();
    } else if (now - this.#requestedAt > ONE_REQUEST_MS) {
      void this.#force();
    }
  }

  async #force() {
    say('Ending everything at once.');
    const all = this.#stages.flatMap(({ members }) => members);
    await Promise.allSettled(all.map(async ({ supervised }) => supervised.kill()));
    process.exit(1);
  }
}
