import { describe, expect, it, jest } from '@jest/globals';
import { Supervised } from './supervised.mjs';

/** A program that ends when a test says so. */
class FakeProgram {
  starts = 0;
  #end = () => undefined;
  #exited = Promise.resolve();

  async start() {
    this.starts += 1;
    this.#exited = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async exited() {
    return this.#exited;
  }

  async stop() {
    this.#end('SIGTERM');
  }

  crash() {
    this.#end('SIGKILL');
  }
}

describe('a supervised program', () => {
  it('is started again after it ended by itself, and told of both times, but not after it was stopped', async () => {
    const said = jest.spyOn(console, 'log').mockImplementation(() => undefined);
    const program = new FakeProgram();
    const changes = [];
    let isUpAgain;
    const upAgain = new Promise((resolve) => {
      isUpAgain = resolve;
    });
    const supervised = new Supervised('The order app', program, (isUp) => {
      changes.push(isUp);
      if (isUp) {
        isUpAgain();
      }
    });
    await supervised.start();
    program.crash();
    await upAgain;
    await supervised.stop();
    expect(program.starts).toBe(2);
    expect(changes).toEqual([false, true]);
    expect(said.mock.calls.flat().join('\n')).toMatch(
      /The order app ended unexpectedly \(SIGKILL\); starting it again in 0.5 s.*\n.*running again/,
    );
    said.mockRestore();
  });
});
