import { type AddressInfo } from 'node:net';
import { request as httpRequest } from 'node:http';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CaptureError, type ClaimRequest, type PauseRequest, type SourcePort } from '@millrace/capture';
import { toEpoch, toPosition } from '@millrace/events';
import { type SinkPort } from '@millrace/transport';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { SingleAdminToken } from './admin/auth/admin-tokens.js';
import { type Principal, type Role } from './admin/auth/principal.js';
import { EngineLife } from './engine/engine-life.js';
import { createRelayApp } from './relay-app.js';

const SINK: SinkPort = {
  kind: 'fake',
  features: { isOrdered: true, recordBytesMax: 1, batchRecordsMax: 1, batchBytesMax: 1 },
  start: () => Promise.resolve(),
  openTopic: () => Promise.reject(new Error('no topic is opened')),
  send: () => Promise.reject(new Error('nothing is sent')),
  stop: () => Promise.resolve(),
};

/** A source whose one route is held, or refused; the engine is embedded for real. */
class FakeSource implements SourcePort {
  readonly name = 'order';
  readonly pauses: PauseRequest[] = [];
  claimError: CaptureError | undefined;
  pauseError: CaptureError | undefined;
  isPaused = false;
  private readonly claims: (() => void)[] = [];

  claim(_request: ClaimRequest): ReturnType<SourcePort['claim']> {
    if (this.claimError !== undefined) {
      return Promise.reject(this.claimError);
    }
    queueMicrotask(() => {
      this.claims.splice(0).forEach((seen) => {
        seen();
      });
    });
    const page = { number: 1, events: [], rowCount: 0, bytes: 0, isFull: false, isChanged: false };
    const settled = (): Promise<{ isPaused: boolean }> => Promise.resolve({ isPaused: this.isPaused });
    return Promise.resolve({
      kind: 'claimed',
      epoch: toEpoch(2n ** 62n),
      isPaused: this.isPaused,
      capture: {
        nextPage: () => Promise.resolve(page),
        settle: settled,
        renew: settled,
        close: () => Promise.resolve(),
        status: () => ({
          low: toPosition(9007199254740993n),
          high: toPosition(9007199254740995n),
          lastPosition: toPosition(9007199254740995n),
          gapRanges: 1,
          gapHolder: null,
          pages: 1,
          gapsDied: 3,
        }),
      },
    });
  }

  setPaused(request: PauseRequest): Promise<void> {
    if (this.pauseError !== undefined) {
      return Promise.reject(this.pauseError);
    }
    this.pauses.push(request);
    this.isPaused = request.isPaused;
    return Promise.resolve();
  }
}

const TOKEN = 'a-token-of-some-length';
let principal: Principal = { name: 'first-admin', role: 'admin' };
const tokens = {
  principalOf: async (token: string): Promise<Principal | undefined> =>
    await new SingleAdminToken(TOKEN, principal).principalOf(token),
};

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

interface Ask {
  readonly method?: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

let app: NestExpressApplication;
let source: FakeSource;
let logged = '';

/** Unlike `fetch`, sends a path as it is spelled. */
function ask(path: string, { method = 'GET', token = TOKEN, headers = {}, body }: Ask = {}): Promise<Answer> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  const content = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      method,
      agent: false,
      headers: { ...authorization, ...content, ...headers },
    };
    const request = httpRequest(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function json(path: string, options?: Ask): Promise<unknown> {
  return JSON.parse((await ask(path, options)).text) as unknown;
}

/** Asks until the answer is as wanted; the engine turns its loops in the background. */
async function eventually(path: string, isWanted: (answer: Answer) => boolean): Promise<Answer> {
  const deadline = performance.now() + 5_000;
  for (;;) {
    const answer = await ask(path);
    if (isWanted(answer)) {
      return answer;
    }
    if (performance.now() > deadline) {
      throw new Error(`${path} never answered as wanted; last: ${answer.text}`);
    }
  }
}

async function startApp(): Promise<void> {
  principal = { name: 'first-admin', role: 'admin' };
  source = new FakeSource();
  logged = '';
  const logDestination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      logged += chunk.toString('utf8');
      done();
    },
  });
  app = await createRelayApp(
    {
      engine: {
        owner: 'relay-1',
        sources: new Map([['order', source]]),
        sinks: new Map([['main', SINK]]),
        routes: [{ name: 'order', source: 'order', sink: 'main' }],
      },
      tokens,
    },
    { logLevel: 'info', logDestination },
  );
  await app.listen(0, '127.0.0.1');
}

function start(): void {
  app.get(EngineLife, { strict: false }).start();
}

describe('the relay without a started engine', () => {
  beforeEach(startApp);
  afterEach(async () => {
    await app.close();
  });

  it('is alive and not ready', async () => {
    expect((await ask('/health/live', { token: null })).status).toBe(200);
    const ready = await ask('/health/ready', { token: null });
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.text)).toEqual({ status: 'not-ready', reasons: ['route-ended'] });
  });
});
