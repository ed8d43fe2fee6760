import { readFileSync } from 'node:fs';

import { type INestApplicationContext, Logger } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';

import { type HttpEnvironment } from './environment.js';
import { StartError } from './http.errors.js';

/** How long a stopping app may finish what it has begun. */
const STOP_TIMEOUT_MS = 10_000;

/** The certificate and the key that the environment names, or nothing; throws `StartError` when one can't be read. */
export function readTls(environment: HttpEnvironment): { readonly cert: Buffer; readonly key: Buffer } | undefined {
  const { MILLRACE_TLS_CERT_FILE: cert, MILLRACE_TLS_KEY_FILE: key } = environment;
  if (cert === undefined || key === undefined) {
    return undefined;
  }
  return { cert: readPem('MILLRACE_TLS_CERT_FILE', cert), key: readPem('MILLRACE_TLS_KEY_FILE', key) };
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new StartError([`${name} names a file that can't be read: give the path of a PEM file`], { cause });
  }
}

/** Listens where the environment says. Rejects with `StartError` when the address is taken or not this machine's. */
export async function listen(app: NestExpressApplication, environment: HttpEnvironment): Promise<void> {
  const { HOST: host, PORT: port } = environment;
  try {
    await app.listen(port, host);
  } catch (cause) {
    throw new StartError([listenProblem(cause, host, port)], { cause });
  }
  new Logger('listen').log({ host, port: portOf(app) }, 'listening');
}

/** The port that an app listens on, also when it was asked for port 0. */
export function portOf(app: NestExpressApplication): number {
  const address: unknown = app.getHttpServer().address();
  return typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : 0;
}

function listenProblem(cause: unknown, host: string, port: number): string {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is in use: stop the program that has it, or set PORT to a free one`;
    case 'EACCES':
      return `Port ${port} on ${host} needs rights that this user does not have: set PORT to one above 1023`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST ${host} is not an address of this machine: set HOST to 127.0.0.1 or to one that is`;
    default:
      return `Listening on ${host}:${port} failed: ${String(code ?? cause)}`;
  }
}

/**
 * Runs an app as a process: `start` builds it and listens; SIGTERM or SIGINT closes it (running requests are finished
 * first) and exits with 0, or with 1 when that takes longer than ten seconds. A `StartError` is printed line by line
 * and exits with 1; any other error of the start is a fault of the program and keeps its stack.
 */
export async function runApp(start: () => Promise<INestApplicationContext>): Promise<void> {
  const starting = start();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      void stop(starting);
    });
  }
  try {
    await starting;
  } catch (error) {
    fail(error);
  }
}

/**
 * Runs a program that ends by itself: prints the line that `work` resolves with and exits with 0; fails as `runApp`
 * does.
 */
export async function runOnce(work: () => Promise<string>): Promise<void> {
  try {
    process.stdout.write(`${await work()}\n`);
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): never {
  const lines = error instanceof StartError ? error.problems : [describeFault(error)];
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(1);
}

async function stop(starting: Promise<INestApplicationContext>): Promise<never> {
  const deadline = setTimeout(() => {
    process.stderr.write(`Stopping took longer than ${STOP_TIMEOUT_MS / 1000} s; requests were cut off\n`);
    process.exit(1);
  }, STOP_TIMEOUT_MS);
  const app = await starting;
  new Logger('stop').log('stopping');
  await app.close();
  clearTimeout(deadline);
  process.exit(0);
}

function describeFault(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : 'The start failed with a value that is no Error';
}
