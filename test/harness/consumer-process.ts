import { EventEmitter, once } from 'node:events';
import { LinkedProcess } from './linked-process.js';
import { type KafkaClient } from './relay-process.js';

/** How a consumer process is run. */
export interface ConsumerProcessOptions {
  /** Shown in what it writes. */
  readonly member: string;
  readonly main: string;
  /** Its output is appended to `<file>.log`. */
  readonly file: string;
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  readonly client: KafkaClient;
  readonly consumer: string;
  readonly topic: string;
  readonly nodeArguments?: readonly string[] | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/** On a busy machine a process starts, and a group comes together, slowly. */
const WAIT_MS = 90_000;

/** One run of a Nest application with an inbox, as a user's service is run. It ends with the process that started it. */
export class ConsumerProcess extends LinkedProcess {
  private readonly news: EventEmitter;
  private readonly heard = new Set<string>();
  private owned = 0;

  constructor(readonly options: ConsumerProcessOptions) {
    const news = new EventEmitter();
    super({
      main: options.main,
      file: options.file,
      nodeArguments: options.nodeArguments,
      environment: {
        DATABASE_URL: options.databaseUrl,
        KAFKA_BROKERS: options.brokers.join(),
        MILLRACE_KAFKA_CLIENT: options.client,
        CONSUMER_MEMBER: options.member,
        CONSUMER_NAME: options.consumer,
        CONSUMER_TOPIC: options.topic,
        ...options.environment,
      },
      onLine: (line) => {
        news.emit('line', line);
      },
    });
    this.news = news;
    news.on('line', (line: string) => {
      this.takeLine(line);
    });
  }

  /** How many partitions it has, as far as it has said. */
  get partitions(): number {
    return this.owned;
  }

  /** Whether the process has written this line. */
  hasSaid(line: string): boolean {
    return this.heard.has(line);
  }

  /** Resolves when the process has written this line, be it before the call. */
  async said(line: string, waitMs = WAIT_MS): Promise<void> {
    const timeout = AbortSignal.timeout(waitMs);
    while (!this.heard.has(line)) {
      await this.next(timeout, `did not say "${line}"`);
    }
  }

  /** Resolves when the process writes this line from now on. */
  async says(line: string, waitMs = WAIT_MS): Promise<void> {
    this.heard.delete(line);
    await this.said(line, waitMs);
  }

  /** Resolves when the process has this many partitions. */
  async hasPartitions(count: number, waitMs = WAIT_MS): Promise<void> {
    const timeout = AbortSignal.timeout(waitMs);
    while (this.owned !== count) {
      await this.next(timeout, `has ${this.owned} partitions instead of ${count}`);
    }
  }

  /** Lets the process stop itself (SIGSTOP) at the `pass`-th time at which it gets to the barrier from now on. */
  arm(barrier: string, pass = 1): void {
    this.heard.delete(`reached ${barrier}`);
    this.tell(`arm ${barrier} ${pass}`);
  }

  /** Resolves when it has stopped at the barrier. */
  async reached(barrier: string, waitMs = WAIT_MS): Promise<void> {
    await this.said(`reached ${barrier}`, waitMs);
  }

  private takeLine(line: string): void {
    const count = /^partitions (\d+)$/.exec(line)?.[1];
    this.owned = count === undefined ? this.owned : Number(count);
    this.heard.add(line);
    this.news.emit('news');
  }

  /** Resolves with the next line; rejects when the time is over or the process has ended. */
  private async next(signal: AbortSignal, lack: string): Promise<void> {
    const { member, file } = this.options;
    const ended = this.exited.then(() => {
      throw new Error(`Consumer ${member} ended and ${lack}: see ${file}.log.`);
    });
    const news = once(this.news, 'news', { signal }).catch(() => {
      throw new Error(`Consumer ${member} ${lack} in time: see ${file}.log.`);
    });
    await Promise.race([ended, news]);
  }
}
