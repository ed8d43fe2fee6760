import { afterEach, describe, expect, it } from '@jest/globals';
import { CaptureError } from '@millrace/capture';
import { type OutboxEvent, toPosition } from '@millrace/events';
import { SinkError, type SinkRecord } from '@millrace/transport';
import { type EventRefused } from '../relay-observer.js';
import { type RouteConfig } from '../route-config.js';
import { FakeHeld } from '../testing/fake-held.js';
import { FakeRelay } from '../testing/fake-relay.js';
import { headerOf } from '../testing/fake-sink.js';
import { anEvent, type FakeCapture } from '../testing/fake-source.js';

const RETRY_MS = 10_000;

let relays: Scene[] = [];

afterEach(async () => {
  await Promise.all(relays.map(({ relay }) => relay.stop()));
  relays = [];
});

interface Scene {
  readonly relay: FakeRelay;
  readonly held: FakeHeld;
  readonly refused: EventRefused[];
  /** What the sink will not take, by payload. */
  readonly poison: Set<string>;
  /** Positions that the sink has stored, in order; those that were held with a star. */
  readonly stored: () => string[];
}

function scene(route: Partial<RouteConfig> = {}, prepare: (capture: FakeCapture) => void = () => undefined): Scene {
  const refused: EventRefused[] = [];
  const held = { retryMinMs: RETRY_MS, retryMaxMs: 4 * RETRY_MS, ...route.held };
  const relay = new FakeRelay({}, { ...route, held }, { eventRefused: (event) => refused.push(event) });
  const poison = new Set(['poison']);
  const stored: string[] = [];
  const send = relay.sink.send.bind(relay.sink);
  const isPoison = (record: SinkRecord): boolean => poison.has(record.value.toString());
  relay.sink.send = async (lane, records) => {
    const receipt = await send(lane, records);
    if (records.some(isPoison)) {
      throw new SinkError('record_invalid', 'The broker refuses it.');
    }
    for (const record of records) {
      const star = headerOf(record, 'millrace-unparked') === undefined ? '' : '*';
      stored.push(`${headerOf(record, 'millrace-position') ?? '?'}${star}`);
    }
    return receipt;
  };
  relay.source.held = new FakeHeld();
  relay.source.prepare = prepare;
  const made = { relay, held: relay.source.held, refused, poison, stored: () => stored };
  relays.push(made);
  return made;
}

function event(position: number, aggregateId: string, payload = '{}'): OutboxEvent {
  return anEvent(position, { aggregateId, payload });
}

/** As a person does; the relay sees it at its next write. */
async function renewed({ clock }: FakeRelay): Promise<void> {
  await clock.advance(2_500);
}

describe('an event that the sink refuses', () => {
  it('is held with all later ones of its key, while other keys and the ledger go on', async () => {
    const { relay, held, refused, stored } = scene({}, (capture) => {
      capture.give([event(1, 'a'), event(2, 'b', 'poison'), event(3, 'a'), event(4, 'b')], { isFull: true });
      capture.give([event(5, 'b'), event(6, 'c')]);
    });

    await relay.start();
    await relay.clock.advance(100);

    expect(stored()).toEqual(['1', '3', '6']);
    expect(held.positions).toEqual(['2', '4', '5']);
    expect(held.keyNames).toEqual(['b']);
    expect(relay.source.capture.settled).toContain(2);
    expect(relay.status.state.kind).toBe('running');
    expect(relay.status.claim?.held).toMatchObject({ events: 3, keys: 1, parkedKeys: 0 });
    expect(refused).toMatchObject([
      { position: 2n, policy: 'block', isAgain: false, refusal: { code: 'record_invalid' } },
    ]);
  });

  it('is tried again by itself with growing waits, alone, and when it passes its chain follows in order', async () => {
    const { relay, held, refused, poison, stored } = scene({}, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a'), event(3, 'a'), event(4, 'a')]);
    });
    await relay.start();
    await relay.clock.advance(RETRY_MS);
    const { length: sends } = relay.sink.sends;
    expect(refused.map(({ isAgain }) => isAgain)).toEqual([false, true]);

    await relay.clock.advance(RETRY_MS);
    expect(relay.sink.sends).toHaveLength(sends);
    poison.clear();
    await relay.clock.advance(RETRY_MS);

    expect(stored()).toEqual(['1*', '2*', '3*', '4*']);
    expect(relay.sink.sends[sends]?.positions).toEqual(['1']);
    expect(relay.sink.sends[sends + 1]?.positions).toEqual(['2', '3', '4']);
    expect([held.positions, held.keyNames]).toEqual([[], []]);
    relay.source.capture.give([event(5, 'a')]);
    await relay.clock.advance(200);
    expect(stored().slice(4)).toEqual(['5']);
  });

  it('leaves what has arrived in memory meanwhile to follow its chain directly', async () => {
    const { relay, held, poison, stored } = scene({}, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a')]);
    });
    await relay.start();
    await relay.clock.advance(500);
    expect(held.positions).toEqual(['1', '2']);
    relay.sink.isHolding = true;
    relay.source.capture.give([event(3, 'other'), event(4, 'a')]);
    relay.source.capture.give([event(5, 'a')]);
    await relay.clock.advance(500);
    relay.sink.isHolding = false;
    poison.clear();

    await relay.clock.advance(RETRY_MS);

    expect(stored()).toEqual(['1*', '2*', '4', '5']);
    relay.sink.sends.find(({ positions }) => positions[0] === '3')?.accept();
    await relay.clock.advance(200);
    expect([held.positions, held.keyNames]).toEqual([[], []]);
    expect(relay.source.capture.low).toBe(5);
  });

  it('in the middle of a chain makes the rest wait anew', async () => {
    const { relay, held, poison, stored } = scene({}, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a'), event(3, 'a', 'worse'), event(4, 'a')]);
    });
    poison.add('worse');
    await relay.start();
    await relay.clock.advance(100);
    poison.delete('poison');
    await relay.clock.advance(RETRY_MS);
    expect(stored()).toEqual(['1*', '2*']);
    expect(held.positions).toEqual(['3', '4']);
    expect(held.rows.get(toPosition(3))?.refusal?.code).toBe('record_invalid');

    poison.clear();
    await relay.clock.advance(2 * RETRY_MS);

    expect(stored()).toEqual(['1*', '2*', '3*', '4*']);
    expect(held.keyNames).toEqual([]);
  });

  it('waits for a person where the route parks', async () => {
    const { relay, held, poison, stored } = scene({ onPoison: 'park' }, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a'), event(3, 'b')]);
    });
    await relay.start();
    poison.clear();
    await relay.clock.advance(100 * RETRY_MS);
    expect(stored()).toEqual(['3']);
    expect(held.keyNames).toEqual(['a parked']);
    expect(relay.status.claim?.held).toMatchObject({ events: 2, keys: 1, parkedKeys: 1 });

    held.retry();
    await renewed(relay);

    expect(stored()).toEqual(['3', '1*', '2*']);
    expect([held.positions, held.keyNames]).toEqual([[], []]);
  });

  it('is left out alone, and recorded, where the route skips', async () => {
    const { relay, held, stored } = scene({ onPoison: 'skip' }, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a'), event(3, 'b')]);
    });
    await relay.start();
    await relay.clock.advance(100);
    expect(stored()).toEqual(['2', '3']);
    expect([held.positions, held.keyNames]).toEqual([['1 skipped'], []]);
    expect(relay.status.claim?.held).toMatchObject({ events: 0, keys: 0 });
  });

  it('that a person discards leaves its chain to go on', async () => {
    const { relay, held, stored } = scene({ onPoison: 'park' }, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a')]);
    });
    await relay.start();
    await relay.clock.advance(100);

    held.discard(toPosition(1));
    await renewed(relay);

    expect(stored()).toEqual(['2*']);
    expect(held.keyNames).toEqual([]);
  });

  it.each([
    ['before the relay has seen it', 0],
    ['and the relay has seen it', 2_500],
  ])('that a person discards during a try, %s, leaves its chain to go on', async (_, waitMs) => {
    const { relay, held, stored } = scene({ onPoison: 'park' }, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a')]);
    });
    await relay.start();
    await relay.clock.advance(100);
    const { length: sends } = relay.sink.sends;
    relay.sink.isHolding = true;
    held.retry();
    await renewed(relay);
    expect(relay.sink.sends).toHaveLength(sends + 1);

    held.discard(toPosition(1));
    await relay.clock.advance(waitMs);
    relay.sink.isHolding = false;
    relay.sink.sendAt(sends).accept();
    await renewed(relay);

    expect(stored()).toEqual(['2*']);
    expect([held.positions, held.keyNames]).toEqual([[], []]);
  });

  it('has its key beside it in the database, also while another one of the key waits for its page', async () => {
    const { relay, held } = scene({ topic: 'events.{type}' }, (capture) => {
      capture.give([anEvent(1, { aggregateId: 'a', type: 'x' })], { isFull: true });
      capture.give([anEvent(2, { aggregateId: 'a', type: 'y' }), anEvent(3, { aggregateId: 'b', type: 'z' })]);
    });
    relay.sink.isHolding = true;
    await relay.start();
    await relay.clock.advance(100);
    const refuse = (position: string): void => {
      const send = relay.sink.sends.find(({ positions }) => positions[0] === position);
      send?.fail(new SinkError('record_invalid', 'The broker refuses it.'));
    };

    refuse('2');
    await relay.clock.advance(1);
    refuse('1');
    await relay.clock.advance(100);

    expect([held.positions, held.keyNames]).toEqual([['1'], ['a']]);
  });

  it('stays held for whoever takes the route over, and so does what comes after it', async () => {
    const { relay, held, poison, stored } = scene();
    relay.source.prepare = (capture) => {
      capture.give(relay.source.captures.length === 0 ? [event(1, 'a', 'poison'), event(2, 'b')] : [event(3, 'a')]);
    };
    await relay.start();
    await relay.clock.advance(100);
    relay.source.capture.ledgerError = new CaptureError('fenced', 'Taken over.');
    await relay.clock.advance(5_000);
    expect(relay.source.captures.length).toBeGreaterThan(1);
    expect(held.positions).toEqual(['1', '3']);
    expect(stored()).toEqual(['2']);

    poison.clear();
    await relay.clock.advance(RETRY_MS);

    expect(stored()).toEqual(['2', '1*', '3*']);
  });

  it('makes the route wait, by name, when too much is held, until there is less', async () => {
    const { relay, poison, stored } = scene({ held: { eventsMax: 2 } }, (capture) => {
      capture.give([event(1, 'a', 'poison'), event(2, 'a'), event(3, 'a')]);
    });
    await relay.start();
    await relay.clock.advance(1_000);
    const { polls } = relay.source.capture;
    expect(relay.problem).toMatch(/^held_limit: 3 events are held/);
    relay.source.capture.give([event(4, 'b')]);
    await relay.clock.advance(1_000);
    expect(relay.source.capture.polls).toBe(polls);

    poison.clear();
    await relay.clock.advance(RETRY_MS);

    expect(stored()).toEqual(['1*', '2*', '3*', '4']);
    expect(relay.status.state.kind).toBe('running');
  });

  it('is not one whose outcome is unknown: that is sent again', async () => {
    const { relay, held, stored } = scene({}, (capture) => {
      capture.give([event(1, 'a')]);
    });
    relay.sink.isHolding = true;
    await relay.start();
    relay.sink.sendAt(0).fail(new SinkError('timeout', 'No answer.'));
    relay.sink.isHolding = false;
    await relay.clock.advance(1_000);
    expect([stored(), held.positions]).toEqual([['1'], []]);
  });
});

describe('an event of which no record can be made', () => {
  const topic = 'events.{type}';

  it('is held by the same rules, by its own content', async () => {
    const { relay, held, refused, stored } = scene({ topic }, (capture) => {
      capture.give([event(1, 'a'), anEvent(2, { aggregateId: 'a', type: 'a b' }), event(3, 'a'), event(4, 'b')]);
    });
    await relay.start();
    await relay.clock.advance(100);
    expect(stored()).toEqual(['1', '4']);
    expect(held.positions).toEqual(['2', '3']);
    expect(refused[0]?.refusal.code).toBe('topic_invalid');

    await relay.clock.advance(RETRY_MS);
    expect(refused.map(({ isAgain }) => isAgain)).toEqual([false, true]);
    held.discard(toPosition(2));
    await renewed(relay);
    expect(stored()).toEqual(['1', '4', '3*']);
  });

  it('is left out alone where the route skips', async () => {
    const { relay, held, stored } = scene({ topic, onPoison: 'skip' }, (capture) => {
      capture.give([anEvent(1, { type: 'a b' }), event(2, 'key')]);
    });
    await relay.start();
    await relay.clock.advance(100);
    expect([stored(), held.positions]).toEqual([['2'], ['1 skipped']]);
  });
});
