import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, HttpCode, Injectable, Module, Param, Post } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { z } from 'zod';

import { HealthModule, type Readiness, ReadinessPort } from './health.module.js';
import { ProblemError } from './http.errors.js';
import { createHttpApp } from './http-app.js';
import { portOf } from './run-app.js';

const noteSchema = z.strictObject({ text: z.string().max(20), lines: z.array(z.int().min(1)).optional() });

@Controller('notes')
class NotesController {
  @Post()
  @HttpCode(201)
  write(@Body({ schema: noteSchema }) note: z.infer<typeof noteSchema>): { length: number } {
    return { length: note.text.length };
  }

  @Get('of-a-lost-database')
  readLost(): never {
    const cause = Object.assign(new Error('row hunter2 is locked'), { name: 'QueryFailedError', code: '57P03' });
    throw new ProblemError('unavailable', 'Ask again.', { cause });
  }

  @Get(':id')
  read(@Param('id') id: string): never {
    throw Object.assign(new Error('the inside of the service'), { parameters: [id, 'hunter2'] });
  }
}

let readiness: () => Promise<Readiness> = () => Promise.resolve({ isReady: true, reasons: [] });

@Injectable()
class TestReadiness extends ReadinessPort {
  override readiness(): Promise<Readiness> {
    return readiness();
  }
}

@Module({ providers: [TestReadiness], exports: [TestReadiness] })
class TestReadinessModule {}

@Module({
  imports: [HealthModule.forRoot({ imports: [TestReadinessModule], readiness: TestReadiness })],
  controllers: [NotesController],
})
class NotesModule {}

describe('an HTTP app of the workspace', () => {
  const lines: string[] = [];
  let app: NestExpressApplication;
  let url: string;

  beforeAll(async () => {
    app = await createHttpApp(NotesModule, {
      name: 'notes',
      title: 'Notes',
      version: '1.2.3',
      logLevel: 'info',
      logDestination: { write: (line) => lines.push(line) },
    });
    await app.listen(0, '127.0.0.1');
    url = `http://127.0.0.1:${portOf(app)}`;
  });

  afterAll(async () => {
    await app.close();
  });

  const post = async (body: string, headers: Record<string, string> = {}): Promise<Response> =>
    await fetch(`${url}/notes`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    });

  const problemOf = async (response: Response): Promise<Record<string, unknown>> => {
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const problem: unknown = await response.json();
    expect(problem).toMatchObject({ status: response.status });
    return problem as Record<string, unknown>;
  };

  /** What was logged under the id of an answer: the last line may come after the answer. */
  const linesOf = async (problem: Record<string, unknown>): Promise<unknown[]> => {
    const id = String(problem['instance']).replace('urn:uuid:', '');
    for (;;) {
      const own = lines
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ requestId }) => requestId === id);
      if (own.some(({ msg }) => msg === 'request completed')) {
        return own;
      }
      await new Promise(setImmediate);
    }
  };

  it('takes a valid body', async () => {
    const response = await post('{"text":"hello"}');
    expect([response.status, await response.json()]).toEqual([201, { length: 5 }]);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.has('x-powered-by')).toBe(false);
  });

  it('names every broken rule by path and message, never by value', async () => {
    const response = await post('{"text":5,"lines":[1,-2,0.5],"colour":"red"}');
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect(problem).toMatchObject({
      type: 'urn:millrace:problem:invalid-request',
      errors: [{ path: 'text' }, { path: 'lines.1' }, { path: 'lines.2' }, { path: '' }],
    });
    expect(JSON.stringify(problem)).not.toContain('red');
  });

  it('refuses malformed JSON without quoting it', async () => {
    const response = await post('{"text": "my secret" oops}');
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect(problem['type']).toBe('urn:millrace:problem:malformed-json');
    expect(JSON.stringify(problem)).not.toMatch(/secret|oops/);
  });

  it('refuses a body of 2 MB and goes on', async () => {
    const response = await post(JSON.stringify({ text: 'x'.repeat(2_000_000) }));
    expect(response.status).toBe(413);
    expect(await problemOf(response)).toMatchObject({ type: 'urn:millrace:problem:payload-too-large' });
    expect((await post('{"text":"hello"}')).status).toBe(201);
  });

  it.each(['{"text":"hello","__proto__":{"admin":true}}', '{"text":"hello","lines":[{"__proto__":1}]}'])(
    'refuses a field __proto__ as it refuses every unknown field: %s',
    async (body) => {
      const response = await post(body);
      expect(response.status).toBe(400);
      expect(await problemOf(response)).toMatchObject({ errors: [{ path: '__proto__' }] });
    },
  );

  it('survives a body nested as deep as the limit allows', async () => {
    const response = await post(`{"text":"x","lines":${'['.repeat(30_000)}${']'.repeat(30_000)}}`);
    expect(response.status).toBe(400);
    await problemOf(response);
  });

  it('refuses a body that is not JSON', async () => {
    const response = await post('text=hello', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(response.status).toBe(415);
    await problemOf(response);
  });

  it('refuses a missing body', async () => {
    const response = await fetch(`${url}/notes`, { method: 'POST' });
    expect(response.status).toBe(400);
    await problemOf(response);
  });

  it('answers an unknown route and an undecodable path with problems', async () => {
    const unknown = await fetch(`${url}/nothing`);
    expect(unknown.status).toBe(404);
    expect((await problemOf(unknown))['instance']).toBeUndefined();
    const undecodable = await fetch(`${url}/notes/%FF`);
    expect(undecodable.status).toBe(400);
    await problemOf(undecodable);
  });

  it('hides an unexpected error and logs it once under the id of the answer, without its payload', async () => {
    const before = lines.length;
    const response = await fetch(`${url}/notes/secret-id?token=abc`, { headers: { authorization: 'Bearer abc' } });
    expect(response.status).toBe(500);
    const problem = await problemOf(response);
    expect(JSON.stringify(problem)).not.toContain('inside');
    expect(await linesOf(problem)).toMatchObject([
      { app: 'notes', msg: 'request failed', err: { message: 'the inside of the service' } },
      { app: 'notes', msg: 'request completed', method: 'GET', path: '/notes/secret-id', status: 500 },
    ]);
    expect(lines.slice(before).join('')).not.toMatch(/hunter2|abc/);
  });

  it('logs what passes by itself in short: it comes by the hundred', async () => {
    const before = lines.length;
    const response = await fetch(`${url}/notes/of-a-lost-database`);
    expect(response.status).toBe(503);
    expect(await linesOf(await problemOf(response))).toMatchObject([
      { level: 40, msg: 'request put off', code: 'unavailable', cause: 'QueryFailedError 57P03' },
      { level: 40, msg: 'request completed', status: 503 },
    ]);
    expect(lines.slice(before).join('')).not.toMatch(/hunter2|stack/);
  });

  it('is live whatever happens, and ready only when the app says so in time', async () => {
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    readiness = () => Promise.resolve({ isReady: false, reasons: ['database-unreachable'] });
    const unready = await fetch(`${url}/health/ready`);
    expect([unready.status, await unready.json()]).toEqual([
      503,
      { status: 'not-ready', reasons: ['database-unreachable'] },
    ]);
    readiness = () => Promise.reject(new Error('broken'));
    expect(await (await fetch(`${url}/health/ready`)).json()).toEqual({
      status: 'not-ready',
      reasons: ['check-failed'],
    });
    readiness = () => new Promise(() => undefined);
    expect(await (await fetch(`${url}/health/ready`)).json()).toEqual({
      status: 'not-ready',
      reasons: ['check-timed-out'],
    });
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });

  it('measures requests by route template', async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(
      /millrace_http_request_duration_seconds_count\{method="GET",route="\/notes\/:id",status="500"\} 1/,
    );
    expect(metrics).toMatch(/route="unmatched",status="404"/);
    expect(metrics).toMatch(/process_cpu_seconds_total/);
    expect(metrics).not.toContain('secret-id');
  });

  it('serves its OpenAPI 3.1 document from the schemas of the routes', async () => {
    const document: unknown = await (await fetch(`${url}/openapi.json`)).json();
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'Notes', version: '1.2.3' },
      paths: {
        '/notes': {
          post: {
            requestBody: {
              content: { 'application/json': { schema: { additionalProperties: false, required: ['text'] } } },
            },
          },
        },
        '/health/ready': {},
      },
      components: { schemas: { Problem: { type: 'object' } } },
    });
    expect(JSON.stringify(document)).toContain('"minimum":1');
    expect(JSON.stringify(document)).not.toContain('exclusiveMinimum":true');
  });
});
