import { once } from 'node:events';
import { connect } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NestExpressApplication } from '@nestjs/platform-express';

import { createHttpApp } from './http-app.js';
import { portOf } from './run-app.js';
import { TimedExpressAdapter } from './timed-express-adapter.js';

@Module({})
class EmptyModule {}

describe('a server with times', () => {
  let app: NestExpressApplication;

  beforeEach(async () => {
    const times = { headersTimeout: 50, requestTimeout: 100, connectionsCheckingInterval: 20 };
    Logger.overrideLogger(false);
    app = await NestFactory.create<NestExpressApplication>(EmptyModule, new TimedExpressAdapter(times));
    await app.listen(0, '127.0.0.1');
  });

  afterEach(async () => {
    await app.close();
  });

  it.each([
    ['headers', 'GET / HTTP/1.1\r\nHost: a\r\n'],
    ['a body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'],
  ])('answers %s that do not end with 408 and cuts the connection', async (_, text) => {
    const socket = connect(portOf(app), '127.0.0.1');
    let answer = '';
    socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
    socket.write(text);
    await once(socket, 'close');
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe('the server of every app', () => {
  it('waits 10 s for headers and 30 s for a request', async () => {
    const app = await createHttpApp(EmptyModule, { name: 'a', title: 'A', version: '1', logLevel: 'fatal' });
    const { headersTimeout, requestTimeout } = app.getHttpServer();
    await app.close();
    expect({ headersTimeout, requestTimeout }).toEqual({ headersTimeout: 10_000, requestTimeout: 30_000 });
  });
});
