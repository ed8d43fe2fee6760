import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../setup/command-error.mjs';
import { LOCAL } from '../setup/paths.mjs';

const FILE = join(LOCAL, 'start.pid');

/** The process id of the `npm start` that runs in this clone, or `undefined`. */
export function runningStart() {
  const pid = readPid();
  return pid !== undefined && isStart(pid) ? pid : undefined;
}

/**
 * Throws when an `npm start` runs in this clone. Tells whether an earlier one ended without stopping in order: what it
 * started, which ends by itself when it is gone, may still be on its way out.
 */
export function hasPredecessor() {
  const earlier = readPid();
  if (earlier !== undefined && earlier !== process.pid && isStart(earlier)) {
    throw new CommandError(`npm start is already running in this clone (process ${earlier}): stop that one first.`);
  }
  return earlier !== undefined;
}

/** Allows one `npm start` per clone: this one, until it ends. */
export function takeInstance() {
  hasPredecessor();
  mkdirSync(LOCAL, { recursive: true });
  writeFileSync(FILE, String(process.pid));
  process.once('exit', () => {
    rmSync(FILE, { force: true });
  });
}

function readPid() {
  try {
    return Number(readFileSync(FILE, 'utf8')) || undefined;
  } catch (error) {
    if (error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

/** The process exists and, where the system tells, is not another that was given the same number since. */
function isStart(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
  if (process.platform !== 'linux') {
    return true;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('start.mjs');
  } catch {
    return false; // it ended in this moment
  }
}
