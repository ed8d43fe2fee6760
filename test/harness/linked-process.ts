import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { Duplex } from 'node:stream';
import { leash } from '@millrace/testing';

/** How a process under test is run. */
export interface LinkedProcessOptions {
  /** The program's file. */
  readonly main: string;
  /** Its output is appended to `<file>.log`. */
  readonly file: string;
  /** Arguments for Node, such as `--import`. */
  readonly nodeArguments?: readonly string[] | undefined;
  readonly programArguments?: readonly string[] | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** Is given each line that the process writes to its file descriptor 3. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** The file descriptor of the link between a process and its harness. */
const LINK = 3;

/** One run of a Node program that can be signalled, and talked to by lines. It ends with the process that started it. */
export class LinkedProcess {
  /** Resolves, and never rejects, when the process has ended. */
  readonly exited: Promise<void>;
  private readonly child: ChildProcess;

  constructor({ main, file, nodeArguments = [], programArguments = [], environment, onLine }: LinkedProcessOptions) {
    const log = openSync(`${file}.log`, 'a');
    this.child = spawn(process.execPath, [...nodeArguments, main, ...programArguments], {
      cwd: dirname(file),
      stdio: ['ignore', log, log, onLine === undefined ? 'ignore' : 'pipe'],
      env: { ...process.env, ...environment },
    });
    closeSync(log);
    this.readLines(onLine);
    const held = leash({ pid: this.pid, signal: 'SIGKILL' });
    this.exited = new Promise((resolve) => {
      this.child.once('exit', () => {
        held.release();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Of a process that has ended by itself or been asked to; `null` while it runs and when a signal has killed it. */
  get exitCode(): number | null {
    return this.child.exitCode;
  }

  /** Sends the signal; nothing happens when the process has ended. */
  send(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Sends the signal and waits for the end; nothing happens when it has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.isRunning) {
      this.child.kill(signal);
      await this.exited;
    }
  }

  /** Writes a line that the process can read from its file descriptor 3. */
  tell(line: string): void {
    this.link?.write(`${line}\n`);
  }

  private get link(): Duplex | undefined {
    const link = this.child.stdio[LINK];
    return link instanceof Duplex ? link : undefined;
  }

  private readLines(onLine: ((line: string) => void) | undefined): void {
    let rest = '';
    this.link?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach((line) => onLine?.(line));
    });
    // it ends with the process, in whatever way
    this.link?.on('error', () => undefined);
  }
}
