import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { LinkedProcess } from '../../harness/linked-process.js';

const MAIN = fileURLToPath(new URL('sqs-main.js', import.meta.url));

/** A local SQS as a process of its own. */
export class SqsServer {
  private waiting: ((line: string) => void) | undefined;
  private readonly process: LinkedProcess;

  private constructor(private readonly folder: string) {
    this.process = new LinkedProcess({
      main: MAIN,
      file: join(folder, 'sqs'),
      environment: {},
      onLine: (line) => this.waiting?.(line),
    });
  }

  /** Resolves when it listens. */
  static async start(folder: string): Promise<SqsServer> {
    const server = new SqsServer(folder);
    await server.nextLine();
    return server;
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Returns its URL; a FIFO queue where the name ends in `.fifo`. */
  async createQueue(name: string): Promise<string> {
    return this.ask(`create ${name}`);
  }

  /** Throws when the queue does not hold so many messages, all different. */
  async requireMessages(queue: string, wanted: number): Promise<void> {
    const found = COUNTS.parse(JSON.parse(await this.ask(`count ${queue}`)));
    if (found.messages !== wanted || found.distinct !== wanted) {
      throw new Error(
        `The queue ${queue} holds ${found.messages} messages, ${found.distinct} of them different, instead of ${wanted}.`,
      );
    }
  }

  async deleteQueue(name: string): Promise<void> {
    await this.ask(`delete ${name}`);
  }

  async stop(): Promise<void> {
    await this.process.end('SIGTERM');
  }

  private async ask(command: string): Promise<string> {
    const answer = this.nextLine();
    this.process.tell(command);
    return answer;
  }

  private async nextLine(): Promise<string> {
    const line = new Promise<string>((resolve) => {
      this.waiting = resolve;
    });
    const ended = this.process.exited.then(() => {
      throw new Error(`The SQS server ended: see ${join(this.folder, 'sqs.log')}.`);
    });
    return Promise.race([line, ended]);
  }
}

const COUNTS = z.object({ messages: z.number(), distinct: z.number() });
