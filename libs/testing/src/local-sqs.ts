import { type FauxqsServer } from 'fauxqs';
import { freePort } from './free-port.js';
import { LocalServerError } from './testing.errors.js';

/** How many messages a queue has, and what they say. */
export interface SqsQueueContent {
  /** Bodies of those that can be received, oldest first within a group. */
  readonly ready: readonly string[];
  /** How many have been received and neither deleted nor come back. */
  readonly inFlight: number;
}

/** SQS counts accounts by number; this one is nobody's. */
const ACCOUNT = '000000000000';

/**
 * An SQS server of this process (`fauxqs`), with everything in memory. It checks what SQS checks (characters, sizes,
 * entries of a batch), locks message groups, keeps the deduplication window of five minutes, and gives out one message of
 * a group at a time, where SQS may give several. It takes any credentials.
 */
export class LocalSqs {
  private constructor(
    private readonly server: FauxqsServer,
    readonly port: number,
  ) {}

  /** Resolves when it listens, on a free port where none is given. */
  static async start(options: { readonly port?: number } = {}): Promise<LocalSqs> {
    const port = options.port ?? (await freePort());
    // loaded here: few tests need it, and it brings a web server
    const { startFauxqs } = await import('fauxqs');
    return new LocalSqs(await startFauxqs({ port, logger: false }), port);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Makes a queue and returns its URL; one whose name ends in `.fifo` is a FIFO queue without content-based deduplication. */
  createQueue(name: string, attributes: Readonly<Record<string, string>> = {}): string {
    const kind = name.endsWith('.fifo') ? { FifoQueue: 'true', ContentBasedDeduplication: 'false' } : {};
    this.server.createQueue(name, { attributes: { ...kind, ...attributes } });
    return this.urlOf(name);
  }

  deleteQueue(name: string): void {
    this.server.deleteQueue(name);
  }

  /** The URL that a queue has or would have; at another endpoint, such as a proxy's, when one is given. */
  urlOf(name: string, endpoint = this.endpoint): string {
    return `${endpoint}/${ACCOUNT}/${name}`;
  }

  /** What the attribute of a dead-letter queue asks for. */
  arnOf(name: string): string {
    return `arn:aws:sqs:us-east-1:${ACCOUNT}:${name}`;
  }

  /** Throws `LocalServerError` `not_running` when there is no such queue. */
  contentOf(name: string): SqsQueueContent {
    const queue = this.server.inspectQueue(name);
    if (queue === undefined) {
      throw new LocalServerError('not_running', `The local SQS server has no queue ${name}: create it first.`);
    }
    const { ready, inflight } = queue.messages;
    return { ready: ready.map(({ body }) => body), inFlight: inflight.length };
  }

  /** Takes the messages out of all queues; what was deduplicated is remembered. */
  purge(): void {
    this.server.reset();
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }
}
