import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leash } from '@millrace/testing';
import { CommandError } from '../setup/command-error.mjs';
import { ROOT } from '../setup/paths.mjs';
import { printLines } from './app-output.mjs';

const READY_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 100;

/** One app as a process of its own, out of the reach of the terminal's Ctrl-C so that it is stopped in order. */
export class AppProcess {
  #child;
  #exited = Promise.resolve();

  constructor({ name, port, portVariable, environment, print }) {
    this.name = name;
    this.portVariable = portVariable;
    this.url = `http://127.0.0.1:${port}`;
    this.environment = environment;
    this.print = print;
  }

  /** The process id of the last start; `undefined` before the first. */
  get pid() {
    return this.#child?.pid;
  }

  /**
   * Resolves when the app says that it is ready. The first time it has a minute and a half for that; an app that is
   * started again may wait for what it needs, which may be down as well, as long as it takes.
   */
  async start() {
    const isFirst = this.#child === undefined;
    const child = spawn(process.execPath, ['--enable-source-maps', join(ROOT, 'dist', 'apps', this.name, 'main.js')], {
      cwd: ROOT,
      detached: true,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    printLines(this.name, child.stdout, this.print);
    printLines(this.name, child.stderr, this.print);
    const held = leash({ pid: child.pid, signal: 'SIGTERM' });
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        held.release();
        resolve(signal ?? `exit code ${code}`);
      });
    });
    await this.#waitUntilReady(isFirst ? performance.now() + READY_TIMEOUT_MS : Number.POSITIVE_INFINITY);
  }

  /** Resolves, when the process has ended, to how it did. */
  async exited() {
    return this.#exited;
  }

  async stop() {
    await this.#signal('SIGTERM');
  }

  async kill() {
    await this.#signal('SIGKILL');
  }

  async #signal(signal) {
    if (this.#child === undefined || !this.#isRunning) {
      return;
    }
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  get #isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #waitUntilReady(deadline) {
    let answer = 'it did not listen';
    while (this.#isRunning && performance.now() < deadline) {
      try {
        const response = await fetch(`${this.url}/health/ready`, { signal: AbortSignal.timeout(5_000) });
        answer = `${response.status} ${await response.text()}`;
        if (response.ok) {
          return;
        }
      } catch (error) {
        answer = error.cause?.code ?? error.message;
      }
      await sleep(POLL_MS);
    }
    if (!this.#isRunning) {
      throw new CommandError(
        `The ${this.name} app ended while it was starting; its last lines above say why ` +
          `(PORT there is ${this.portVariable} here).`,
      );
    }
    await this.stop();
    throw new CommandError(
      `The ${this.name} app was not ready within ${READY_TIMEOUT_MS / 1_000} s (${this.url}/health/ready: ${answer}).`,
    );
  }
}
