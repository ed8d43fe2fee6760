import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../setup/command-error.mjs';
import { LOCAL, ROOT } from '../setup/paths.mjs';
import { runningStart } from '../start/instance-lock.mjs';
import { readInstance } from '../start/instance.mjs';

const LOG = join(LOCAL, 'demo-start.log');
const UP_TIMEOUT_MS = 300_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 200;
const LOG_LINES = 15;

/**
 * The `npm start` of this clone: the one that runs, once it is up, or one that is started for the demo. Resolves to the
 * instance and to how to let go of it: what was started here is stopped, what ran before goes on.
 */
export async function findOrStart() {
  if (runningStart() !== undefined) {
    return { instance: await waitUntilUp(() => runningStart() !== undefined), letGo: async () => undefined };
  }
  console.log(`No npm start runs in this clone: starting one, and stopping it afterwards (its log: ${LOG}).`);
  mkdirSync(LOCAL, { recursive: true });
  const log = openSync(LOG, 'w');
  // out of the reach of the terminal's Ctrl-C, which is for the demo
  const start = spawn(process.execPath, [join(ROOT, 'scripts', 'start.mjs')], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, LOG_LEVEL: process.env.LOG_LEVEL || 'warn' }, // not a line for every request
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const letGo = async () => stop(start);
  process.once('exit', () => start.kill('SIGTERM'));
  for (const signal of ['SIGTERM', 'SIGHUP']) {
    process.once(signal, end);
  }
  process.once('SIGINT', end); // until the demo runs, which takes it for the end of placing
  try {
    return { instance: await waitUntilUp(() => start.exitCode === null && start.signalCode === null), letGo };
  } catch (error) {
    await letGo();
    throw error;
  } finally {
    process.off('SIGINT', end);
  }
}

/** By way of 'exit', which ends what was started, too. */
function end() {
  process.exit(1);
}

async function waitUntilUp(isRunning) {
  const deadline = performance.now() + UP_TIMEOUT_MS;
  while (performance.now() < deadline && isRunning()) {
    const instance = readInstance();
    if (instance !== undefined) {
      return instance;
    }
    await sleep(POLL_MS);
  }
  throw new CommandError(`npm start did not come up.\n${endOfLog()}`);
}

async function stop(start) {
  if (start.exitCode !== null || start.signalCode !== null) {
    return;
  }
  const ended = new Promise((resolve) => start.once('exit', resolve));
  start.kill('SIGTERM');
  await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
}

function endOfLog() {
  try {
    return readFileSync(LOG, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n');
  } catch {
    return 'See the terminal in which it runs.'; // it was not started here
  }
}
