import { describe, expect, it } from '@jest/globals';
import { SinkError } from '@millrace/transport';
import { FakeRelay } from './testing/fake-relay.js';
import { anEvent } from './testing/fake-source.js';

const TWO_TYPES = { aggregateTypes: ['order', 'stock'] };

describe('the topics that a route names before any event', () => {
  it('are opened when it is claimed', async () => {
    const relay = new FakeRelay({}, TWO_TYPES);
    await relay.start();
    expect(relay.sink.opened).toEqual(['outbox.event.order', 'outbox.event.stock']);
    expect(relay.states).toEqual(['starting', 'running']);
    await relay.stop();
  });

  it.each([
    ['it takes every aggregate type', {}],
    ['the name depends on the type of the event', { ...TWO_TYPES, topic: '{aggregatetype}.{type}' }],
    ['an aggregate type gives no legal name', { aggregateTypes: ['no topic'] }],
  ])('are none when %s', async (_why, route) => {
    const relay = new FakeRelay({}, route);
    await relay.start();
    expect(relay.sink.opened).toEqual([]);
    await relay.stop();
  });

  it('are one when the template is a plain name', async () => {
    const relay = new FakeRelay({}, { ...TWO_TYPES, topic: 'events' });
    await relay.start();
    expect(relay.sink.opened).toEqual(['events']);
    await relay.stop();
  });

  it('are asked for again until the sink answers, and keep the route from nothing', async () => {
    const relay = new FakeRelay({}, TWO_TYPES);
    relay.sink.topicError = new SinkError('unavailable', 'Kafka is down.');
    await relay.start();
    await relay.clock.advance(10_000);
    expect(relay.status.state.kind).toBe('running');
    relay.sink.topicError = null;
    await relay.clock.advance(3_000);
    expect(relay.sink.opened).toEqual(['outbox.event.order', 'outbox.event.stock']);
    await relay.stop();
    expect(relay.clock.timersSet).toBe(0);
  });

  it.each(['topic_missing', 'not_authorised'] as const)(
    'are left to the first event when the sink says %s',
    async (code) => {
      const relay = new FakeRelay({}, { aggregateTypes: ['order'] });
      relay.sink.topicError = new SinkError(code, 'Not this topic.');
      await relay.start();
      await relay.clock.advance(60_000);
      expect(relay.status.state.kind).toBe('running');
      relay.sink.topicError = null;
      await relay.clock.advance(60_000);
      expect(relay.sink.opened).toEqual([]);
      relay.source.capture.give([anEvent(1)]);
      await relay.clock.advance(1_000);
      expect(relay.sink.opened).toEqual(['outbox.event.order']);
      await relay.stop();
    },
  );

  it('are not asked for any longer by a claim that has ended', async () => {
    const relay = new FakeRelay({}, TWO_TYPES);
    relay.sink.topicError = new SinkError('unavailable', 'Kafka is down.');
    await relay.start();
    await relay.stop();
    relay.sink.topicError = null;
    await relay.clock.advance(60_000);
    expect(relay.sink.opened).toEqual([]);
  });
});
