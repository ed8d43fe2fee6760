import { request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type AuditEntry,
  CaptureError,
  type CaptureRequest,
  type CaptureStatus,
  type JoinRequest,
  type PauseRequest,
  type RelayMember,
  type RouteShards,
  type ShardsRequest,
  type SlotStatus,
  type SourcePort,
} from '@millrace/capture';
import { toEpoch, toPosition } from '@millrace/events';
import { type SinkPort } from '@millrace/transport';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { AdminTokens, SingleAdminToken } from './admin/auth/admin-tokens.js';
import { type Principal } from './admin/auth/principal.js';
import { EngineLife } from './engine/engine-life.js';
import { createRelayApp } from './relay-app.js';

const SINK: SinkPort = {
  kind: 'fake',
  features: {
    isOrdered: true,
    isBatchAtomic: true,
    isDeduplicating: false,
    recordBytesMax: 1,
    batchRecordsMax: 1,
    batchBytesMax: 1,
  },
  start: () => Promise.resolve(),
  openTopic: () => Promise.reject(new Error('no topic is opened')),
  send: () => Promise.reject(new Error('nothing is sent')),
  stop: () => Promise.resolve(),
};

const SLOT: SlotStatus = {
  state: 'ready',
  message: 'The slot can be read.',
  name: 'millrace_order',
  retainedBytes: 9_007_199_254_740_993n,
  safeWalBytes: -1n,
  walStatus: 'extended',
  inactiveSince: '2026-11-21T20:00:00.5+00:00',
  confirmedLsn: 0x16_b374d848n,
  lagBytes: 4_096n,
  spilledTransactions: 7n,
  spilledBytes: 900n,
  isHigh: true,
};

/** A source whose one route is held, or refused; the engine is embedded for real. */
class FakeSource implements SourcePort {
  readonly name = 'order';
  capture: Pick<CaptureStatus, 'mode' | 'reading' | 'slot' | 'streamsLost'> = {
    mode: 'polling',
    reading: 'table',
    slot: null,
    streamsLost: 0,
  };
  readonly pauses: PauseRequest[] = [];
  readonly modes: CaptureRequest[] = [];
  readonly divisions: ShardsRequest[] = [];
  readonly audits: AuditEntry[] = [];
  claimError: CaptureError | undefined;
  pauseError: CaptureError | undefined;
  isPaused = false;

  claim(): ReturnType<SourcePort['claim']> {
    if (this.claimError !== undefined) {
      return Promise.reject(this.claimError);
    }
    const page = {
      number: 1,
      events: [],
      rowCount: 0,
      bytes: 0,
      retainedBytes: 0,
      isFull: false,
      isChanged: false,
      hasWaited: false,
      forgetEvents: () => undefined,
    };
    const settled = (): Promise<{ isPaused: boolean }> => Promise.resolve({ isPaused: this.isPaused });
    return Promise.resolve({
      kind: 'claimed',
      epoch: toEpoch(2n ** 62n),
      isPaused: this.isPaused,
      fence: null,
      capture: {
        nextPage: () => Promise.resolve(page),
        settle: settled,
        renew: settled,
        isSettled: () => false,
        close: () => Promise.resolve(),
        status: () => ({
          ...this.capture,
          low: toPosition(9007199254740993n),
          high: toPosition(9007199254740995n),
          lastPosition: toPosition(9007199254740995n),
          leavesAhead: 10,
          gapRanges: 1,
          gapHolder: null,
          pages: 1,
          gapsDied: 3,
        }),
      },
    });
  }

  setCapture(request: CaptureRequest): Promise<void> {
    if (this.pauseError !== undefined) {
      return Promise.reject(this.pauseError);
    }
    this.modes.push(request);
    this.capture = { ...this.capture, mode: request.mode ?? 'polling' };
    return Promise.resolve();
  }

  setShards(request: ShardsRequest): Promise<RouteShards> {
    if (this.pauseError !== undefined) {
      return Promise.reject(this.pauseError);
    }
    this.divisions.push(request);
    return this.shards(request.route);
  }

  shards(route: string): Promise<RouteShards> {
    const wanted = this.divisions.at(-1)?.shards ?? null;
    const low = toPosition(9007199254740993n);
    return Promise.resolve({
      route,
      inForce: 1,
      wanted,
      fence: wanted === null ? null : low,
      shards: [{ name: route, low, owner: 'relay-1', isPaused: false, isDrained: wanted !== null }],
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

  audit(entry: AuditEntry): Promise<void> {
    if (this.pauseError !== undefined) {
      return Promise.reject(this.pauseError);
    }
    this.audits.push(entry);
    return Promise.resolve();
  }

  join({ owner, configVersion, wants, stopped }: JoinRequest): Promise<readonly RelayMember[]> {
    return Promise.resolve([{ owner, configVersion, wants, stopped, memberForMs: 1_500 }]);
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }
}

const TOKEN = 'a-token-of-some-length';
let principal: Principal = { name: 'first-admin', role: 'admin' };

class TestTokens extends AdminTokens {
  override principalOf(token: string): Promise<Principal | undefined> {
    return new SingleAdminToken(TOKEN, principal).principalOf(token);
  }
}

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
  const deadline = performance.now() + 60_000;
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
      retention: { sources: [] },
      tokens: new TestTokens(),
    },
    { logLevel: 'info', logDestination },
  );
  await app.listen(0, '127.0.0.1');
}

function start(): void {
  app.get(EngineLife, { strict: false }).start();
}

beforeEach(startApp);
afterEach(async () => {
  await app.close();
});

describe('health', () => {
  async function ready(): Promise<{ readonly status: number; readonly body: unknown }> {
    const answer = await ask('/health/ready', { token: null });
    return { status: answer.status, body: JSON.parse(answer.text) as unknown };
  }

  it('is alive but not ready before the engine is started', async () => {
    expect((await ask('/health/live', { token: null })).status).toBe(200);
    expect(await ready()).toEqual({ status: 503, body: { status: 'not-ready', reasons: ['route-ended'] } });
  });

  it('is ready when the route runs, and when an operator has paused it', async () => {
    start();
    await eventually('/health/ready', ({ status }) => status === 200);
    await ask('/admin/v1/routes/order/pause', { method: 'POST' });
    await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"paused"'));
    expect(await ready()).toEqual({ status: 200, body: { status: 'ok' } });
  });

  it.each([
    ['schema_missing', 'route-stalled: source-schema-missing'],
    ['schema_too_new', 'route-stopped: source-schema-too-new'],
  ] as const)('names %s by code and nothing else', async (code, reason) => {
    source.claimError = new CaptureError(code, 'a sentence about the database orders');
    start();
    await eventually('/health/ready', ({ text }) => text.includes(reason));
    expect(await ready()).toEqual({ status: 503, body: { status: 'not-ready', reasons: [reason] } });
  });
});

describe('the routes of the admin API', () => {
  it('are shown with 64-bit numbers as decimal text', async () => {
    start();
    const answer = await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"running"'));
    expect(JSON.parse(answer.text)).toMatchObject({
      name: 'order',
      source: 'order',
      sink: 'main',
      relay: 'relay-1',
      state: { kind: 'running', since: expect.stringMatching(/^\d{4}-.*Z$/) },
      claim: {
        epoch: '4611686018427387904',
        low: '9007199254740993',
        high: '9007199254740995',
        lastPosition: '9007199254740995',
        leavesAhead: 10,
        gapRanges: 1,
      },
      sendErrors: {},
    });
    expect(await json('/admin/v1/routes')).toMatchObject({ routes: [{ name: 'order' }] });
  });

  it('say why a route does not work, to those who may know', async () => {
    source.claimError = new CaptureError('schema_missing', 'Run: millrace migrate');
    start();
    const answer = await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"stalled"'));
    expect(JSON.parse(answer.text)).toMatchObject({
      claim: null,
      state: { problem: { side: 'source', code: 'schema_missing', message: 'Run: millrace migrate' } },
    });
  });

  it('show how they learn of new rows, and what their slot is like', async () => {
    const { name, state, message, walStatus, inactiveSince, isHigh } = SLOT;
    expect(await json('/admin/v1/routes/order')).toMatchObject({ capture: null });
    source.capture = { mode: 'wal', reading: 'stream', slot: SLOT, streamsLost: 2 };
    start();
    const answer = await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"running"'));
    const view = JSON.parse(answer.text) as { readonly capture: unknown; readonly claim: object };
    expect(view.capture).toEqual({
      mode: 'wal',
      reading: 'stream',
      streamsLost: 2,
      slot: {
        ...{ name, state, message, walStatus, inactiveSince, isHigh },
        retainedBytes: '9007199254740993',
        safeWalBytes: '-1',
        confirmedLsn: '16/B374D848',
        lagBytes: '4096',
        spilledTransactions: '7',
        spilledBytes: '900',
      },
    });
    expect(view.claim).not.toHaveProperty('slot');
    source.capture = { mode: 'polling', reading: 'table', slot: null, streamsLost: 0 };
    expect(await json('/admin/v1/routes/order')).toMatchObject({
      capture: { mode: 'polling', reading: 'table', streamsLost: 0, slot: null },
    });
  });

  it('are paused and resumed in the name of the caller, with the reason', async () => {
    start();
    await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"running"'));
    const paused = await ask('/admin/v1/routes/order/pause', { method: 'POST', body: '{"reason":"maintenance"}' });
    expect(paused.status).toBe(200);
    expect(JSON.parse(paused.text)).toMatchObject({ state: { kind: 'paused' } });
    const resumed = await ask('/admin/v1/routes/order/resume', { method: 'POST', body: '{}' });
    expect(resumed.status).toBe(200);
    expect(JSON.parse(resumed.text)).toMatchObject({ state: { kind: 'running' } });
    expect(source.pauses).toEqual([
      { route: 'order', isPaused: true, actor: 'first-admin', reason: 'maintenance' },
      { route: 'order', isPaused: false, actor: 'first-admin', reason: null },
    ]);
  });

  it.each([
    ['GET', '/admin/v1/routes/absent'],
    ['POST', '/admin/v1/routes/absent/pause'],
    ['POST', '/admin/v1/routes/absent/resume'],
    ['POST', '/admin/v1/routes/absent/step-down'],
    ['GET', '/admin/v1/absent'],
    ['DELETE', '/admin/v1/routes/order'],
    ['GET', '/admin'],
  ])('answer %s %s with 404', async (method, path) => {
    const answer = await ask(path, { method });
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(source.pauses).toEqual([]);
  });

  it.each([
    ['{"reason":1}', 400],
    ['{"reason":""}', 400],
    [`{"reason":"${'x'.repeat(501)}"}`, 400],
    ['{"reasons":"x"}', 400],
    ['[]', 400],
    ['{', 400],
    [`{"reason":"${'x'.repeat(70_000)}"}`, 413],
  ])('refuse the command %#', async (body, status) => {
    const answer = await ask('/admin/v1/routes/order/pause', { method: 'POST', body });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(source.pauses).toEqual([]);
  });

  it.each(['maintenance\u0000', 'a\tb', 'a\nb', 'a\u001b[31mb', 'a\u0085b'])(
    'refuse a reason with control characters, by the name of the field (%#)',
    async (reason) => {
      for (const command of ['pause', 'resume', 'step-down']) {
        const body = JSON.stringify({ reason });
        const answer = await ask(`/admin/v1/routes/order/${command}`, { method: 'POST', body });
        expect(answer.status).toBe(400);
        expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ path: 'reason' }] });
      }
      expect(source.pauses).toEqual([]);
    },
  );

  it.each([
    ['route_unknown', 409, undefined],
    ['database_unavailable', 503, '5'],
  ] as const)('tell that a command failed by %s', async (code, status, retryAfter) => {
    source.pauseError = new CaptureError(code, 'A sentence for the operator.');
    const answer = await ask('/admin/v1/routes/order/pause', { method: 'POST' });
    expect(answer.status).toBe(status);
    expect(answer.headers['retry-after']).toBe(retryAfter);
    expect(JSON.parse(answer.text)).toMatchObject({ detail: 'A sentence for the operator.' });
  });

  it.each([
    ['viewer', 200, 403],
    ['payload-viewer', 200, 403],
    ['operator', 200, 200],
    ['admin', 200, 200],
  ] as const)('let a %s look (%i) and pause (%i)', async (role, look, pause) => {
    principal = { name: 'someone', role };
    expect((await ask('/admin/v1/routes')).status).toBe(look);
    expect((await ask('/admin/v1/routes/order/pause', { method: 'POST' })).status).toBe(pause);
  });
});

describe('the command to set the capture', () => {
  const CAPTURE = '/admin/v1/routes/order/capture';

  it('is given in the name of the caller, with the reason, and answers with the route', async () => {
    start();
    await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"running"'));
    const set = await ask(CAPTURE, { method: 'PUT', body: '{"mode":"wal","reason":"latency"}' });
    expect(set.status).toBe(200);
    expect(JSON.parse(set.text)).toMatchObject({ name: 'order', state: { kind: 'running' }, capture: { mode: 'wal' } });
    const back = await ask(CAPTURE, { method: 'PUT', body: '{"mode":"configured"}' });
    expect(JSON.parse(back.text)).toMatchObject({ capture: { mode: 'polling' } });
    expect(source.modes).toEqual([
      { route: 'order', mode: 'wal', actor: 'first-admin', reason: 'latency' },
      { route: 'order', mode: null, actor: 'first-admin', reason: null },
    ]);
  });

  it.each([
    [undefined, ''],
    ['{}', 'mode'],
    ['{"mode":"trigger"}', 'mode'],
    ['{"mode":null}', 'mode'],
    ['{"mode":"wal","reason":"a\\nb"}', 'reason'],
    ['{"mode":"wal","slot":"mine"}', ''],
  ])('is refused when it is not right: %s', async (body, path) => {
    const answer = await ask(CAPTURE, { method: 'PUT', ...(body !== undefined && { body }) });
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ path }] });
    expect(source.modes).toEqual([]);
  });

  it.each([
    ['route_unknown', 409],
    ['database_unavailable', 503],
  ] as const)('tells that it failed by %s', async (code, status) => {
    source.pauseError = new CaptureError(code, 'A sentence for the operator.');
    const answer = await ask(CAPTURE, { method: 'PUT', body: '{"mode":"wal"}' });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ detail: 'A sentence for the operator.' });
  });

  it('is for operators, and for routes that there are', async () => {
    const body = '{"mode":"wal"}';
    expect((await ask('/admin/v1/routes/absent/capture', { method: 'PUT', body })).status).toBe(404);
    expect((await ask(CAPTURE, { method: 'POST', body })).status).toBe(404);
    principal = { name: 'someone', role: 'viewer' };
    expect((await ask(CAPTURE, { method: 'PUT', body })).status).toBe(403);
    expect(source.modes).toEqual([]);
  });

  it('leaves the relay ready while the table is read for want of a slot', async () => {
    source.capture = { ...source.capture, mode: 'wal', slot: { ...SLOT, state: 'wal-level' } };
    start();
    await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"running"'));
    expect((await ask('/health/ready', { token: null })).status).toBe(200);
  });
});

describe('the relays of the admin API', () => {
  it('are shown by source, with what each should run', async () => {
    start();
    const answer = await eventually('/admin/v1/relays', ({ text }) => text.includes('"isSelf":true'));
    expect(JSON.parse(answer.text)).toMatchObject({
      relay: 'relay-1',
      sources: [
        {
          source: 'order',
          ageSeconds: expect.any(Number),
          problem: null,
          members: [{ relay: 'relay-1', isSelf: true, memberSeconds: 1.5, preferredRoutes: ['order'], stopped: [] }],
        },
      ],
    });
    expect(await json('/admin/v1/routes/order')).toMatchObject({ preferredRelay: 'relay-1' });
  });

  it('are not known before the relay has asked', async () => {
    expect(await json('/admin/v1/relays')).toMatchObject({ sources: [{ ageSeconds: null, members: [] }] });
    expect(await json('/admin/v1/routes/order')).toMatchObject({ preferredRelay: null });
  });
});

describe('the command to step down', () => {
  const STEP_DOWN = '/admin/v1/routes/order/step-down';

  it('gives the lease back in the name of the caller, with the reason', async () => {
    start();
    await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"running"'));
    expect((await ask(STEP_DOWN, { method: 'POST', body: '{"reason":"upgrade"}' })).status).toBe(200);
    expect(source.audits).toEqual([
      { actor: 'first-admin', action: 'route.step-down', target: 'order', reason: 'upgrade' },
    ]);
  });

  it('is refused by a relay that does not run the route', async () => {
    const answer = await ask(STEP_DOWN, { method: 'POST' });
    expect(answer.status).toBe(409);
    expect(answer.text).toContain('does not run route order');
    expect(source.audits).toEqual([]);
  });

  it('changes nothing when it can not be written down', async () => {
    source.pauseError = new CaptureError('database_unavailable', 'Gone.');
    start();
    await eventually('/admin/v1/routes/order', ({ text }) => text.includes('"kind":"running"'));
    expect((await ask(STEP_DOWN, { method: 'POST' })).status).toBe(503);
    expect(await json('/admin/v1/routes/order')).toMatchObject({ state: { kind: 'running' } });
  });

  it('is for operators', async () => {
    principal = { name: 'someone', role: 'viewer' };
    expect((await ask(STEP_DOWN, { method: 'POST' })).status).toBe(403);
    expect((await ask('/admin/v1/relays')).status).toBe(200);
  });
});

describe('the decisions about retention', () => {
  const LET_GO_ON = '/admin/v1/routes/order/let-go-on';
  const ACCEPT = '/admin/v1/retention/order/leaves/1/accept-count';

  it.each([
    ['viewer', 200, 403, 403],
    ['operator', 200, 404, 403],
    ['admin', 200, 404, 404],
  ] as const)('let a %s look (%i), let go on (%i) and accept a count (%i)', async (role, look, letGoOn, accept) => {
    principal = { name: 'someone', role };
    expect((await ask('/admin/v1/retention')).status).toBe(look);
    const command = { method: 'POST', body: '{"reason":"done"}' };
    expect((await ask(LET_GO_ON, command)).status).toBe(letGoOn);
    expect((await ask(ACCEPT, { method: 'POST', body: '{"dryRun":true}' })).status).toBe(accept);
  });

  it.each([
    [LET_GO_ON, '{}', 400],
    [LET_GO_ON, '{"reason":"r","exemptSeconds":-1}', 400],
    ['/admin/v1/routes/absent/let-go-on', '{"reason":"r"}', 404],
    [ACCEPT, '{}', 400],
    [ACCEPT, '{"dryRun":true,"rows":1}', 400],
  ])('refuse %s %s with %i', async (path, body, status) => {
    const answer = await ask(path, { method: 'POST', body });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  });
});

describe('the shards of a route', () => {
  const SHARDS = '/admin/v1/routes/order/shards';

  it('are shown by the source, and set in the name of the caller', async () => {
    expect(await json(SHARDS)).toEqual({
      route: 'order',
      shards: 1,
      wanted: null,
      fence: null,
      members: [{ name: 'order', low: '9007199254740993', relay: 'relay-1', isPaused: false, isDrained: false }],
    });
    const set = await ask(SHARDS, { method: 'PUT', body: '{"shards":3,"reason":"more relays"}' });
    expect(set.status).toBe(200);
    expect(JSON.parse(set.text)).toMatchObject({ shards: 1, wanted: 3, fence: '9007199254740993' });
    expect(source.divisions).toEqual([{ route: 'order', shards: 3, actor: 'first-admin', reason: 'more relays' }]);
  });

  it.each([
    ['{}', 400],
    ['{"shards":0}', 400],
    ['{"shards":65}', 400],
    ['{"shards":1.5}', 400],
    ['{"shards":2,"force":true}', 400],
  ])('are not set by %s', async (body, status) => {
    expect((await ask(SHARDS, { method: 'PUT', body })).status).toBe(status);
    expect(source.divisions).toEqual([]);
  });

  it.each([
    ['viewer', 200, 403],
    ['operator', 200, 200],
  ] as const)('let a %s look (%i) and set (%i)', async (role, look, set) => {
    principal = { name: 'someone', role };
    expect((await ask(SHARDS)).status).toBe(look);
    expect((await ask(SHARDS, { method: 'PUT', body: '{"shards":2}' })).status).toBe(set);
  });

  it('tell that the command failed', async () => {
    source.pauseError = new CaptureError('route_unknown', 'A sentence for the operator.');
    expect((await ask(SHARDS, { method: 'PUT', body: '{"shards":2}' })).status).toBe(409);
    expect((await ask('/admin/v1/routes/absent/shards')).status).toBe(404);
  });
});

describe('without a token', () => {
  const SPELLINGS = [
    '/admin',
    '/admin/',
    '/admin/v1/routes',
    '/admin/v1/routes/',
    '/ADMIN/v1/routes',
    '/Admin/V1/Routes',
    '/%61dmin/v1/routes',
    '/admin/v1/%72outes',
    '//admin/v1/routes',
    '/admin//v1/routes',
    '/admin/v1/routes;x',
    '/admin;x/v1/routes',
    '/admin/v1/routes?x=/health/live',
    '/admin/v1/routes#/health/live',
    '/health/../admin/v1/routes',
    '/health/live/../../admin/v1/routes',
    '/health%2f..%2fadmin/v1/routes',
    '/admin/v1/routes%00',
    '/admin/v1/routes%20',
    '/admin/v1/routes/order',
    '/admin/v1/routes/order/pause',
    '/metrics/../admin/v1/routes',
  ];
  const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'];

  it.each(SPELLINGS)('nothing of the admin API is reached as %s', async (path) => {
    for (const method of METHODS) {
      const answer = await ask(path, { method, token: null });
      expect([401, 404]).toContain(answer.status);
      expect(answer.headers['allow']).toBeUndefined();
      expect(answer.text).not.toMatch(/"routes"|"order"/);
    }
    expect(source.pauses).toEqual([]);
  });

  it.each(['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])('%s changes nothing', async (header) => {
    for (const method of ['GET', 'POST']) {
      const headers = { [header]: method === 'GET' ? 'POST' : 'GET' };
      expect((await ask('/admin/v1/routes/order/pause', { method, token: null, headers })).status).toBe(401);
      expect((await ask('/health/live?_method=POST', { method: 'GET', token: null, headers })).status).toBe(200);
    }
    expect(source.pauses).toEqual([]);
  });

  it.each(['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Prefix'])('%s changes nothing', async (header) => {
    const answer = await ask('/health/live', { token: null, headers: { [header]: '/admin/v1/routes' } });
    expect(JSON.parse(answer.text)).toEqual({ status: 'ok' });
  });

  it('the answer is a challenge', async () => {
    const answer = await ask('/admin/v1/routes', { token: null });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="millrace"');
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(JSON.parse(answer.text)).toMatchObject({ type: 'urn:millrace:problem:not-authenticated', status: 401 });
  });

  it.each(['/health/live', '/metrics', '/openapi.json'])('%s is open', async (path) => {
    expect((await ask(path, { token: null })).status).toBe(200);
  });
});

describe('a wrong token', () => {
  it.each([
    'Bearer wrong',
    'Bearer',
    'Bearer ',
    `Basic ${TOKEN}`,
    TOKEN,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN} ${TOKEN}`,
  ])('is refused: %s', async (authorization) => {
    const answer = await ask('/admin/v1/routes', { token: null, headers: { authorization } });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="millrace", error="invalid_token"');
    expect(answer.text).not.toContain(TOKEN);
  });

  it('is answered with 429 after ten of its address, while the right token and the open paths go on', async () => {
    const begunMs = performance.now();
    for (let time = 0; time < 10; time += 1) {
      expect((await ask('/admin/v1/routes', { token: 'wrong' })).status).toBe(401);
    }
    expect((await ask('/admin/v1/routes')).status).toBe(200);
    const answer = await ask('/admin/v1/routes', { token: 'wrong' });
    expect(answer.status).toBe(429);
    const leftSeconds = 60 - (performance.now() - begunMs) / 1_000;
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(Math.floor(leftSeconds));
    expect((await ask('/health/live', { token: null })).status).toBe(200);
  });

  it('may not name another address to escape', async () => {
    for (let time = 0; time < 10; time += 1) {
      await ask('/admin/v1/routes', { token: 'wrong', headers: { 'x-forwarded-for': `192.0.2.${time}` } });
    }
    expect((await ask('/admin/v1/routes', { token: 'wrong' })).status).toBe(429);
  });
});

describe('metrics', () => {
  it('show every route at the moment of the scrape, with labels of the configuration only', async () => {
    const before = (await ask('/metrics')).text;
    expect(before).toContain('millrace_relay_route_state{route="order",source="order",sink="main",state="ended"} 1');
    expect(before).toContain('millrace_relay_lease_held{route="order",source="order",sink="main"} 0');
    expect(before).not.toContain('millrace_relay_epoch{');
    start();
    const after = await eventually('/metrics', ({ text }) => text.includes('state="running"} 1'));
    for (const line of [
      'millrace_relay_route_state{route="order",source="order",sink="main",state="ended"} 0',
      'millrace_relay_lease_held{route="order",source="order",sink="main"} 1',
      'millrace_relay_epoch{route="order",source="order",sink="main"} 4611686018427388000',
      'millrace_relay_outbox_leaves_ahead{route="order",source="order",sink="main"} 10',
      'millrace_relay_gap_ranges{route="order",source="order",sink="main"} 1',
      'millrace_relay_lag_seconds{route="order",source="order",sink="main"} 0',
    ]) {
      expect(after.text).toContain(line);
    }
    expect(after.text).toMatch(/millrace_relay_pages_total\{.*code="empty"\} [1-9]/);
    expect(after.text).toMatch(/millrace_relay_poll_duration_seconds_count\{.*\} [1-9]/);
    expect(after.text).toContain('process_cpu_seconds_total');
  });

  it('count dead gaps once, however often they are asked', async () => {
    start();
    await eventually('/metrics', ({ text }) => text.includes('state="running"} 1'));
    await ask('/metrics');
    expect((await ask('/metrics')).text).toContain(
      'millrace_relay_gaps_died_total{route="order",source="order",sink="main"} 3',
    );
  });
});

describe('the metrics of capture', () => {
  const LABELS = 'route="order",source="order",sink="main"';

  it('are absent while no slot is wanted, and all there with one', async () => {
    start();
    const polling = (await eventually('/metrics', ({ text }) => text.includes('state="running"} 1'))).text;
    expect(polling).toContain(`millrace_relay_capture_reading{${LABELS},reading="table"} 1`);
    expect(polling).toContain(`millrace_relay_capture_reading{${LABELS},reading="stream"} 0`);
    expect(polling).not.toMatch(/millrace_relay_slot_(state|retained_bytes|limit_near)\{/);
    source.capture = { mode: 'wal', reading: 'stream', slot: SLOT, streamsLost: 2 };
    const streaming = (await ask('/metrics')).text;
    for (const line of [
      `millrace_relay_capture_reading{${LABELS},reading="stream"} 1`,
      `millrace_relay_capture_streams_lost_total{${LABELS}} 2`,
      `millrace_relay_slot_state{${LABELS},state="ready"} 1`,
      `millrace_relay_slot_state{${LABELS},state="invalidated"} 0`,
      `millrace_relay_slot_retained_bytes{${LABELS}} 9007199254740992`,
      `millrace_relay_slot_safe_wal_bytes{${LABELS}} -1`,
      `millrace_relay_slot_lag_bytes{${LABELS}} 4096`,
      `millrace_relay_slot_inactive_since_timestamp_seconds{${LABELS}} ${Date.UTC(2026, 10, 21, 20) / 1_000}.5`,
      `millrace_relay_slot_limit_near{${LABELS}} 1`,
    ]) {
      expect(streaming).toContain(line);
    }
  });

  it('count what the server spills from where they first saw it, over slots that are made anew', async () => {
    start();
    await eventually('/metrics', ({ text }) => text.includes('state="running"} 1'));
    const counts: string[] = [];
    for (const spilledBytes of [900n, 1_000n, 1_000n, 50n, null, 400n, 410n]) {
      source.capture = { mode: 'wal', reading: 'table', slot: { ...SLOT, spilledBytes }, streamsLost: 0 };
      counts.push(/slot_spilled_bytes_total\{.*\} (\d+)/.exec((await ask('/metrics')).text)?.[1] ?? '');
    }
    expect(counts).toEqual(['0', '100', '100', '150', '150', '150', '160']);
  });
});

describe('the OpenAPI document', () => {
  it('describes every route with its security and its problems', async () => {
    const document = (await json('/openapi.json', { token: null })) as {
      paths: Record<string, Record<string, { security?: unknown; responses: Record<string, { content?: object }> }>>;
      components: { securitySchemes: unknown };
    };
    expect(document.components.securitySchemes).toEqual({
      bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'opaque' },
    });
    expect(Object.keys(document.paths).filter((path) => path.startsWith('/admin'))).toEqual([
      '/admin/v1/routes',
      '/admin/v1/routes/{route}',
      '/admin/v1/routes/{route}/pause',
      '/admin/v1/routes/{route}/resume',
      '/admin/v1/routes/{route}/capture',
      '/admin/v1/routes/{route}/step-down',
      '/admin/v1/routes/{route}/shards',
      '/admin/v1/relays',
      '/admin/v1/retention',
      '/admin/v1/retention/{source}/leaves/{lo}/accept-count',
      '/admin/v1/routes/{route}/let-go-on',
      '/admin/v1/incidents',
      '/admin/v1/parked',
      '/admin/v1/held-keys',
      '/admin/v1/parked/actions',
    ]);
    const capture = document.paths['/admin/v1/routes/{route}/capture']?.['put'];
    expect(Object.keys(capture?.responses ?? {})).toEqual(['200', '400', '401', '403', '404', '409', '429', '503']);
    const pause = document.paths['/admin/v1/routes/{route}/pause']?.['post'];
    expect(pause?.security).toEqual([{ bearer: [] }]);
    expect(Object.keys(pause?.responses ?? {})).toEqual(['200', '400', '401', '403', '404', '409', '429', '503']);
    expect(pause?.responses['409']?.content).toHaveProperty(['application/problem+json']);
  });
});

describe('the log', () => {
  it('has a line for each change of state, with route, states and code, and no word of the token', async () => {
    source.claimError = new CaptureError('schema_missing', 'Run: millrace migrate');
    start();
    await eventually('/health/ready', ({ text }) => text.includes('schema-missing'));
    source.claimError = undefined;
    await eventually('/health/ready', ({ status }) => status === 200);
    const lines = logged
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line['route'] === 'order');
    expect(lines).toMatchObject([
      { level: 30, from: 'ended', to: 'starting', msg: 'route changed' },
      { level: 40, from: 'starting', to: 'stalled', side: 'source', code: 'schema_missing', msg: 'route stalled' },
      { level: 30, from: 'stalled', to: 'running', epoch: '4611686018427387904' },
    ]);
    expect(logged).not.toContain(TOKEN);
  });
});
