import {
  createServer,
  request as sendRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.js';
import { type HttpFault, type ProxiedRequest } from './http-fault.js';
import { failEntries, type SplitBatch } from './http-fault-entries.js';

/** Chooses what happens to a request. */
export type ChooseHttpFault = (request: ProxiedRequest) => HttpFault;

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const PASS: HttpFault = { kind: 'pass' };
const JSON_TYPE = 'application/x-amz-json-1.0';

/**
 * An HTTP proxy on 127.0.0.1 in front of an SQS server. It passes requests on untouched until it is told what to do to
 * them; it reads the JSON protocol of SQS, so faults can be chosen by action and put into the answer of a batch.
 */
export class HttpFaultProxy {
  private readonly server: Server;
  private readonly counts = new Map<string, number>();
  private choose: ChooseHttpFault = () => PASS;
  private requests = 0;

  private constructor(
    private readonly targetPort: number,
    /** Where it listens on 127.0.0.1. */
    readonly port: number,
  ) {
    this.server = createServer((request, response) => {
      this.handle(request, response).catch(() => {
        response.destroy();
      });
    });
  }

  /** Resolves when it listens. */
  static async start(target: { readonly port: number }): Promise<HttpFaultProxy> {
    const proxy = new HttpFaultProxy(target.port, await freePort());
    await new Promise<void>((resolve, reject) => {
      proxy.server.once('error', reject);
      proxy.server.listen(proxy.port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What happens to requests from now on, until it is set again. */
  set(fault: HttpFault | ChooseHttpFault): void {
    this.choose = typeof fault === 'function' ? fault : () => fault;
  }

  /** Passes everything on again. */
  clear(): void {
    this.set(PASS);
  }

  /** How many requests of an action have come, whatever became of them. */
  countOf(action: string): number {
    return this.counts.get(action) ?? 0;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
    });
    this.server.closeAllConnections();
    await closed;
  }

  private async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(incoming);
    const action = String(incoming.headers['x-amz-target'] ?? incoming.url).replace(/^AmazonSQS\./, '');
    this.requests += 1;
    this.counts.set(action, (this.counts.get(action) ?? 0) + 1);
    const fault = this.choose({ number: this.requests, action, body });
    const reply = await this.replyTo(incoming, body, fault);
    if (reply === null) {
      response.destroy();
      return;
    }
    if (fault.kind !== 'swallow_reply') {
      response.writeHead(reply.status, reply.headers).end(reply.body);
    }
  }

  /** Null when the connection is to be cut. */
  private async replyTo(incoming: IncomingMessage, body: string, fault: HttpFault): Promise<Reply | null> {
    switch (fault.kind) {
      case 'delay':
        await sleep(fault.ms);
        return await this.pass(incoming, body);
      case 'answer':
        return errorReply(fault.status, fault.code);
      case 'cut':
        return null;
      case 'lose_reply':
        await this.pass(incoming, body);
        return null;
      case 'fail_entries':
        return await this.passBatch(incoming, failEntries(body, fault.failureOf));
      case 'pass':
      case 'swallow_reply':
        return await this.pass(incoming, body);
    }
  }

  private async passBatch(incoming: IncomingMessage, batch: SplitBatch): Promise<Reply> {
    const reply = batch.body === null ? successReply('{}') : await this.pass(incoming, batch.body);
    return reply.status === 200 ? { ...reply, body: batch.withFailures(reply.body) } : reply;
  }

  private async pass(incoming: IncomingMessage, body: string): Promise<Reply> {
    const headers = { ...incoming.headers, 'content-length': String(Buffer.byteLength(body)) };
    const { method = 'POST', url: path = '/' } = incoming;
    return await new Promise<Reply>((resolve, reject) => {
      const passed = sendRequest({ port: this.targetPort, host: '127.0.0.1', method, path, headers }, (answer) => {
        const { statusCode: status = 502 } = answer;
        textOf(answer).then((text) => {
          resolve({ status, headers: headersOf(answer), body: text });
        }, reject);
      });
      passed.on('error', reject);
      passed.end(body);
    });
  }
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) {
    chunks.push(Buffer.from(chunk as Uint8Array));
  }
  return Buffer.concat(chunks).toString();
}

/** Without what belongs to the connection to the server. */
function headersOf({ headers }: IncomingMessage): Readonly<Record<string, string>> {
  const kept = ['content-type', 'x-amzn-query-error', 'x-amzn-requestid'];
  return Object.fromEntries(
    kept.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}

function successReply(body: string): Reply {
  return { status: 200, headers: { 'content-type': JSON_TYPE }, body };
}

function errorReply(status: number, code: string): Reply {
  const fault = status < 500 ? 'Sender' : 'Receiver';
  return {
    status,
    headers: { 'content-type': JSON_TYPE, 'x-amzn-query-error': `${code};${fault}` },
    body: JSON.stringify({ __type: `com.amazonaws.sqs#${code}`, message: 'The fault proxy says so.' }),
  };
}
