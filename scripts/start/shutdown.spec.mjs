import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { passOnSignals } from '../setup/parent.mjs';
import { Shutdown } from './shutdown.mjs';

/** What `onParentGone` is, with a parent that goes when it is told to. */
function parentOf() {
  const listeners = new Set();
  const watch = (listener) => {
    listeners.add(listener);
    return { stop: () => listeners.delete(listener) };
  };
  return { watch, go: () => listeners.forEach((listener) => listener()) };
}

describe('a signal to the process between npm and the one on the pinned Node', () => {
  it('is passed on once, also when it ends the parent', () => {
    const source = new EventEmitter();
    const parent = parentOf();
    const kill = jest.fn();
    passOnSignals({ kill }, source, parent.watch);
    source.emit('SIGTERM');
    parent.go();
    expect(kill.mock.calls).toEqual([['SIGTERM']]);
  });

  it('is made up when the parent goes without one', () => {
    const parent = parentOf();
    const kill = jest.fn();
    passOnSignals({ kill }, new EventEmitter(), parent.watch);
    parent.go();
    expect(kill.mock.calls).toEqual([['SIGTERM']]);
  });
});

describe('a stop', () => {
  beforeEach(() => {
    jest.useFakeTimers();
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
  });

  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  function running() {
    const source = Object.assign(new EventEmitter(), { exit: jest.fn() });
    const parent = parentOf();
    const shutdown = new Shutdown(source, parent.watch);
    const server = { stop: jest.fn(async () => new Promise(() => undefined)), kill: jest.fn(async () => undefined) };
    shutdown.add('kafka', 'Kafka', server);
    return { source, parent, shutdown, server };
  }

  it.each(['SIGTERM', 'SIGHUP'])('goes on in order when %s comes again late and the parent goes', (signal) => {
    const { source, parent, shutdown, server } = running();
    source.emit(signal);
    jest.advanceTimersByTime(5_000);
    source.emit(signal);
    parent.go();
    expect(shutdown.isRequested).toBe(true);
    expect(server.stop).toHaveBeenCalledTimes(1);
    expect(server.kill).not.toHaveBeenCalled();
  });

  it('says what it stops', () => {
    const { source, shutdown, server } = running();
    shutdown.add('apps', 'The order app', server);
    source.emit('SIGTERM');
    expect(console.log).toHaveBeenCalledWith(expect.stringMatching(/Stopping the order app \.\.\.$/));
  });

  it('goes on in order when one Ctrl-C is heard twice', () => {
    const { source, server } = running();
    source.emit('SIGINT');
    jest.advanceTimersByTime(500);
    source.emit('SIGINT');
    expect(server.stop).toHaveBeenCalledTimes(1);
    expect(server.kill).not.toHaveBeenCalled();
  });

  it('becomes an end at once at a second Ctrl-C', async () => {
    const { source, server } = running();
    source.emit('SIGINT');
    jest.advanceTimersByTime(1_500);
    source.emit('SIGINT');
    await Promise.resolve();
    expect(server.kill).toHaveBeenCalledTimes(1);
    expect(server.stop).toHaveBeenCalledTimes(1);
  });

  it('follows the parent that is gone, and every stage waits for the later one', async () => {
    const { parent, shutdown, server } = running();
    const app = { stop: jest.fn(async () => undefined), kill: jest.fn() };
    shutdown.add('apps', 'order', app);
    parent.go();
    expect(server.stop).not.toHaveBeenCalled();
    await shutdown.requested;
    expect(app.stop).toHaveBeenCalledTimes(1);
  });
});
