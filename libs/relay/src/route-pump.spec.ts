import { describe, expect, it } from '@jest/globals';
import { CaptureError } from '@millrace/capture';
import { SinkError } from '@millrace/transport';
import { FakeRelay } from './testing/fake-relay.js';
import { headerOf } from './testing/fake-sink.js';
import { anEvent } from './testing/fake-source.js';

function events(from: number, to: number): ReturnType<typeof anEvent>[] {
  return Array.from({ length: to - from + 1 }, (_, index) => anEvent(from + index));
}

/** For the other lane. */
function otherEvent(position: number): ReturnType<typeof anEvent> {
  return anEvent(position, { aggregateId: 'other' });
}

/** Resolves when the test says so. */
function hold(): { readonly until: Promise<void>; readonly release: () => void } {
  let release: () => void = () => undefined;
  const until = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { until, release };
}

describe('the pump of a claimed route', () => {
  it('publishes a page and settles it once the sink has confirmed all of it', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1), anEvent(2, { aggregateId: 'other' })]);
    };
    await relay.start();
    expect(relay.sink.sends.map(({ lane, positions }) => [lane, ...positions])).toEqual([
      ['outbox.event.order/0', '1'],
      ['outbox.event.order/1', '2'],
    ]);
    relay.sink.sendAt(0).accept();
    await relay.clock.advance(1);
    expect(relay.source.capture.settled).toEqual([]);
    relay.sink.sendAt(1).accept();
    await relay.clock.advance(1);
    expect(relay.source.capture.settled).toEqual([1]);
    expect(relay.status).toMatchObject({ eventsSent: 2, lagSeconds: 0, state: { kind: 'running' } });
    await relay.stop();
  });

  it('has a page forget its events as soon as they are in their lanes', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    let forgotten = 0;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)], { forgetEvents: () => (forgotten += 1) });
    };
    await relay.start();
    expect(forgotten).toBe(1);
    expect(relay.source.capture.settled).toEqual([]);
    relay.sink.sendAt(0).accept();
    await relay.clock.advance(1);
    expect(relay.source.capture.settled).toEqual([1]);
    await relay.stop();
  });

  it('reads ahead while sends are out, up to its limit of pages, and sends what came as one batch', async () => {
    const relay = new FakeRelay({ pagesInFlightMax: 3 });
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      for (let page = 0; page < 9; page += 1) {
        capture.give([...events(10 * page, 10 * page + 8), otherEvent(10 * page + 9)], { isFull: true });
      }
    };
    await relay.start();
    await relay.clock.advance(20_000);
    expect(relay.source.capture.polls).toBe(3);
    expect(relay.status.claim).toMatchObject({ pagesInFlight: 3, eventsInFlight: 30, lanesBehind: 2 });
    expect(relay.sink.sends).toHaveLength(2);
    relay.sink.sendAt(0).accept();
    await relay.clock.advance(1);
    expect(relay.sink.sendAt(2).positions).toHaveLength(18);
    await relay.stop();
  });

  it('goes on with other lanes while one gives no answer, settles nothing meanwhile, and all of it afterwards', async () => {
    const relay = new FakeRelay({ pagesInFlightMax: 3 });
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      for (let page = 1; page <= 50; page += 1) {
        capture.give([anEvent(2 * page), otherEvent(2 * page + 1)], { isFull: true });
      }
    };
    await relay.start();
    expect(relay.sink.sends.map(({ lane }) => lane.slice(-1))).toEqual(['0', '1']);
    relay.sink.isHolding = false;
    relay.sink.sendAt(1).accept();
    await relay.clock.advance(900);
    expect(relay.source.capture.polls).toBe(3);
    await relay.clock.advance(600);
    expect(relay.status.claim).toMatchObject({ pagesInFlight: 50, eventsInFlight: 100, lanesBehind: 1 });
    const others = relay.sink.sends.filter(({ lane }) => lane.endsWith('/1')).flatMap(({ positions }) => positions);
    expect(others).toEqual(Array.from({ length: 50 }, (_, index) => String(2 * index + 3)));
    expect(relay.source.capture.settled).toEqual([]);

    relay.sink.sendAt(0).accept();
    await relay.clock.advance(1);
    expect(relay.source.capture.settled).toEqual([1, 50]);
    expect(relay.status).toMatchObject({ eventsSent: 100, lagSeconds: 0, claim: { bytesInFlight: 0, lanesBehind: 0 } });
    await relay.stop();
  });

  it.each([
    ['events', { eventsInFlightMax: 20 }],
    ['bytes', { bytesInFlightMax: 19_000 }],
  ])('stops reading at its limit of %s, whoever waits, and says why', async (_, limit) => {
    const relay = new FakeRelay({ pagesInFlightMax: 3, ...limit });
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      for (let page = 1; page <= 50; page += 1) {
        capture.give([anEvent(2 * page), otherEvent(2 * page + 1)], { isFull: true });
      }
    };
    await relay.start();
    relay.sink.isHolding = false;
    relay.sink.sendAt(1).accept();
    await relay.clock.advance(2_000);
    expect(relay.status.claim).toMatchObject({ pagesInFlight: 10, eventsInFlight: 20 });
    expect(relay.source.capture.polls).toBe(10);
    expect(relay.problem).toMatch(/^lanes_behind: 1 lanes are behind, and 20 events with \d+ bytes wait to be settled/);

    relay.sink.sendAt(0).accept();
    await relay.clock.advance(1_000);
    expect(relay.source.capture.settled.at(-1)).toBe(50);
    expect(relay.status.state.kind).toBe('running');
    await relay.stop();
  });

  it('passes a lane by that fails again and again, and tells of its failure', async () => {
    const relay = new FakeRelay({ pagesInFlightMax: 1 });
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)], { isFull: true });
      capture.give([otherEvent(2)]);
    };
    await relay.start();
    for (let attempt = 0; relay.sink.sendAt(attempt).lane.endsWith('/0'); attempt += 1) {
      relay.sink.sendAt(attempt).fail(new SinkError('unavailable', 'Its broker is away.'));
      await relay.clock.advance(500);
    }
    expect(relay.sink.sends.find(({ lane }) => lane.endsWith('/1'))?.positions).toEqual(['2']);
    expect(relay.problem).toContain('unavailable: Its broker is away.');
    await relay.stop();
  });

  it('reads no further for lanes that stand still because the route is paused', async () => {
    const relay = new FakeRelay({ pagesInFlightMax: 3 });
    relay.source.prepare = (capture) => {
      capture.isPaused = true;
      for (let page = 1; page <= 9; page += 1) {
        capture.give([anEvent(page)], { isFull: true });
      }
    };
    await relay.start();
    await relay.clock.advance(20_000);
    expect(relay.source.capture.polls).toBe(3);
    expect(relay.status.claim).toMatchObject({ lanesBehind: 0 });
    await relay.stop();
  });

  it('reads no further than its limit of bytes while the sink is slow', async () => {
    const relay = new FakeRelay({ bytesInFlightMax: 10_000 });
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      for (let page = 0; page < 9; page += 1) {
        capture.give([anEvent(page, { payload: 'x'.repeat(2_000) })], { isFull: true });
      }
    };
    await relay.start();
    await relay.clock.advance(20_000);
    expect(relay.source.capture.polls).toBe(3);
    await relay.stop();
  });

  it('covers several confirmed pages by one ledger write, one write at a time', async () => {
    const relay = new FakeRelay({ pagesInFlightMax: 9 });
    const ledger = hold();
    relay.source.prepare = (capture) => {
      capture.ledgerHold = ledger.until;
      for (let page = 0; page < 6; page += 1) {
        capture.give([anEvent(page)], { isFull: true });
      }
    };
    await relay.start();
    expect(relay.sink.sends.length).toBeGreaterThan(1);
    expect(relay.source.capture.settled).toEqual([]);
    relay.source.capture.ledgerHold = null;
    ledger.release();
    await relay.clock.advance(1);
    expect(relay.source.capture.settled).toEqual([1, 6]);
    await relay.stop();
  });

  it('settles a page without events when gaps have died, and leaves one alone that changed nothing', async () => {
    const relay = new FakeRelay();
    relay.source.prepare = (capture) => {
      capture.give([]);
      capture.give([], { isChanged: true });
    };
    await relay.start();
    await relay.clock.advance(1_000);
    expect(relay.source.capture.settled).toEqual([2]);
    expect(relay.sink.sends).toEqual([]);
    await relay.stop();
  });

  it('sends the same records again after an unknown outcome, for as long as it takes, and nothing overtakes', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)], { isFull: true });
      capture.give([anEvent(2)]);
    };
    await relay.start();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      relay.sink.sendAt(attempt).fail(new SinkError('unavailable', 'Kafka is down.'));
      await relay.clock.advance(5_000);
      expect(relay.sink.sendAt(attempt + 1).records).toBe(relay.sink.sendAt(0).records);
    }
    expect(relay.problem).toContain('unavailable: Kafka is down.');
    expect(relay.status.sendErrors).toEqual({ unavailable: 20 });
    relay.sink.isHolding = false;
    relay.sink.sendAt(20).accept();
    await relay.clock.advance(1);
    expect(relay.sink.sendAt(21).positions).toEqual(['2']);
    expect(relay.source.capture.settled).toEqual([1, 2]);
    expect(relay.states).toEqual(['starting', 'running', 'stalled', 'running']);
    await relay.stop();
  });

  it('waits for a topic that is missing, and heals when it appears', async () => {
    const relay = new FakeRelay();
    relay.sink.topicError = new SinkError('topic_missing', 'Topic outbox.event.order does not exist.');
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    await relay.start();
    await relay.clock.advance(10_000);
    expect(relay.problem).toContain('topic_missing: Topic outbox.event.order does not exist.');
    expect(relay.status.lagSeconds).toBeGreaterThan(9);
    relay.sink.topicError = null;
    await relay.clock.advance(3_000);
    expect(relay.sink.sendAt(0).positions).toEqual(['1']);
    expect(relay.status.state.kind).toBe('running');
    await relay.stop();
  });

  it('names topic, position and id of the event whose topic the sink refuses to open', async () => {
    const relay = new FakeRelay();
    relay.sink.topicError = new SinkError('configuration', 'The broker refuses the name.');
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1), anEvent(2)]);
    };
    await relay.start();
    expect(relay.problem).toMatch(
      /^configuration: Event 0{8}-0000-7000-8000-0{11}1 at position 1, for topic outbox\.event\.order: The broker refuses/,
    );
    await relay.stop();
  });

  it('stops the route at the one event that the sink refuses, with all before it published and settled', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give(events(1, 3), { isFull: true });
      capture.give(events(4, 9));
    };
    await relay.start();
    relay.sink.sendAt(0).accept();
    await relay.clock.advance(1);
    for (let at = 1; at < relay.sink.sends.length; at += 1) {
      const send = relay.sink.sendAt(at);
      if (send.positions.includes('7')) {
        send.fail(new SinkError('record_invalid', 'The sink refuses a record.'));
      } else {
        send.accept();
      }
      await relay.clock.advance(1);
    }
    expect(relay.status.state.kind).toBe('stopped');
    expect(relay.problem).toMatch(
      /^record_invalid: Event 0{8}-0000-7000-8000-0{11}7 at position 7, for outbox.event.order\/0: /,
    );
    expect(relay.source.capture).toMatchObject({ settled: [1], isClosed: true });
    const stored = relay.sink.sends
      .filter(({ positions }) => !positions.includes('7'))
      .flatMap((send) => send.positions);
    expect(stored).toEqual(['1', '2', '3', '4', '5', '6']);
    await relay.stop();
  });

  it('stops at once when the sink will take nothing of the lane', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give(events(1, 3));
    };
    await relay.start();
    relay.sink.sendAt(0).fail(new SinkError('not_authorised', 'The relay may not write.'));
    await relay.clock.advance(1);
    expect(relay.problem).toMatch(/^not_authorised: .*position 1/);
    expect(relay.sink.sends).toHaveLength(1);
    await relay.stop();
  });

  it('gives up after a few receipts that cannot be believed', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    await relay.start();
    for (let attempt = 0; attempt < 5; attempt += 1) {
      relay.sink.sendAt(attempt).fail(new SinkError('receipt_invalid', 'The offset went back.'));
      await relay.clock.advance(5_000);
    }
    expect(relay.status.state.kind).toBe('stopped');
    expect(relay.sink.sends).toHaveLength(5);
    await relay.stop();
  });

  it('counts receipts that cannot be believed by themselves, whatever failed before them', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    await relay.start();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const isReceipt = attempt > 9 && attempt % 2 === 1;
      const code = isReceipt ? 'receipt_invalid' : 'unavailable';
      relay.sink.sendAt(attempt).fail(new SinkError(code, 'No.'));
      await relay.clock.advance(5_000);
      expect(relay.status.state.kind).toBe(attempt === 19 ? 'stopped' : 'stalled');
    }
    expect(relay.status.sendErrors).toEqual({ unavailable: 15, receipt_invalid: 5 });
    await relay.stop();
  });

  it('stops by name when a topic stays deleted, and a resume opens it anew', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    await relay.start();
    for (let attempt = 0; attempt < 5; attempt += 1) {
      expect(relay.status.state.kind).toBe(attempt === 0 ? 'running' : 'stalled');
      relay.sink.sendAt(attempt).fail(new SinkError('topic_deleted', 'The topic was deleted.'));
      await relay.clock.advance(3_000);
    }
    expect(relay.status.state.kind).toBe('stopped');
    expect(relay.problem).toMatch(/^topic_deleted: Event .* at position 1, for outbox\.event\.order\/0: The topic was/);
    expect(relay.source.capture.settled).toEqual([]);
    relay.sink.isHolding = false;
    await relay.engine.resume({ route: 'orders', actor: 'anna', reason: null });
    await relay.clock.advance(1_000);
    expect(relay.sink.opened).toEqual(['outbox.event.order', 'outbox.event.order']);
    expect(relay.status.state.kind).toBe('running');
    expect(relay.source.capture.settled).toEqual([1]);
    await relay.stop();
  });

  it('sends nothing of a page with an event that no topic or no record can be made of', async () => {
    const illegal = new FakeRelay();
    illegal.source.prepare = (capture) => {
      capture.give([anEvent(1), anEvent(2, { aggregateType: 'no topic' })]);
    };
    await illegal.start();
    expect(illegal.problem).toMatch(/^topic_invalid: Event .* at position 2: /);
    const large = new FakeRelay();
    large.source.prepare = (capture) => {
      capture.give([anEvent(1), anEvent(2, { payload: 'x'.repeat(1_000_001) })]);
    };
    await large.start();
    expect(large.problem).toMatch(
      /^event_refused: Event .* at position 2: The record has \d+ bytes; the sink takes 1000000/,
    );
    expect([illegal.sink.sends, large.sink.sends]).toEqual([[], []]);
    await Promise.all([illegal.stop(), large.stop()]);
  });

  it('stops by name at an event on which the encoding itself fails, without what the failure said', async () => {
    const relay = new FakeRelay();
    relay.source.prepare = (capture) => {
      const broken = anEvent(2);
      Object.defineProperty(broken, 'aggregateId', {
        get: () => {
          throw new RangeError('a payload');
        },
      });
      capture.give([anEvent(1), broken]);
    };
    await relay.start();
    expect(relay.status.state.kind).toBe('stopped');
    expect(relay.problem).toMatch(/^event_refused: Event 0{8}-0000-7000-8000-0{11}2 at position 2: .*RangeError/);
    expect(relay.problem).not.toContain('a payload');
    await relay.clock.advance(60_000);
    expect(relay.source.captures).toHaveLength(1);
    expect(relay.sink.sends).toEqual([]);
    await relay.stop();
  });

  it('carries the low of the ledger as it was last written', async () => {
    const relay = new FakeRelay();
    relay.source.prepare = (capture) => {
      capture.low = 4;
      capture.give([anEvent(5)]);
    };
    await relay.start();
    relay.source.capture.give([anEvent(6)]);
    await relay.clock.advance(100);
    expect(
      relay.sink.sends.flatMap(({ records }) => records).map((record) => headerOf(record, 'millrace-low')),
    ).toEqual(['4', '5']);
    await relay.stop();
  });

  it('renews the lease when nothing is settled, and not when something is', async () => {
    const relay = new FakeRelay();
    await relay.start();
    await relay.clock.advance(10_000);
    expect(relay.source.capture.renewals).toBe(5);
    for (let at = 0; at < 30; at += 1) {
      relay.source.capture.give([anEvent(at)]);
      await relay.clock.advance(1_000);
    }
    expect(relay.source.capture.renewals).toBeLessThanOrEqual(6);
    await relay.stop();
  });

  it('sends nothing after standing still for longer than the lease, until the ledger has confirmed it', async () => {
    const relay = new FakeRelay();
    await relay.start();
    const ledger = hold();
    relay.source.capture.ledgerHold = ledger.until;
    relay.source.capture.give([anEvent(1)]);
    relay.clock.freeze(9_000);
    await relay.clock.advance(100);
    expect(relay.source.capture.polls).toBeGreaterThan(1);
    expect(relay.sink.sends).toEqual([]);
    relay.source.capture.ledgerHold = null;
    ledger.release();
    await relay.clock.advance(10);
    expect(relay.sink.sends).toHaveLength(1);
    await relay.stop();
  });

  it('drops everything when it is fenced, and asks for the route again', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)], { isFull: true });
      capture.give([anEvent(2)]);
    };
    await relay.start();
    const [first] = relay.source.captures;
    relay.source.capture.ledgerError = new CaptureError('fenced', 'Taken over.');
    relay.source.heldBy = 'other';
    await relay.clock.advance(5_000);
    expect(first?.isClosed).toBe(true);
    expect(relay.status).toMatchObject({ state: { kind: 'standby', heldBy: 'other' }, claim: null, lagSeconds: null });
    relay.sink.sendAt(0).accept();
    await relay.clock.advance(5_000);
    expect(relay.sink.sends).toHaveLength(1);
    await relay.stop();
  });

  it('waits with a lane on which a send of a lost claim is still under way', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    await relay.start();
    relay.source.capture.nextPageError = new CaptureError('database_unavailable', 'Gone.');
    await relay.clock.advance(1_000);
    expect(relay.source.captures).toHaveLength(2);
    expect(relay.sink.sends).toHaveLength(1);
    relay.sink.sendAt(0).fail(new SinkError('timeout', 'No answer.'));
    await relay.clock.advance(10);
    expect(relay.sink.sends).toHaveLength(2);
    expect(relay.sink.sendAt(1).records.map((record) => headerOf(record, 'millrace-epoch'))).toEqual(['2']);
    await relay.stop();
  });

  it('says that it is stalled when a send, a poll or a ledger write has had no answer for five seconds', async () => {
    const send = new FakeRelay();
    send.sink.isHolding = true;
    send.source.prepare = (capture) => {
      capture.give([anEvent(1)]);
    };
    const poll = new FakeRelay();
    poll.source.prepare = (capture) => {
      capture.pollHold = new Promise(() => undefined);
    };
    const write = new FakeRelay();
    write.source.prepare = (capture) => {
      capture.ledgerHold = new Promise(() => undefined);
      capture.give([anEvent(1)]);
    };
    for (const relay of [send, poll, write]) {
      await relay.start();
      await relay.clock.advance(4_900);
      expect(relay.states).not.toContain('stalled');
      await relay.clock.advance(700);
      expect(relay.status.state.kind).toBe('stalled');
      expect(relay.status.lagSeconds).toBeGreaterThan(4);
    }
    expect(send.problem).toMatch(/^timeout: /);
    expect(poll.problem).toMatch(/^database_unavailable: /);
    expect(write.problem).toMatch(/^database_unavailable: /);
    await write.clock.advance(30_000);
    expect(write.source.captures.length).toBeGreaterThan(1);
    await Promise.all([send.stop(), poll.stop(), write.stop()]);
  });

  it('while paused lets what is in flight finish and settle, sends nothing new, and resumes within a second', async () => {
    const relay = new FakeRelay();
    relay.sink.isHolding = true;
    relay.source.prepare = (capture) => {
      capture.give([anEvent(1)], { isFull: true });
      capture.give([anEvent(2)]);
    };
    await relay.start();
    await relay.engine.pause({ route: 'orders', actor: 'anna', reason: null });
    await relay.clock.advance(1);
    expect(relay.status.state.kind).toBe('paused');
    relay.sink.sendAt(0).accept();
    await relay.clock.advance(20_000);
    expect(relay.source.capture.settled).toEqual([1]);
    expect(relay.sink.sends).toHaveLength(1);
    expect(relay.status.lagSeconds).toBeGreaterThan(19);
    relay.source.capture.isPaused = false;
    await relay.clock.advance(1_000);
    expect(relay.status.state.kind).toBe('running');
    expect(relay.sink.sendAt(1).positions).toEqual(['2']);
    await relay.stop();
  });

  it('polls again at once when it is told of events during a poll', async () => {
    const relay = new FakeRelay();
    await relay.start();
    await relay.clock.advance(2_000);
    const { until, release } = hold();
    relay.source.capture.pollHold = until;
    await relay.clock.advance(100);
    relay.engine.notify('db');
    relay.source.capture.pollHold = null;
    const { polls } = relay.source.capture;
    release();
    await relay.clock.advance(0);
    expect(relay.source.capture.polls).toBe(polls + 1);
    await relay.stop();
  });

  it('asks a capture that waits for rows by itself again at once, and does not count its wait as lag', async () => {
    const relay = new FakeRelay();
    relay.source.prepare = (capture) => {
      const poll = capture.nextPage.bind(capture);
      capture.nextPage = async () => {
        await new Promise<void>((resolve) => relay.clock.after(1_000, resolve));
        return { ...(await poll()), hasWaited: true };
      };
    };
    await relay.start();
    for (let tenth = 0; tenth < 100; tenth += 1) {
      await relay.clock.advance(100);
      expect(relay.status).toMatchObject({ lagSeconds: 0 });
    }
    expect(relay.source.capture.polls).toBe(10);
    await relay.stop();
  });

  it('is not said to run before the source has been read', async () => {
    const relay = new FakeRelay();
    relay.source.prepare = (capture) => {
      capture.nextPageError = new CaptureError('database_unavailable', 'Polls fail.');
    };
    await relay.start();
    await relay.clock.advance(20_000);
    expect(relay.states).toEqual(['starting', 'stalled']);
    await relay.stop();
  });

  it('polls at once when it is told that there are events', async () => {
    const relay = new FakeRelay();
    await relay.start();
    await relay.clock.advance(2_050);
    relay.source.capture.give([anEvent(1)]);
    const polls = relay.source.capture.polls;
    relay.engine.notify('another');
    expect(relay.source.capture.polls).toBe(polls);
    relay.engine.notify('db');
    expect(relay.source.capture.polls).toBe(polls + 1);
    await relay.clock.advance(0);
    expect(relay.sink.sends).toHaveLength(1);
    await relay.stop();
  });
});
