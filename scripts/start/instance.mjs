import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOCAL } from '../setup/paths.mjs';
import { runningStart } from './instance-lock.mjs';

const FILE = join(LOCAL, 'instance.json');

/**
 * What runs, for the programs that work with it: where the apps are, and the processes that can be killed and come back
 * by themselves (without a pid while they are down). It holds the admin token and the URLs of the databases, so only
 * its owner may read it. It is there from the moment all is up, follows every restart, and goes when `npm start` ends.
 */
export class Instance {
  #programs = new Map();
  #pids = new Map();
  #places;

  /** A program of `npm start` with its `pid`, under the name that it is known by. */
  add(name, program) {
    this.#programs.set(name, program);
  }

  /** All is up. */
  publish(places) {
    this.#places = places;
    process.once('exit', () => rmSync(FILE, { force: true }));
    for (const name of this.#programs.keys()) {
      this.#note(name, true);
    }
    this.#write();
  }

  /** A program is down, or up again. */
  changed(name, isUp) {
    if (this.#places !== undefined) {
      this.#note(name, isUp);
      this.#write();
    }
  }

  #note(name, isUp) {
    this.#pids.set(name, isUp ? this.#programs.get(name).pid : null);
  }

  #write() {
    const processes = [...this.#pids].map(([name, pid]) => ({ name, pid }));
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
