import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { leash } from '@millrace/testing';

/** The Kafka clients that a relay can be built on. */
export const KAFKA_CLIENTS = ['platformatic', 'kafkajs'] as const;
export type KafkaClient = (typeof KAFKA_CLIENTS)[number];

/** A route of a relay under test. */
export interface RelayRoute {
  readonly name: string;
  readonly topic: string;
}

/** How a relay process is run. */
export interface RelayProcessOptions {
  /** Its configuration is written to `<file>.yaml` and its output appended to `<file>.log`. */
  readonly file: string;
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  readonly client: KafkaClient;
  readonly port: number;
  readonly routes: readonly RelayRoute[];
  /** Arguments for Node, such as `--import`. */
  readonly nodeArguments?: readonly string[] | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Is given each line that the process writes to its file descriptor 3, which a preloaded module may do. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** The file descriptor of the link between a relay and its harness. */
const LINK = 3;
const MAIN = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'apps', 'relay', 'main.js');

/** One run of the relay as users run it: `dist/apps/relay/main.js`. It ends with the process that started it. */
export class RelayProcess {
  /** Resolves, and never rejects, when the process has ended. */
  readonly exited: Promise<void>;
  private readonly child: ChildProcess;

  constructor(readonly options: RelayProcessOptions) {
    const { file, client, port } = options;
    writeFileSync(`${file}.yaml`, configurationOf(options));
    const log = openSync(`${file}.log`, 'a');
    this.child = spawn(process.execPath, [...(options.nodeArguments ?? []), MAIN], {
      cwd: dirname(file),
      stdio: ['ignore', log, log, options.onLine === undefined ? 'ignore' : 'pipe'],
      env: {
        ...process.env,
        PORT: String(port),
        MILLRACE_CONFIG: `${file}.yaml`,
        MILLRACE_KAFKA_CLIENT: client,
        MILLRACE_ADMIN_TOKEN: 'a-token-of-the-fault-and-bench-runs',
        ...options.environment,
      },
    });
    closeSync(log);
    this.readLines();
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

  /** Whether the relay says that it is ready; false while it does not answer. */
  async isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.options.port}/health/ready`);
      return answer.ok;
    } catch {
      return false; // it does not listen yet, or not any more
    }
  }

  /** The value of a metric with its labels summed up; `undefined` when it has no such metric or does not answer. */
  async metric(name: string): Promise<number | undefined> {
    let text: string;
    try {
      const answer = await fetch(`http://127.0.0.1:${this.options.port}/metrics`);
      text = await answer.text();
    } catch {
      return undefined; // it does not listen yet, or not any more
    }
    const values = text
      .split('\n')
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
  }

  private get link(): Duplex | undefined {
    const link = this.child.stdio[LINK];
    return link instanceof Duplex ? link : undefined;
  }

  private readLines(): void {
    let rest = '';
    this.link?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach((line) => this.options.onLine?.(line));
    });
    // it ends with the process, in whatever way
    this.link?.on('error', () => undefined);
  }
}

/** YAML is a superset of JSON. */
function configurationOf({ databaseUrl, brokers, routes }: RelayProcessOptions): string {
  return JSON.stringify({
    version: 1,
    sources: { main: { databaseUrl } },
    sinks: { main: { kind: 'kafka', brokers, topics: { create: false } } },
    routes: Object.fromEntries(routes.map(({ name, topic }) => [name, { source: 'main', sink: 'main', topic }])),
  });
}
