import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../setup/command-error.mjs';
import { say } from './say.mjs';

const LEAVING_MS = 20_000;
const POLL_MS = 100;

/**
 * Throws when ports that are needed are in use, with all of them; programs of an earlier run that was killed, which end
 * by themselves, get time to leave. Needs no package: it comes before the installation.
 */
export async function requirePorts(wanted, hasPredecessor = false) {
  let busy = await busyPorts(wanted);
  if (hasPredecessor) {
    const left = busy.length === 0 ? 'its ports are free.' : 'waiting for what is left of it to end ...';
    say(`An earlier npm start ended without stopping; ${left}`);
    const deadline = performance.now() + LEAVING_MS;
    while (busy.length > 0 && performance.now() < deadline) {
      await sleep(POLL_MS);
      busy = await busyPorts(wanted);
    }
  }
  if (busy.length > 0) {
    throw new CommandError(problemOf(busy));
  }
}

async function busyPorts(wanted) {
  const states = await Promise.all(wanted.map(async (one) => ({ one, isFree: await isPortFree(one.port) })));
  return states.filter(({ isFree }) => !isFree).map(({ one }) => one);
}

/** As in libs/testing, which is not built yet. */
async function isPortFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function problemOf(busy) {
  if (busy.length === 1) {
    const [{ port, who, variable }] = busy;
    return `Port ${port}, which ${who} needs, is in use: stop the program that has it, or set ${variable} to a free port.`;
  }
  const lines = busy.map(({ port, who, variable }) => `  ${String(port).padEnd(5)} of ${who}: ${variable}`);
  return [
    'These ports are in use: stop the programs that have them, or set their variables to free ports.',
    ...lines,
  ].join('\n');
}
