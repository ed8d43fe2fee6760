import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { LocalServerError } from './testing.errors.js';

/**
 * Below every system's range for outgoing connections: a client that reconnects to a port of that range while its
 * server is down can be given the very same port as its own, and so connect to itself.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const ATTEMPTS = 200;

/** Resolves to whether nobody listens on this port of 127.0.0.1 now. */
export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/** Resolves to a port on which nobody listens, outside the range of outgoing connections. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (await isPortFree(port)) {
      return port;
    }
  }
  throw new LocalServerError('port_in_use', `No free port was found between ${FIRST_PORT} and ${LAST_PORT}.`);
}
