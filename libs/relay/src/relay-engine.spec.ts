import { describe, expect, it } from '@jest/globals';
import { CaptureError } from '@millrace/capture';
import { SinkError } from '@millrace/transport';
import { RelayEngine } from './relay-engine.js';
import { RelayError } from './relay.errors.js';
import { FakeClock } from './testing/fake-clock.js';
import { FakeRelay } from './testing/fake-relay.js';
import { FakeSink } from './testing/fake-sink.js';
import { anEvent, FakeSource } from './testing/fake-source.js';

const BY_ANNA = { route: 'orders', actor: 'anna', reason: 'a try' };

describe('the engine', () => {
  it('names every problem of its configuration at once', () => {
    const make = (): RelayEngine =>
      new RelayEngine({
        owner: '',
        sources: new Map([['db', new FakeSource()]]),
        sinks: new Map([['kafka', new FakeSink()]]),
        routes: [
          { name: 'a', source: 'db', sink: 'kafka' },
          { name: 'a', source: 'db', sink: 'kafka' },
          { name: 'b', source: 'nowhere', sink: 'kafka' },
          { name: 'c', source: 'db', sink: 'nowhere' },
          { name: 'd', source: 'db', sink: 'kafka', topic: 'a b' },
        ],
        sharing: { graceMs: -1, beatMs: 4_000 },
      });
    expect(make).toThrow(RelayError);
    for (const problem of [
      'owner is empty',
      'Two routes are named a',
      'source nowhere',
      'sink nowhere',
      '"a b"',
      'graceMs',
      'twice',
    ]) {
      expect(make).toThrow(problem);
    }
  });

  it('knows its routes, and says so when asked for another', async () => {
    const { engine } = new FakeRelay();
    expect(engine.status().map(({ route }) => route)).toEqual(['orders']);
    expect(() => engine.routeStatus('x')).toThrow('There is no route "x" here; known are: orders.');
    await expect(engine.pause({ route: 'x', actor: 'a', reason: null })).rejects.toThrow(RelayError);
  });

  it('keeps a route going beside another whose sink is dead', async () => {
    const clock = new FakeClock();
    const [dead, alive] = [new FakeSink(), new FakeSink()];
    dead.startError = new SinkError('unavailable', 'Dead.');
    const [first, second] = [new FakeSource(), new FakeSource()];
    const engine = new RelayEngine({
      owner: 'me',
      sources: new Map([
        ['first', first],
        ['second', second],
      ]),
      sinks: new Map([
        ['dead', dead],
        ['alive', alive],
      ]),
      routes: [
        { name: 'stuck', source: 'first', sink: 'dead' },
        { name: 'well', source: 'second', sink: 'alive' },
      ],
      clock,
    });
    second.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    engine.start();
    await clock.advance(1_000);
    expect(engine.status().map(({ state }) => state.kind)).toEqual(['stalled', 'running']);
    expect(alive.sends).toHaveLength(1);
    const stopping = engine.stop();
    await clock.advance(10_000);
    await stopping;
    expect([dead.stops, alive.stops]).toEqual([1, 1]);
  });

  it('keeps a route going beside another whose source never answers', async () => {
    const clock = new FakeClock();
    const [dead, well] = [new FakeSource(), new FakeSource()];
    dead.join = () => new Promise(() => undefined);
    dead.claim = () => new Promise(() => undefined);
    dead.leave = () => new Promise(() => undefined);
    const engine = new RelayEngine({
      owner: 'me',
      sources: new Map([
        ['dead', dead],
        ['well', well],
      ]),
      sinks: new Map([['kafka', new FakeSink()]]),
      routes: ['dead', 'well'].map((source) => ({ name: source, source, sink: 'kafka' })),
      clock,
    });
    engine.start();
    await clock.advance(1);
    expect(engine.status().map(({ state }) => state.kind)).toEqual(['starting', 'running']);
    await clock.advance(40_000);
    expect(engine.status().map(({ state }) => state.kind)).toEqual(['stalled', 'running']);
    const stopping = engine.stop();
    await clock.advance(10_000);
    await stopping;
    expect(well.leaves).toBe(1);
    expect(clock.timersSet).toBe(0);
  });

  it('lets two routes that share a lane of a sink take turns', async () => {
    const clock = new FakeClock();
    const sink = new FakeSink();
    sink.isHolding = true;
    const source = new FakeSource();
    source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    const engine = new RelayEngine({
      owner: 'me',
      sources: new Map([['db', source]]),
      sinks: new Map([['kafka', sink]]),
      routes: ['a', 'b'].map((name) => ({ name, source: 'db', sink: 'kafka' })),
      clock,
    });
    engine.start();
    await clock.advance(1_000);
    expect(sink.sends).toHaveLength(1);
    sink.sendAt(0).accept();
    await clock.advance(10);
    expect(sink.sends).toHaveLength(2);
    sink.sendAt(1).accept();
    await clock.advance(10);
    expect(engine.status().map(({ eventsSent }) => eventsSent)).toEqual([1, 1]);
    await engine.stop();
  });

  it('tells the observer what it does', async () => {
    const told: string[] = [];
    const relay = new FakeRelay(
      {},
      {},
      {
        pageRead: ({ events }) => told.push(`read ${events}`),
        batchSent: ({ lane, events }) => told.push(`sent ${events} to ${lane.id}`),
        pagesSettled: ({ pages, events }) => told.push(`settled ${pages} page with ${events}`),
      },
    );
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1), anEvent(2)]);
    };
    await relay.start();
    expect(told).toEqual(['read 2', 'sent 2 to outbox.event.order/0', 'settled 1 page with 2']);
    await relay.stop();
  });
});

describe('a command to the engine', () => {
  it('sets how a route learns of new rows, and shows it when it is done', async () => {
    const relay = new FakeRelay();
    await relay.start();
    expect(relay.status.claim).toMatchObject({ mode: 'polling', reading: 'table', slot: null, streamsLost: 0 });
    await relay.engine.setCapture({ ...BY_ANNA, mode: 'wal' });
    expect(relay.status.claim?.mode).toBe('wal');
    await relay.engine.setCapture({ ...BY_ANNA, mode: null });
    expect(relay.status.claim?.mode).toBe('polling');
    expect(relay.source.modes).toEqual([
      { ...BY_ANNA, mode: 'wal' },
      { ...BY_ANNA, mode: null },
    ]);
    await relay.stop();
  });

  it('sets it also where another relay runs the route, or has stopped it', async () => {
    const relay = new FakeRelay();
    relay.source.heldBy = 'another';
    await relay.start();
    await relay.engine.setCapture({ ...BY_ANNA, mode: 'auto' });
    expect(relay.source.modes).toEqual([{ ...BY_ANNA, mode: 'auto' }]);
    await relay.stop();
  });

  it('changes nothing when the source does not take it', async () => {
    const relay = new FakeRelay();
    await relay.start();
    relay.source.pauseError = new CaptureError('database_unavailable', 'Gone.');
    await expect(relay.engine.setCapture({ ...BY_ANNA, mode: 'wal' })).rejects.toThrow('Gone.');
    expect(relay.source.capture.renewals).toBe(0);
    await relay.stop();
  });

  it('has taken effect when it resolves', async () => {
    const relay = new FakeRelay();
    await relay.start();
    await relay.engine.pause(BY_ANNA);
    expect(relay.status.state.kind).toBe('paused');
    await relay.engine.resume(BY_ANNA);
    expect(relay.status.state.kind).toBe('running');
    await relay.stop();
  });

  it('waits for a ledger write of its own while another one is under way', async () => {
    const relay = new FakeRelay();
    await relay.start();
    const { capture } = relay.source;
    const writes: (() => void)[] = [];
    const heldWrite = (): Promise<void> => new Promise((resolve) => writes.push(resolve));
    capture.renew = async () => {
      const { isPaused } = capture;
      await heldWrite();
      return { isPaused };
    };
    await relay.clock.advance(2_500);
    expect(writes).toHaveLength(1);
    let isDone = false;
    const paused = relay.engine.pause(BY_ANNA).then(() => {
      isDone = true;
    });
    await relay.clock.advance(1);
    writes[0]?.();
    await relay.clock.advance(1);
    expect([isDone, writes.length]).toEqual([false, 2]);
    writes[1]?.();
    await paused;
    expect(relay.status.state.kind).toBe('paused');
    await relay.stop();
  });

  it('is done after a second although the ledger does not answer, and when the claim is lost', async () => {
    const relay = new FakeRelay();
    await relay.start();
    relay.source.capture.ledgerHold = new Promise(() => undefined);
    let done = 0;
    const count = (): void => {
      done += 1;
    };
    const first = relay.engine.pause(BY_ANNA).then(count);
    await relay.clock.advance(900);
    expect(done).toBe(0);
    await relay.clock.advance(101);
    expect(done).toBe(1);
    const second = relay.engine.resume(BY_ANNA).then(count);
    await relay.stop();
    await Promise.all([first, second]);
    expect(relay.clock.timersSet).toBe(0);
  });

  it('shows a stopped route on its way again', async () => {
    const relay = new FakeRelay();
    relay.source.claimError = new CaptureError('schema_too_new', 'Newer.');
    await relay.start();
    expect(relay.status.state.kind).toBe('stopped');
    relay.source.claimError = null;
    await relay.engine.resume(BY_ANNA);
    expect(['starting', 'running']).toContain(relay.status.state.kind);
    await relay.stop();
  });
});
