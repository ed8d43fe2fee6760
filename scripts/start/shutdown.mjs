import { onParentGone } from '../setup/parent.mjs';
import { say } from './say.mjs';

/** One Ctrl-C is heard several times: from the terminal, from npm and from the process between, which pass it on. */
const ONE_CTRL_C_MS = 1_000;

/**
 * Knows what runs, and stops it in the reverse order at the first SIGINT, SIGTERM or SIGHUP, or when the npm that
 * started this process is gone. Only a second SIGINT, which a person sends, ends everything at once: a supervisor's
 * SIGTERM to a process group comes again from each process that passes it on, at any time.
 */
export class Shutdown {
  #stages = [];
  #source;
  #isRequested = false;
  #interruptedAt;
  #request;
  #stopping;
  #parentWatch;

  constructor(source = process, watchParent = onParentGone) {
    this.#source = source;
    this.requested = new Promise((resolve) => {
      this.#request = resolve;
    });
    source.on('SIGINT', () => this.#interrupt());
    source.on('SIGTERM', () => this.#stop());
    source.on('SIGHUP', () => this.#stop());
    this.#parentWatch = watchParent(() => this.#stop());
  }

  get isRequested() {
    return this.#isRequested;
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
    this.#isRequested = true;
    this.#stopping ??= this.#stopStages();
    await this.#stopping;
    this.#parentWatch.stop();
  }

  async #stopStages() {
    for (const { members } of this.#stages.toReversed()) {
      say(`Stopping ${members.map(({ title }) => title.replace(/^The /, 'the ')).join(', ')} ...`);
      await Promise.all(members.map(async ({ supervised }) => supervised.stop()));
    }
    if (this.#stages.length > 0) {
      say('Everything is stopped.');
    }
  }

  #stop() {
    this.#request();
    void this.stopAll();
  }

  #interrupt() {
    const now = performance.now();
    this.#interruptedAt ??= now;
    if (now - this.#interruptedAt < ONE_CTRL_C_MS) {
      this.#stop();
    } else {
      void this.#force();
    }
  }

  async #force() {
    say('Ending everything at once.');
    const all = this.#stages.flatMap(({ members }) => members);
    await Promise.allSettled(all.map(async ({ supervised }) => supervised.kill()));
    this.#source.exit(1);
  }
}
