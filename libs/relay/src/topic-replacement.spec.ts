import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { RelayError } from './relay.errors.js';
import { anEvent } from './testing/fake-source.js';
import { ReplacedTopic, type TopicReplacement, topicReplacementProblems } from './topic-replacement.js';
import { TopicTemplate } from './topic-template.js';

const FIXED = { source: 'shop', route: 'orders' };

function topicOf(config: TopicReplacement, event: Parameters<typeof anEvent>[1]): string {
  return new ReplacedTopic(config, FIXED).topicOf(anEvent(1, event));
}

describe("a topic by Debezium's settings", () => {
  it.each<[TopicReplacement, string, string]>([
    [{}, 'order', 'outbox.event.order'],
    [{ regex: '(.*)', replacement: 'shop.$1' }, 'order', 'shop.order'],
    [{ regex: '(?<routedByValue>.*)', replacement: 'x.${routedByValue}.v1' }, 'order', 'x.order.v1'],
    [{ regex: '(.*)\\.(.*)', replacement: '$2-$1' }, 'a.b.c', 'c-a.b'],
    [{ regex: '([a-z]+)-(?<version>v\\d+)', replacement: '${version}.$1' }, 'order-v2', 'v2.order'],
    [{ regex: 'order|stock', replacement: 'shop' }, 'stock', 'shop'],
    [{ regex: '(.*)', replacement: '$10' }, 'x', 'x0'],
    [{ regex: '(.*)', replacement: '$0.$1' }, 'x', 'x.x'],
    [{ regex: '(a)|b', replacement: 'x$1' }, 'b', 'x'],
    [{ regex: '(.*)', replacement: 'a\\.b' }, 'x', 'a.b'],
  ])('as %j names events of %s %s', (config, aggregateType, topic) => {
    expect(topicOf(config, { aggregateType })).toBe(topic);
  });

  it('is the value itself where the regular expression does not match all of it', () => {
    expect(topicOf({ regex: 'order', replacement: 'shop' }, { aggregateType: 'orders' })).toBe('orders');
  });

  it('replaces what is found first, as Java does, and keeps what follows', () => {
    expect(topicOf({ regex: 'a|ab', replacement: 'x' }, { aggregateType: 'ab' })).toBe('xb');
    expect(topicOf({ regex: '(.*?)', replacement: 'x.' }, { aggregateType: 'order' })).toBe('x.order');
  });

  it('can be routed by the event type or by a header', () => {
    expect(topicOf({ by: 'type', regex: '(\\w+)\\..*', replacement: '$1' }, { type: 'order.placed' })).toBe('order');
    expect(topicOf({ by: 'header:region' }, { headers: { region: 'eu' } })).toBe('outbox.event.eu');
  });

  it.each<[TopicReplacement, Parameters<typeof anEvent>[1], RegExp]>([
    [{ by: 'header:region' }, { headers: null }, /needs a header that the event does not have/],
    [{ by: 'header:toString' }, { headers: {} }, /needs a header that the event does not have/],
    [{ by: 'header:region' }, { headers: { region: 'e u' } }, /has characters other than/],
    [{ by: 'header:region', regex: '.*', replacement: '\\$' }, { headers: { region: 'e' } }, /has characters other/],
  ])('by %j refuses an event that gives no legal name', (config, event, message) => {
    expect(() => topicOf(config, event)).toThrow(RelayError);
    expect(() => topicOf(config, event)).toThrow(message);
  });

  it('does not take an event without the header for one that it knows', () => {
    const topics = new ReplacedTopic({ by: 'header:a', regex: '[^x]*', replacement: 'all' }, FIXED);
    expect(['', '\n', 'b'].map((a) => topics.topicOf(anEvent(1, { headers: { a } })))).toEqual(['all', 'all', 'all']);
    expect(() => topics.topicOf(anEvent(1))).toThrow(/needs a header/);
  });

  it('tells the topics of wanted events, and which topics they can go to', () => {
    const filter = { aggregateTypes: ['order', 'stock', 'a b'] };
    const topics = new ReplacedTopic({ regex: '(o.*)', replacement: 'x.$1' }, FIXED);
    expect(topics.topicsOf(filter)).toEqual(['x.order', 'stock']);
    expect(['x.order', 'stock', 'order'].map(topics.matcherOf(filter))).toEqual([true, true, false]);
    expect(topics.topicsOf({ aggregateTypes: null })).toEqual([]);
    expect(['anything'].map(topics.matcherOf({ aggregateTypes: null }))).toEqual([true]);
    const all = new ReplacedTopic({ replacement: 'x.${routedByValue}.v1' }, FIXED).matcherOf({ aggregateTypes: null });
    expect(['x.order.v1', 'x.order', 'xy.v1'].map(all)).toEqual([true, false, false]);
    const byType = new ReplacedTopic({ by: 'type' }, FIXED);
    expect(byType.topicsOf({ aggregateTypes: null, eventTypes: ['a.b'] })).toEqual(['outbox.event.a.b']);
  });

  it.each<[string, TopicReplacement | null]>([
    ['settings', { replacement: '$1-'.repeat(20), regex: '(.*)' }],
    ['a template', null],
  ])('tells the topics of %s that repeat a value in time, whatever a topic is called', (_what, config) => {
    const naming = config === null ? new TopicTemplate('{type}-'.repeat(20), FIXED) : new ReplacedTopic(config, FIXED);
    const startedMs = performance.now();

    expect(naming.matcherOf({ aggregateTypes: null })(`${'-'.repeat(248)}x`)).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  it('looks at no value of any length, and remembers none', () => {
    const given = (length: number): string =>
      topicOf({ by: 'header:shop', regex: '(.).*', replacement: 'x-$1' }, { headers: { shop: 'a'.repeat(length) } });

    expect(given(1_024)).toBe('x-a');
    expect(() => given(1_025)).toThrow(
      expect.objectContaining({ code: 'topic_invalid', message: expect.stringContaining('at most 1024') }),
    );
  });

  it('and by a template of ours are the same where both can say it', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,30}$/);
    fc.assert(
      fc.property(name, name, fc.array(name, { minLength: 1 }), (before, after, aggregateTypes) => {
        const template = new TopicTemplate(`${before}{aggregatetype}${after}`, FIXED);
        const replaced = new ReplacedTopic({ replacement: `${before}\${routedByValue}${after}` }, FIXED);
        for (const aggregateType of aggregateTypes) {
          const event = anEvent(1, { aggregateType });
          expect(replaced.topicOf(event)).toBe(template.topicOf(event));
        }
        expect(replaced.topicsOf({ aggregateTypes })).toEqual(template.topicsOf({ aggregateTypes }));
      }),
    );
  });

  it('names each wrong setting', () => {
    expect(
      topicReplacementProblems({ by: 'x', regex: '(', replacement: 'y' }, FIXED).map(({ setting }) => setting),
    ).toEqual(['by', 'regex']);
    expect(() => new ReplacedTopic({ replacement: '$a' }, FIXED)).toThrow(/replacement has a \$ that is neither/);
    expect(() => new ReplacedTopic({ replacement: 'a\\' }, FIXED)).toThrow(/ends with a backslash/);
    expect(() => new ReplacedTopic({ replacement: '${other}' }, FIXED)).toThrow(/named groups are: routedByValue/);
  });
});
