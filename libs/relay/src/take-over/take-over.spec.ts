import { beforeEach, describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { SinkError, type SinkRecord } from '@millrace/transport';
import { RelayEngine } from '../relay-engine.js';
import { type LossAccepted, type TailNotRead, type TailsRead, type ZombieRecords } from '../relay-observer.js';
import { FakeClock } from '../testing/fake-clock.js';
import { anEvent, FakeSource } from '../testing/fake-source.js';
import { LogSink } from '../testing/log-sink.js';

const TOPIC = 'outbox.event.order';
const LANE = `${TOPIC}/0`;

let clock: FakeClock;
let source: FakeSource;
let sink: LogSink;
let told: {
  tails: TailsRead[];
  unread: TailNotRead[];
  losses: LossAccepted[];
  zombies: ZombieRecords[];
  states: string[];
};

beforeEach(() => {
  clock = new FakeClock();
  source = new FakeSource();
  sink = new LogSink();
  told = { tails: [], unread: [], losses: [], zombies: [], states: [] };
});

function anEngine(): RelayEngine {
  return new RelayEngine({
    owner: 'me',
    sources: new Map([['db', source]]),
    sinks: new Map([['kafka', sink]]),
    routes: [{ name: 'orders', source: 'db', sink: 'kafka' }],
    observer: {
      stateChanged: ({ to }) => told.states.push(to.kind),
      tailsRead: (read) => told.tails.push(read),
      tailNotRead: (unread) => told.unread.push(unread),
      lossAccepted: (loss) => told.losses.push(loss),
      zombieRecords: (seen) => told.zombies.push(seen),
    },
    clock,
    random: { next: () => 0.5 },
  });
}

/** Starts, with these pages to be read, and gives it time. */
async function run(...pages: (readonly number[])[]): Promise<RelayEngine> {
  const engine = anEngine();
  source.prepare = (capture) => {
    for (const page of pages) {
      capture.give(page.map((position) => anEvent(position)));
    }
  };
  engine.start();
  await clock.advance(1_000);
  return engine;
}

async function stop(engine: RelayEngine): Promise<void> {
  const stopping = engine.stop();
  await clock.advance(60_000);
  await stopping;
}

/** A record as the route writes it; by default of an epoch before. */
function aRecord(position: number, more: Record<string, string> = {}): SinkRecord {
  const headers = {
    id: anEvent(position).id,
    'millrace-source': 'db',
    'millrace-route': 'orders',
    'millrace-position': String(position),
    'millrace-epoch': '0',
    'millrace-low': '0',
    ...more,
  };
  return {
    key: Buffer.from('key'),
    value: Buffer.from('{}'),
    headers: Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]),
  };
}

/** What an owner before has noted, and stored since without telling its ledger. */
function leave(nextOffset: number, ...records: SinkRecord[]): void {
  source.lanes.set(LANE, {
    topic: TOPIC,
    partition: 0,
    topicId: 'id-1',
    nextOffset: BigInt(nextOffset),
    atMs: clock.wallMs(),
  });
  sink.logOf(LANE).push(...records);
}

describe('a relay that takes a route over', () => {
  it('sends nothing that stands at the end of a lane already, and settles it', async () => {
    leave(0, aRecord(1), aRecord(2));

    const engine = await run([1, 2, 3]);

    expect(sink.positionsIn(LANE)).toEqual(['1', '2', '3']);
    expect(source.capture.settled).toEqual([1]);
    expect(told.tails).toMatchObject([{ lanes: 1, records: 2, found: 2, notRemembered: 0 }]);
    await stop(engine);
    expect(source.lanes.get(LANE)).toMatchObject({ nextOffset: 3n });
  });

  it.each<[string, Record<string, string>]>([
    ['another event of the same position', { id: anEvent(99).id }],
    ['another route', { 'millrace-route': 'payments' }],
    ['another source', { 'millrace-source': 'elsewhere' }],
    ['a replay', { 'millrace-replay': 'r1' }],
  ])('is not misled by the record of %s', async (_whose, headers) => {
    leave(0, aRecord(1, headers));

    const engine = await run([1]);

    expect(sink.positionsIn(LANE)).toEqual(['1', '1']);
    await stop(engine);
  });

  it('takes the records of all shards of the route for its own', async () => {
    leave(0, aRecord(1, { 'millrace-route': 'orders/2' }));

    const engine = await run([1]);

    expect(sink.positionsIn(LANE)).toEqual(['1']);
    await stop(engine);
  });

  it('reads from where the ledger covered the lane', async () => {
    leave(1, aRecord(1), aRecord(2));

    const engine = await run([1, 2]);

    expect(sink.positionsIn(LANE)).toEqual(['1', '2', '1']);
    await stop(engine);
  });

  it('finds what it has sent itself, under a claim that it has lost', async () => {
    const first = await run([1]);
    expect(sink.positionsIn(LANE)).toEqual(['1']);
    sink.isMute = true;
    source.capture.give([anEvent(2), anEvent(3)]);
    await clock.advance(300);
    await stop(first);
    const before = sink.positionsIn(LANE).length;
    sink.isMute = false;

    const second = await run([2, 3]);

    expect(before).toBeGreaterThan(2);
    expect(sink.positionsIn(LANE)).toHaveLength(before);
    await stop(second);
  });

  it('sends to a lane only after its end was read, and to others meanwhile', async () => {
    leave(0, aRecord(1));
    source.lanes.set(`${TOPIC}/1`, { topic: TOPIC, partition: 1, topicId: 'id-1', nextOffset: 0n, atMs: 0 });
    sink.failing.set(LANE, new SinkError('unavailable', 'It has no leader.'));
    const engine = anEngine();
    source.prepare = (capture) => {
      capture.give([anEvent(1), anEvent(2), anEvent(3, { aggregateId: 'other' })]);
    };
    engine.start();
    await clock.advance(1_000);

    expect(sink.positionsIn(`${TOPIC}/1`)).toEqual(['3']);
    expect(sink.positionsIn(LANE)).toEqual(['1']);
    expect(engine.routeStatus('orders')).toMatchObject({
      state: { kind: 'stalled', problem: { code: 'unavailable' } },
      claim: { unreadLanes: 1 },
    });

    sink.failing.clear();
    await clock.advance(10_000);
    expect(sink.positionsIn(LANE)).toEqual(['1', '2']);
    expect(engine.routeStatus('orders')).toMatchObject({ state: { kind: 'running' }, claim: { unreadLanes: 0 } });
    await stop(engine);
  });

  describe('of which one lane is read late', () => {
    let read: () => void;

    /** The first event stands in that lane, where its key was when the topic had fewer lanes. */
    async function runWithLateLane(): Promise<RelayEngine> {
      leave(0);
      const late = `${TOPIC}/1`;
      source.lanes.set(late, { topic: TOPIC, partition: 1, topicId: 'id-1', nextOffset: 0n, atMs: 0 });
      sink.logOf(late).push(aRecord(1));
      sink.slow.set(
        late,
        new Promise((resolve) => {
          read = resolve;
        }),
      );
      return run([1, 2]);
    }

    it('sends to no lane before, so that it finds an event whose key has moved to another lane', async () => {
      const engine = await runWithLateLane();
      expect(sink.positionsIn(LANE)).toEqual([]);

      read();
      await clock.advance(500);
      expect(sink.positionsIn(LANE)).toEqual(['2']);
      expect(source.capture.settled).toEqual([1]);
      await stop(engine);
    });

    it('waits for it for a moment only', async () => {
      const engine = await runWithLateLane();
      await clock.advance(1_500);

      expect(sink.positionsIn(LANE)).toEqual(['1', '2']);
      read();
      await stop(engine);
    });
  });

  it('says that it reads, when that takes long', async () => {
    leave(0);
    let read: () => void = () => undefined;
    sink.readHold = new Promise((resolve) => {
      read = resolve;
    });

    const engine = await run([1]);
    await clock.advance(6_000);
    expect(engine.routeStatus('orders').state).toMatchObject({ kind: 'stalled', problem: { code: 'reading_tail' } });

    read();
    await clock.advance(1_000);
    expect(engine.routeStatus('orders').state.kind).toBe('running');
    expect(sink.positionsIn(LANE)).toEqual(['1']);
    await stop(engine);
  });

  it('goes on without a lane that it may not read, and says so', async () => {
    leave(0, aRecord(1));
    sink.failing.set(LANE, new SinkError('not_authorised', 'Reading is not allowed.'));

    const engine = await run([1]);

    expect(sink.positionsIn(LANE)).toEqual(['1', '1']);
    expect(told.unread).toMatchObject([{ lane: LANE, problem: { code: 'not_authorised' } }]);
    await stop(engine);
  });

  it('notes the end of a lane before the first send to it', async () => {
    sink.logOf(LANE).push(aRecord(7, { 'millrace-route': 'payments' }));
    let release: () => void = () => undefined;
    const engine = await run([]);
    source.capture.ledgerHold = new Promise((resolve) => {
      release = resolve;
    });
    source.capture.give([anEvent(1)]);
    await clock.advance(1_000);
    expect(sink.positionsIn(LANE)).toEqual(['7']);

    source.capture.ledgerHold = null;
    release();
    await clock.advance(100);

    expect(sink.positionsIn(LANE)).toEqual(['7', '1']);
    await stop(engine);
    expect(source.lanes.get(LANE)).toMatchObject({ nextOffset: 2n, topicId: 'id-1' });
  });

  it('notes nothing above what is settled', async () => {
    const engine = await run([1]);
    await clock.advance(1_000);
    let release: () => void = () => undefined;
    source.capture.ledgerHold = new Promise((resolve) => {
      release = resolve;
    });
    source.capture.give([anEvent(2)]);
    await clock.advance(1_000);

    expect(sink.positionsIn(LANE)).toEqual(['1', '2']);
    expect(source.lanes.get(LANE)).toMatchObject({ nextOffset: 1n });
    release();
    await stop(engine);
    expect(source.lanes.get(LANE)).toMatchObject({ nextOffset: 2n });
  });

  it('counts what a dead owner has stored after it had read the end', async () => {
    leave(0);
    const engine = await run([1]);
    sink.logOf(LANE).push(aRecord(5), aRecord(6, { 'millrace-route': 'payments' }));
    source.capture.give([anEvent(2)]);
    await clock.advance(1_000);

    expect(told.zombies).toEqual([{ route: 'orders', lane: LANE, records: 1 }]);
    await stop(engine);
  });
});

describe('a lane that has lost what the ledger takes for stored', () => {
  it.each<[string, () => void, string]>([
    ['because its topic was made anew', () => (sink.topicId = 'id-2'), 'topic_replaced'],
    ['because its log was cut', () => sink.logOf(LANE).splice(0), 'log_cut'],
  ])('%s, stops the route, and counts as it is once the route is resumed', async (_why, lose, code) => {
    leave(1, aRecord(1));
    lose();
    const before = sink.positionsIn(LANE);

    const engine = await run([2]);
    await clock.advance(5_000);
    expect(engine.routeStatus('orders').state).toMatchObject({ kind: 'stopped', problem: { code } });
    expect(sink.positionsIn(LANE)).toEqual(before);

    const resuming = engine.resume({ route: 'orders', actor: 'somebody', reason: null });
    await clock.advance(5_000);
    await resuming;

    expect(engine.routeStatus('orders').state.kind).toBe('running');
    expect(sink.positionsIn(LANE)).toEqual([...before, '2']);
    expect(told.losses).toMatchObject([{ lane: LANE }]);
    await stop(engine);
    expect(source.lanes.get(LANE)).toMatchObject({ topicId: sink.topicId, nextOffset: BigInt(before.length + 1) });
  });

  it('is forgotten when nothing is sent there any more', async () => {
    leave(1, aRecord(1));
    sink.topicId = 'id-2';
    const engine = await run();
    await clock.advance(5_000);
    const resuming = engine.resume({ route: 'orders', actor: 'somebody', reason: null });
    await clock.advance(5_000);
    await resuming;

    expect(source.lanes.size).toBe(0);
    await stop(engine);
  });

  it('is looked at more than once: a broker may lag behind', async () => {
    leave(1, aRecord(1));
    sink.topicId = null;
    const engine = anEngine();
    engine.start();
    await clock.advance(700);
    sink.topicId = 'id-1';
    await clock.advance(5_000);

    expect(engine.routeStatus('orders').state.kind).toBe('running');
    expect(sink.readings).toBeGreaterThan(1);
    await stop(engine);
  });
});

it('what was found and is not read from the outbox yet keeps the offset where it is', async () => {
  leave(0, aRecord(1), aRecord(5));

  const engine = await run([1]);
  await clock.advance(1_000);
  expect(source.lanes.get(LANE)).toMatchObject({ nextOffset: 0n });

  source.capture.give([anEvent(5)]);
  await clock.advance(1_000);
  expect(source.capture.isSettled(toPosition(5n))).toBe(true);
  await stop(engine);
  expect(source.lanes.get(LANE)).toMatchObject({ nextOffset: 2n });
  expect(sink.positionsIn(LANE)).toEqual(['1', '5']);
});
