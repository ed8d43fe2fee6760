import { setTimeout as sleep } from 'node:timers/promises';
import { type LinkedProcess } from './linked-process.js';

/** What is kept running. */
export interface SupervisedOptions {
  readonly name: string;
  /** Where it listens. */
  readonly url: string;
  readonly start: () => LinkedProcess;
}

const CRASH_PAUSE_MS = 500;
const READY_POLL_MS = 50;
const READY_TIMEOUT_MS = 60_000;
/** How long a kill waits for a victim that is ready, so that most of them meet one at work. */
const PATIENCE_MS = 4_000;

/** A program with `GET /health/ready` that is started again whenever it ends, as a supervisor of services does. */
export class SupervisedProcess {
  /** Ends that nobody caused: a start while its servers are down, or a crash. */
  unasked = 0;
  private current: LinkedProcess;
  private readonly killed = new WeakSet<LinkedProcess>();
  private watching: Promise<void>;
  private isStopping = false;

  constructor(private readonly options: SupervisedOptions) {
    this.current = options.start();
    this.watching = this.watch(this.current);
  }

  get name(): string {
    return this.options.name;
  }

  get url(): string {
    return this.options.url;
  }

  /** Stops or goes on with it (SIGSTOP, SIGCONT); nothing happens while it is being started again. */
  send(signal: NodeJS.Signals): void {
    this.current.send(signal);
  }

  /** Resolves when it says that it is ready; rejects when it does not in time. */
  async ready(): Promise<void> {
    if (!(await this.isReadyWithin(READY_TIMEOUT_MS))) {
      throw new Error(`The ${this.name} app was not ready within ${READY_TIMEOUT_MS} ms.`);
    }
  }

  /** SIGKILL while it is running; resolves, when it is ready again, to the milliseconds that took. */
  async kill(): Promise<number> {
    await this.isReadyWithin(PATIENCE_MS);
    while (!this.current.isRunning) {
      await sleep(READY_POLL_MS);
    }
    const victim = this.current;
    this.killed.add(victim);
    const killedMs = performance.now();
    await victim.end('SIGKILL');
    await this.ready();
    return performance.now() - killedMs;
  }

  /** Ends it for good. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    this.isStopping = true;
    await this.current.end(signal);
    await this.watching;
    await this.current.end(signal); // one that was being started at the call
  }

  private async watch(process: LinkedProcess): Promise<void> {
    await process.exited;
    if (this.isStopping) {
      return;
    }
    if (!this.killed.has(process)) {
      this.unasked += 1;
      await sleep(CRASH_PAUSE_MS);
    }
    this.current = this.options.start();
    this.watching = this.watch(this.current);
  }

  private async isReadyWithin(milliseconds: number): Promise<boolean> {
    const deadlineMs = performance.now() + milliseconds;
    while (performance.now() < deadlineMs) {
      if (await isReady(this.url)) {
        return true;
      }
      await sleep(READY_POLL_MS);
    }
    return false;
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5_000) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false; // it does not listen yet, or not any more
  }
}
