import { callSqs } from './sqs-call.js';
import {
  type SqsBatchAnswer,
  type SqsClientPort,
  type SqsDeletion,
  type SqsReceived,
  type SqsReceiveRequest,
  type SqsVisibility,
} from './sqs-client-port.js';
import { queueOf, type SqsQueue } from './sqs-queue.js';

/** What a subscription asks of one queue, each request with a deadline. Errors come through as the client has them. */
export class QueueClient {
  constructor(
    private readonly client: SqsClientPort,
    private readonly url: string,
    private readonly requestTimeoutMs: number,
  ) {}

  async open(stopping: AbortSignal): Promise<SqsQueue> {
    const attributes = await this.#call((signal) => this.client.queueAttributes(this.url, signal), stopping);
    return queueOf(this.url, attributes);
  }

  async receive(request: SqsReceiveRequest, stopping: AbortSignal): Promise<readonly SqsReceived[]> {
    const ms = request.waitSeconds * 1_000 + this.requestTimeoutMs;
    return await callSqs(ms, (signal) => this.client.receive(this.url, request, signal), stopping);
  }

  async delete(deletions: readonly SqsDeletion[]): Promise<SqsBatchAnswer> {
    return await this.#call((signal) => this.client.delete(this.url, deletions, signal));
  }

  async changeVisibility(changes: readonly SqsVisibility[]): Promise<SqsBatchAnswer> {
    return await this.#call((signal) => this.client.changeVisibility(this.url, changes, signal));
  }

  #call<Answer>(request: (signal: AbortSignal) => Promise<Answer>, stopping?: AbortSignal): Promise<Answer> {
    return callSqs(this.requestTimeoutMs, request, stopping);
  }
}
