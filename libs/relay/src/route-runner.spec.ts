import { describe, expect, it } from '@jest/globals';
import { CaptureError } from '@millrace/capture';
import { SinkError } from '@millrace/transport';
import { FakeRelay } from './testing/fake-relay.js';
import { anEvent, type FakeCapture } from './testing/fake-source.js';

const COMMAND = { route: 'orders', actor: 'anna', reason: null };

describe('the life of a route', () => {
  it('stands by while another relay holds the route, and takes it soon after it is free', async () => {
    const relay = new FakeRelay();
    relay.source.heldBy = 'other';
    await relay.start();
    await relay.clock.advance(30_000);
    expect(relay.status).toMatchObject({ state: { kind: 'standby', heldBy: 'other' }, lagSeconds: null });
    expect(relay.source.claims.length).toBeLessThan(40);
    relay.source.heldBy = null;
    await relay.clock.advance(1_200);
    expect(relay.status.state.kind).toBe('running');
    expect(relay.states).toEqual(['starting', 'standby', 'running']);
    await relay.stop();
  });

  it('looks again as soon as the lease of the other relay ends', async () => {
    const relay = new FakeRelay();
    relay.source.heldBy = 'other';
    relay.source.expiresInMs = 40;
    await relay.start();
    relay.source.heldBy = null;
    await relay.clock.advance(145);
    expect(relay.status.state.kind).toBe('running');
    await relay.stop();
  });

  it('waits longer and longer while the source is away, says why, and heals', async () => {
    const relay = new FakeRelay();
    relay.source.claimError = new CaptureError('schema_missing', 'Run millrace migrate.');
    await relay.start();
    expect(relay.problem).toBe('schema_missing: Run millrace migrate.');
    await relay.clock.advance(60_000);
    expect(relay.source.claims.length).toBeGreaterThan(10);
    expect(relay.source.claims.length).toBeLessThan(25);
    expect(relay.status.lagSeconds).toBeGreaterThan(59);
    relay.source.claimError = null;
    await relay.clock.advance(5_000);
    expect(relay.status).toMatchObject({ state: { kind: 'running' }, lagSeconds: 0 });
    await relay.stop();
  });

  it('does not take the route before the sink is there', async () => {
    const relay = new FakeRelay();
    relay.sink.startError = new SinkError('unavailable', 'No broker answers.');
    await relay.start();
    await relay.clock.advance(20_000);
    expect(relay.source.claims).toEqual([]);
    expect(relay.problem).toContain('unavailable: No broker answers.');
    relay.sink.startError = null;
    await relay.clock.advance(5_000);
    expect(relay.status.state.kind).toBe('running');
    await relay.stop();
  });

  it('stops at an error that does not pass by itself, and starts anew when it is resumed', async () => {
    const relay = new FakeRelay();
    relay.source.claimError = new CaptureError('identity_changed', 'Another server.');
    await relay.start();
    await relay.clock.advance(60_000);
    expect(relay.source.claims).toHaveLength(1);
    expect(relay.problem).toBe('identity_changed: Another server.');
    relay.source.claimError = null;
    await relay.engine.resume(COMMAND);
    await relay.clock.advance(1);
    expect(relay.status.state.kind).toBe('running');
    expect(relay.source.pauses).toEqual([{ ...COMMAND, isPaused: false }]);
    await relay.stop();
  });

  it('starts anew without a word about its pause mark when the cause was removed', async () => {
    const relay = new FakeRelay();
    relay.source.claimError = new CaptureError('route_expired', 'It held too much.');
    await relay.start();
    expect(relay.problem).toBe('route_expired: It held too much.');
    relay.source.claimError = null;
    await relay.engine.startAnew('orders');
    await relay.clock.advance(1);
    expect(relay.status.state.kind).toBe('running');
    expect(relay.source.pauses).toEqual([]);
    await relay.stop();
  });

  it('can be resumed when it was stopped before it ever ran', async () => {
    const relay = new FakeRelay();
    relay.sink.startError = new SinkError('configuration', 'No brokers are named.');
    relay.source.pauseError = new CaptureError('route_unknown', 'No ledger.');
    await relay.start();
    expect(relay.status.state.kind).toBe('stopped');
    relay.sink.startError = null;
    await relay.engine.resume(COMMAND);
    await relay.clock.advance(1);
    expect(relay.status.state.kind).toBe('running');
    await relay.stop();
  });

  it('stays stopped when the command to resume is not taken', async () => {
    const relay = new FakeRelay();
    relay.sink.startError = new SinkError('configuration', 'No brokers are named.');
    relay.source.pauseError = new CaptureError('database_unavailable', 'Gone.');
    await relay.start();
    await expect(relay.engine.resume(COMMAND)).rejects.toThrow('Gone.');
    expect(relay.status.state.kind).toBe('stopped');
    await relay.stop();
    expect(relay.status.state.kind).toBe('ended');
  });

  it('finishes and settles what is in flight before it gives the lease back', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)], { isFull: true });
      capture.give([anEvent(2)]);
    };
    await relay.start();
    let isStopped = false;
    const stopping = relay.engine.stop().then(() => {
      isStopped = true;
    });
    await relay.clock.advance(1_000);
    relay.sink.sendAt(0).accept();
    await relay.clock.advance(1_000);
    expect(isStopped).toBe(false);
    relay.sink.sendAt(1).accept();
    await relay.clock.advance(0);
    await stopping;
    expect(relay.source.capture).toMatchObject({ settled: [1, 2], isClosed: true });
    expect(relay.sink.stops).toBe(1);
    expect(relay.clock.timersSet).toBe(0);
  });

  it('does not wait for a sink that never answers', async () => {
    const relay = new FakeRelay({ drainMs: 3_000 });
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    await relay.start();
    const stopping = relay.engine.stop();
    await relay.clock.advance(3_000);
    await stopping;
    expect(relay.source.capture).toMatchObject({ settled: [], isClosed: true });
    expect(relay.clock.timersSet).toBe(0);
  });

  it('gives back a claim that is granted while it stops, and one that is granted too late', async () => {
    const relay = new FakeRelay({ drainMs: 3_000 });
    let grant: () => void = () => undefined;
    relay.source.claimHold = new Promise((resolve) => {
      grant = resolve;
    });
    await relay.start();
    const stopping = relay.engine.stop();
    await relay.clock.advance(3_000);
    await stopping;
    grant();
    await relay.clock.advance(0);
    expect(relay.source.capture.isClosed).toBe(true);
    expect(relay.source.capture.polls).toBe(0);
    expect(relay.clock.timersSet).toBe(0);
  });

  it('can be started, stopped and started again, as often as one likes', async () => {
    const relay = new FakeRelay();
    await relay.engine.stop();
    relay.engine.start();
    await relay.start();
    expect(relay.source.captures).toHaveLength(1);
    await Promise.all([relay.stop(), relay.engine.stop()]);
    expect(relay.status.state.kind).toBe('ended');
    await relay.start();
    expect(relay.status.state.kind).toBe('running');
    expect(relay.source.captures).toHaveLength(2);
    await relay.stop();
  });

  it('goes on after an error that nobody foresaw, without repeating what it said', async () => {
    const relay = new FakeRelay();
    relay.source.prepare = (capture: FakeCapture) => {
      capture.nextPage = () => Promise.reject(new TypeError('payload {"iban": "DE00"} of undefined'));
    };
    await relay.start();
    expect(relay.problem).toBe('internal: Unexpected TypeError.');
    relay.source.prepare = () => undefined;
    await relay.clock.advance(5_000);
    expect(relay.status.state.kind).toBe('running');
    await relay.stop();
  });
});
