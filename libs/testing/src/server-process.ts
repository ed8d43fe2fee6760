import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leash, type Leash } from './leash.js';
import { LocalServerError } from './testing.errors.js';
import { type UserIds } from './unprivileged-user.js';

/** How a server program is run. */
export interface ServerProcessOptions {
  /** For messages: "PostgreSQL", "Kafka". */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Its standard output and error are appended here. */
  readonly logFile: string;
  /** Asks it to stop in order. */
  readonly stopSignal: NodeJS.Signals;
  readonly user?: UserIds | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Removed when the process that started the server ends without having stopped it. */
  readonly removeAfter?: string | undefined;
}

const READY_POLL_MS = 25;
const LOG_TAIL_LINES = 12;

/** One run of a server program, in a session of its own so that Ctrl-C in a terminal does not reach it. */
export class ServerProcess {
  readonly pid: number;
  /** Resolves, and never rejects, when the process has ended: to the signal or the exit code that ended it. */
  readonly exited: Promise<string>;
  private readonly child: ChildProcess;
  private readonly held: Leash;
  private readonly options: ServerProcessOptions;

  private constructor(options: ServerProcessOptions, child: ChildProcess, pid: number) {
    this.options = options;
    this.child = child;
    this.pid = pid;
    this.held = leash({ pid, signal: options.stopSignal, removeAfter: options.removeAfter });
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.held.release();
        resolve(signal ?? `exit code ${code ?? 'unknown'}`);
      });
    });
    child.unref();
  }

  static async spawn(options: ServerProcessOptions): Promise<ServerProcess> {
    mkdirSync(dirname(options.logFile), { recursive: true });
    const log = openSync(options.logFile, 'a');
    const child = spawn(options.command, options.args, {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...inheritedEnvironment(), ...options.env },
      ...options.user,
    });
    closeSync(log);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => {
        const message = `${options.title} could not be run: ${options.command} (${cause.message}).`;
        reject(new LocalServerError('server_failed', message, { cause }));
      });
    });
    return new ServerProcess(options, child, child.pid ?? 0);
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits until the server answers; stops it and rejects with the end of its log when it ends or does not in time. */
  async ready(answers: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.isRunning && performance.now() < deadline) {
      if (await answers()) {
        return;
      }
      await sleep(READY_POLL_MS);
    }
    const what = this.isRunning ? `did not answer within ${timeoutMs / 1000} s` : 'ended while it was starting';
    await this.signal('SIGKILL');
    throw new LocalServerError(
      'server_failed',
      `${this.options.title} ${what}. The end of its log (${this.options.logFile}):\n${tail(this.options.logFile)}`,
    );
  }

  /** Sends the signal and waits for the end; SIGKILL follows after the given time. Nothing happens when it has ended. */
  async signal(signal: NodeJS.Signals, killAfterMs = 30_000): Promise<void> {
    if (!this.isRunning) {
      return;
    }
    this.child.ref();
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), killAfterMs);
    await this.exited;
    clearTimeout(timer);
  }
}

/** The end of a log file, for a message. */
export function tail(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

/** Without the variables by which a client would be led to another server. */
function inheritedEnvironment(): NodeJS.ProcessEnv {
  // eslint-disable-next-line n/no-process-env -- a child is given the environment of its starter
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));
}
