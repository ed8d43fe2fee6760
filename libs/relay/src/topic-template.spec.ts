import { describe, expect, it } from '@jest/globals';
import { RelayError } from './relay.errors.js';
import { anEvent } from './testing/fake-source.js';
import { topicProblem } from './topic-naming.js';
import { TopicTemplate } from './topic-template.js';

const FIXED = { source: 'shop', route: 'orders' };

function problemOf(template: string): string {
  try {
    new TopicTemplate(template, FIXED);
  } catch (error) {
    if (error instanceof RelayError && error.code === 'configuration') {
      return error.message;
    }
    throw error;
  }
  return 'none';
}

describe('a topic template', () => {
  it('fills in every placeholder', () => {
    const template = new TopicTemplate('{source}.{route}.{aggregatetype}.{type}', FIXED);
    expect(template.topicOf(anEvent(1, { aggregateType: 'order', type: 'order.placed' }))).toBe(
      'shop.orders.order.order.placed',
    );
    expect(template.topicOf(anEvent(1, { aggregateType: 'order', type: 'order.paid' }))).toBe(
      'shop.orders.order.order.paid',
    );
  });

  it('may be a plain name', () => {
    expect(new TopicTemplate('events', FIXED).topicOf(anEvent(1, { aggregateType: 'any thing', type: '?' }))).toBe(
      'events',
    );
  });

  it('refuses, when it is made, what can never give a legal name', () => {
    expect(problemOf('events.{aggregate}')).toContain(
      'has an unknown placeholder; known are {aggregatetype}, {type}, {source}',
    );
    expect(problemOf('events.{aggregatetype')).toContain('has characters other than');
    expect(problemOf('my topic')).toContain('has characters other than');
    expect(problemOf('')).toContain('has 0 characters');
    expect(problemOf('..')).toContain('is "." or ".."');
    expect(problemOf('x'.repeat(250))).toContain('has 250 characters');
  });

  it('names the problem, and not the value, when an event gives no legal name', () => {
    const template = new TopicTemplate('outbox.event.{aggregatetype}', FIXED);
    const secret = 'müller & söhne';
    const make = (): string => template.topicOf(anEvent(1, { aggregateType: secret, type: 'x' }));
    expect(make).toThrow(RelayError);
    expect(make).toThrow(/gives no legal topic name/);
    expect(make).not.toThrow(new RegExp(secret));
  });

  it('goes on when producers have used more names than it remembers', () => {
    const template = new TopicTemplate('{aggregatetype}', FIXED);
    for (let index = 0; index < 2_500; index += 1) {
      expect(template.topicOf(anEvent(1, { aggregateType: `t${index % 1_500}` }))).toBe(`t${index % 1_500}`);
    }
  });

  it('tells more topics where the wanted values are too many to be compared', () => {
    const aggregateTypes = Array.from({ length: 1_000 }, (_, number) => `type${number}`);
    const isTopic = new TopicTemplate('x.{aggregatetype}', FIXED).matcherOf({ aggregateTypes });

    expect([isTopic('x.type7'), isTopic('x.other'), isTopic('y.type7')]).toEqual([true, true, false]);
  });

  it('takes the names that Kafka takes', () => {
    expect(topicProblem('A.b_c-9')).toBeNull();
    expect(topicProblem('x'.repeat(249))).toBeNull();
    expect(topicProblem('a/b')).not.toBeNull();
  });

  it('knows the topics that its events can go to', () => {
    const matcher = new TopicTemplate('{source}.{aggregatetype}.v1', FIXED).matcherOf({ aggregateTypes: null });
    const topic = new TopicTemplate('{source}.{aggregatetype}.v1', FIXED).topicOf(
      anEvent(1, { aggregateType: 'a.b', type: '' }),
    );
    expect([topic, `${topic}x`, topic.replace('.v1', '_v1'), `x${topic}`].map(matcher)).toEqual([
      true,
      false,
      false,
      false,
    ]);
    const wanted = new TopicTemplate('{aggregatetype}-{type}', FIXED).matcherOf({ aggregateTypes: ['order', 'a.b'] });
    expect(['order-placed', 'a.b-x', 'axb-x', 'stock-sold'].map(wanted)).toEqual([true, true, false, false]);
  });
});
