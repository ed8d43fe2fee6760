import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Module } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';

import { type HttpEnvironment } from './environment.js';
import { createHttpApp } from './http-app.js';
import { StartError } from './http.errors.js';
import { listen, portOf, readTls, runApp, runOnce } from './run-app.js';

@Module({})
class EmptyModule {}

const environment: HttpEnvironment = {
  HOST: '127.0.0.1',
  PORT: 0,
  LOG_LEVEL: 'silent',
  MILLRACE_TRUST_PROXY: false,
  MILLRACE_TLS_CERT_FILE: undefined,
  MILLRACE_TLS_KEY_FILE: undefined,
};

const createApp = async (): Promise<NestExpressApplication> =>
  await createHttpApp(EmptyModule, { name: 'empty', title: 'Empty', version: '1.0.0', logLevel: 'silent' });

describe('an app as a process', () => {
  let printed = '';
  let exited: Promise<number>;

  beforeEach(() => {
    printed = '';
    const print = (chunk: unknown): boolean => {
      printed += String(chunk);
      return true;
    };
    jest.spyOn(process.stderr, 'write').mockImplementation(print);
    jest.spyOn(process.stdout, 'write').mockImplementation(print);
    exited = new Promise((resolve) => {
      jest.spyOn(process, 'exit').mockImplementation((code) => {
        resolve(Number(code));
        return undefined as never;
      });
    });
  });

  afterEach(() => {
    jest.restoreAllMocks();
    process.removeAllListeners('SIGTERM');
    process.removeAllListeners('SIGINT');
  });

  it('prints every problem of the start on a line of its own, without a stack, and exits with 1', async () => {
    await runApp(() => Promise.reject(new StartError(['PORT is wrong', 'HOST is wrong'])));
    expect([await exited, printed]).toEqual([1, 'PORT is wrong\nHOST is wrong\n']);
  });

  it('keeps the stack of a fault of the program', async () => {
    await runApp(() => Promise.reject(new TypeError('a fault')));
    expect(await exited).toBe(1);
    expect(printed).toMatch(/TypeError: a fault\n +at /);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('closes the app and exits with 0 at %s', async (signal) => {
    const app = await createApp();
    await runApp(async () => {
      await listen(app, environment);
      return app;
    });
    const url = `http://127.0.0.1:${portOf(app)}/`;
    expect((await fetch(url)).status).toBe(404);
    process.emit(signal);
    expect(await exited).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
    expect(printed).toBe('');
  });

  it('prints what a program that ends by itself has done', async () => {
    await runOnce(() => Promise.resolve('done'));
    expect(printed).toBe('done\n');
    await runOnce(() => Promise.reject(new StartError(['not done'])));
    expect([await exited, printed]).toEqual([1, 'done\nnot done\n']);
  });
});

describe('listening', () => {
  it('tells in a sentence that the port is in use', async () => {
    const other: Server = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const app = await createApp();
    await expect(listen(app, { ...environment, PORT: port })).rejects.toEqual(
      new StartError([`Port ${port} on 127.0.0.1 is in use: stop the program that has it, or set PORT to a free one`]),
    );
    await app.close();
    other.close();
    await once(other, 'close');
  });

  it('tells in a sentence that the address is not of this machine', async () => {
    const app = await createApp();
    await expect(listen(app, { ...environment, HOST: '192.0.2.1' })).rejects.toThrow(
      /^HOST 192\.0\.2\.1 is not an address of this machine/,
    );
    await app.close();
  });

  it('names the variable of a TLS file that cannot be read', () => {
    expect(() => readTls({ ...environment, MILLRACE_TLS_CERT_FILE: '/nowhere', MILLRACE_TLS_KEY_FILE: '/n' })).toThrow(
      /^MILLRACE_TLS_CERT_FILE names a file that can't be read/,
    );
    expect(readTls(environment)).toBeUndefined();
  });
});
