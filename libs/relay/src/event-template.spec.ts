import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { EVENT_FIELDS, EventTemplate, templateProblem } from './event-template.js';
import { anEvent } from './testing/fake-source.js';

const RULES = { fields: EVENT_FIELDS, takesHeaders: true, fixed: { source: 'shop', route: 'orders' } };

const EVENT = anEvent(1, {
  aggregateId: 'o-1',
  aggregateVersion: '7',
  headers: { tenant: 'blue', 'odd name: ü': 'x', ['__proto__']: 'own' },
});

function filled(template: string, event = EVENT): string | null {
  return new EventTemplate(template, RULES).fill(event);
}

describe('an event template', () => {
  it.each([
    ['', ''],
    ['text', 'text'],
    ['{aggregatetype}/{aggregateid}', 'order/o-1'],
    ['{id} {type} {schemaversion} {aggregateversion}', '00000000-0000-7000-8000-000000000001 order.placed 1 7'],
    ['{occurredat}', '2027-01-15T08:00:00.000Z'],
    ['{source}-{route}-{header:tenant}', 'shop-orders-blue'],
    ['{header:odd name: ü}{header:__proto__}', 'xown'],
  ])('%s becomes %s', (template, text) => {
    expect(filled(template)).toBe(text);
  });

  it.each([
    ['{header:tenant}', anEvent(1)],
    ['{header:tenant}', anEvent(1, { headers: {} })],
    ['{header:toString}', EVENT],
    ['x{aggregateversion}', anEvent(1)],
    ['{occurredat}', anEvent(1, { occurredAtMs: Number.POSITIVE_INFINITY })],
    ['{occurredat}', anEvent(1, { occurredAtMs: Date.parse('+012026-01-01T00:00:00Z') })],
    ['{occurredat}', anEvent(1, { occurredAtMs: Number.NaN })],
  ])('%s cannot be filled where the event has no such thing', (template, event) => {
    expect(filled(template, event)).toBeNull();
  });

  it.each(['{', '}', 'a}b{', '{{id}}', '{}', '{header:}', '{ID}', '{constructor}', '{toString}', '{position}'])(
    'refuses %s',
    (template) => {
      expect(templateProblem(template, RULES)).not.toBeNull();
    },
  );

  it('knows when all events give one text', () => {
    const constants = ['', 'a', '{source}', 'a{route}b', '{id}', 'a{type}'].map(
      (text) => new EventTemplate(text, RULES).constant,
    );
    expect(constants).toEqual(['', 'a', 'shop', 'aordersb', null, null]);
  });

  it('fills in values as they are: nothing in an event is read as a template, or as a pattern', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '{', '}', '$', '&', '1', '\\', 'id', 'ü', '\n') });
    const plain = fc.stringMatching(/^[^{}]{0,10}$/);
    fc.assert(
      fc.property(text, text, plain, plain, (aggregateId, tenant, before, between) => {
        const event = anEvent(1, { aggregateId, headers: { tenant } });
        const template = `${before}{aggregateid}${between}{header:tenant}`;
        expect(filled(template, event)).toBe(before + aggregateId + between + tenant);
      }),
    );
  });

  it('takes what has no braces but those of placeholders, and refuses all else', () => {
    const known = /\{(id|type|aggregateversion|source|route|header:[^{}]{1,200})\}/g;
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('{', '}', '{id}', '{type}', '{header:tenant}', '{header:no}', '{aggregateversion}'),
    );
    const template = fc.array(piece).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(template, (text) => {
        expect(templateProblem(text, RULES) === null).toBe(!/[{}]/.test(text.replace(known, '')));
      }),
    );
  });
});
