import { setTimeout as sleep } from 'node:timers/promises';
import { TestEnvironment } from 'jest-environment-node';

/** What a test can leave open; reads of files and the like end by themselves. */
const HELD = new Set([
  'ChildProcess',
  'MessagePort',
  'PipeServerWrap',
  'PipeWrap',
  'ProcessWrap',
  'TCPServerWrap',
  'TCPSocketWrap',
  'Timeout',
  'TLSWrap',
  'UDPWrap',
  'Worker',
]);
const LEAVING_MS = 20_000;
const POLL_MS = 20;

/**
 * Fails a test file that leaves a socket, server, timer, process or thread behind that would keep the process running,
 * and names its kind. What was closed a moment ago gets time to go. A file with a failed test is not looked at: a test
 * that took too long goes on behind its end, and what it leaves would be told instead of its failure.
 */
export default class LeakEnvironment extends TestEnvironment {
  hasFailed = false;

  async setup() {
    await super.setup();
    // these are made at their first use, and stay
    this.standardStreams = [process.stdin, process.stdout, process.stderr];
    this.before = countHeld();
  }

  handleTestEvent({ name, test }) {
    this.hasFailed ||= name === 'hook_failure' || (name === 'test_done' && test.errors.length > 0);
  }

  async teardown() {
    const left = this.hasFailed ? [] : await this.#leftOver();
    await super.teardown();
    if (left.length > 0) {
      const error = new Error(`The tests of this file left open: ${left.join(', ')}. Close it in afterAll.`);
      error.stack = error.message; // where this is thrown says nothing
      throw error;
    }
  }

  async #leftOver() {
    const deadline = performance.now() + LEAVING_MS;
    for (;;) {
      const left = Object.entries(countHeld())
        .map(([kind, count]) => [kind, count - (this.before[kind] ?? 0)])
        .filter(([, count]) => count > 0);
      if (left.length === 0 || performance.now() > deadline) {
        return left.map(([kind, count]) => `${count} ${kind}`);
      }
      await sleep(POLL_MS);
    }
  }
}

function countHeld() {
  const counts = {};
  for (const kind of process.getActiveResourcesInfo().filter((one) => HELD.has(one))) {
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
