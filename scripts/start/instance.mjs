import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOCAL } from '../setup/paths.mjs';
import { runningStart } from './instance-lock.mjs';

const FILE = join(LOCAL, 'instance.json');

/**
 * What runs, for the programs that work with it: where the apps are, and the processes that can be killed and come back
 * by themselves. It holds the admin token and the URLs of the databases, so only its owner may read it. It is there
 * from the moment all is up, follows every restart, and goes when `npm start` ends.
 */
export class Instance {
  #programs = new Map();
  #places;

  /** A program of `npm start` with its `pid`, under the name that it is known by. */
  add(name, program) {
    this.#programs.set(name, program);
  }

  /** All is up. */
  publish(places) {
    this.#places = places;
    process.once('exit', () => rmSync(FILE, { force: true }));
    this.update();
  }

  /** A program was started again. */
  update() {
    if (this.#places === undefined) {
      return;
    }
    const processes = [...this.#programs].map(([name, program]) => ({ name, pid: pidOf(program) }));
    const text = JSON.stringify({ pid: process.pid, ...this.#places, processes }, null, 2);
    writeFileSync(`${FILE}.new`, text, { mode: 0o600 });
    renameSync(`${FILE}.new`, FILE); // a reader finds all of it or what was before
  }
}

/** The instance that runs in this clone and is up, or `undefined`. */
export function readInstance() {
  try {
    const instance = JSON.parse(readFileSync(FILE, 'utf8'));
    return instance.pid === runningStart() ? instance : undefined; // one that was killed leaves its file
  } catch (error) {
    if (error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

function pidOf(program) {
  try {
    return program.pid ?? null;
  } catch {
    return null; // a server that is down has none
  }
}
