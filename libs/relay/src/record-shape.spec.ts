import { describe, expect, it } from '@jest/globals';
import { type OutboxEvent } from '@millrace/events';
import { type SinkHeader } from '@millrace/transport';
import * as fc from 'fast-check';
import { RecordShape, type RecordShapeConfig } from './record-shape.js';
import { RelayError } from './relay.errors.js';
import { anEvent } from './testing/fake-source.js';

const FIXED = { source: 'shop', route: 'orders' };

function shape(config: RecordShapeConfig): RecordShape {
  return new RecordShape(config, FIXED);
}

function headersOf(config: RecordShapeConfig, event: OutboxEvent): readonly (readonly [string, string])[] {
  const out: SinkHeader[] = [];
  shape(config).appendHeaders(event, out);
  return out.map(([name, value]) => [name.toString(), value.toString()]);
}

function valueOf(config: RecordShapeConfig, event: OutboxEvent): string {
  return shape(config).valueOf(event).toString();
}

const BINARY: RecordShapeConfig = { format: { kind: 'cloudevents', mode: 'binary' } };
const STRUCTURED: RecordShapeConfig = { format: { kind: 'cloudevents', mode: 'structured' } };

describe('the shape of a route', () => {
  it('that says nothing has the aggregate as key, the payload as value and the headers of the producer', () => {
    const event = anEvent(1, { aggregateId: 'ü', payload: '{"n": 1.50}', headers: { a: 'b', id: 'forged' } });
    expect(shape({}).keyOf(event).toString()).toBe('ü');
    expect(valueOf({}, event)).toBe('{"n": 1.50}');
    expect(headersOf({}, event)).toEqual([['a', 'b']]);
    expect(headersOf({}, anEvent(1))).toEqual([]);
  });

  it('may have another key, and then tells the aggregate in a header', () => {
    const config = { key: '{header:tenant}/{type}' };
    const event = anEvent(1, { aggregateId: 'o-1', headers: { tenant: 'blue' } });
    expect(shape(config).keyOf(event).toString()).toBe('blue/order.placed');
    expect(headersOf(config, event)).toEqual([
      ['millrace-aggregateid', 'o-1'],
      ['tenant', 'blue'],
    ]);
  });

  it.each([
    [null, /names a header, or a version, that the event does not have/],
    [{ tenant: '' }, /gives 0 bytes/],
    [{ tenant: 'ü'.repeat(600) }, /gives 1200 bytes/],
  ])('refuses an event that gives no key: %j', (headers, message) => {
    const key = (): Buffer => shape({ key: '{header:tenant}' }).keyOf(anEvent(1, { headers }));
    expect(key).toThrow(RelayError);
    expect(key).toThrow(message);
    expect(key).not.toThrow(/ü/);
  });
});

describe('mapped headers', () => {
  const event = anEvent(1, {
    aggregateId: 'o-1',
    headers: { old: '1', taken: '2', secret: '3', fixed: '4', kept: '5', 'millrace-low': '9' },
  });

  it('are added, renamed and left out', () => {
    const headers = {
      set: { fixed: 'all', about: '{aggregatetype} {aggregateid}', version: '{aggregateversion}' },
      rename: { old: 'taken', missing: 'kept' },
      remove: ['secret'],
    };
    expect(headersOf({ headers }, event)).toEqual([
      ['taken', '1'],
      ['kept', '5'],
      ['fixed', 'all'],
      ['about', 'order o-1'],
    ]);
  });

  it('cannot make a header of a producer one of Millrace', () => {
    expect(() => shape({ headers: { rename: { old: 'millrace-low' } } })).toThrow(/rename\.old is one of Millrace/);
    expect(headersOf({ headers: { rename: { 'millrace-low': 'low', id: 'x' } } }, event)).not.toContainEqual([
      'low',
      '9',
    ]);
  });

  it('never give two headers of one name, whatever the producer has', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', '__proto__');
    fc.assert(
      fc.property(
        fc.dictionary(name, fc.string(), { noNullPrototype: true }),
        fc.uniqueArray(fc.tuple(name, name), { selector: ([, to]) => to }),
        fc.uniqueArray(name),
        (headers, renames, removed) => {
          const rename = Object.fromEntries(renames);
          const targets = new Set(Object.values(rename));
          const remove = removed.filter((each) => !Object.hasOwn(rename, each));
          const config = { headers: { set: targets.has('d') ? {} : { d: 'set' }, rename, remove } };
          const names = headersOf(config, anEvent(1, { headers })).map(([each]) => each);
          expect(new Set(names).size).toBe(names.length);
        },
      ),
    );
  });
});

describe('CloudEvents', () => {
  const event = anEvent(7, {
    aggregateId: 'ö-1',
    payload: '{"price": 1.50, "big": 12345678901234567890, "ü": "\\u2028"}',
    headers: { tenant: 'blue', 'Content-Type': 'text/plain', ce_id: 'forged' },
  });

  it('in binary mode have the payload untouched, and their attributes beside the headers of the producer', () => {
    expect(valueOf(BINARY, event)).toBe(event.payload);
    expect(headersOf(BINARY, event)).toEqual([
      ['tenant', 'blue'],
      ['ce_specversion', '1.0'],
      ['ce_id', event.id],
      ['ce_source', '/shop'],
      ['ce_type', 'order.placed'],
      ['ce_subject', 'ö-1'],
      ['content-type', 'application/json'],
      ['ce_time', '2027-01-15T08:00:00.000Z'],
    ]);
  });

  it('in structured mode are the value, with the payload in it byte for byte', () => {
    expect(valueOf(STRUCTURED, event)).toBe(
      `{"specversion":"1.0","id":"${event.id}","source":"/shop","type":"order.placed","subject":"ö-1",` +
        `"time":"2027-01-15T08:00:00.000Z","datacontenttype":"application/json","data":${event.payload}}`,
    );
    expect(headersOf(STRUCTURED, event)).toEqual([
      ['tenant', 'blue'],
      ['content-type', 'application/cloudevents+json; charset=UTF-8'],
      ['millrace-envelope', 'cloudevents'],
    ]);
  });

  it('may name their source, and have no time where RFC 3339 has none', () => {
    const source = '/{source}/{aggregatetype}';
    const timeless = anEvent(1, { occurredAtMs: Number.NEGATIVE_INFINITY });
    const structured: unknown = JSON.parse(
      valueOf({ format: { kind: 'cloudevents', mode: 'structured', source } }, timeless),
    );
    expect(structured).toMatchObject({ source: '/shop/order' });
    expect(structured).not.toHaveProperty('time');
    const names = headersOf({ format: { kind: 'cloudevents', mode: 'binary', source } }, timeless);
    expect(names).toContainEqual(['ce_source', '/shop/order']);
    expect(names.map(([name]) => name)).not.toContain('ce_time');
  });

  it('in structured mode are JSON whose data is the payload, whatever the event', () => {
    fc.assert(
      fc.property(fc.json(), fc.string({ unit: 'binary', minLength: 1 }), fc.string(), (payload, aggregateId, type) => {
        const value = valueOf(STRUCTURED, anEvent(1, { payload, aggregateId, type }));
        expect(value.endsWith(`,"data":${payload}}`)).toBe(true);
        const data: unknown = JSON.parse(payload);
        expect(JSON.parse(value)).toMatchObject({ subject: aggregateId, type });
        expect(JSON.parse(value)).toHaveProperty('data', data);
      }),
    );
  });

  it('keep their names for themselves', () => {
    expect(() => shape({ ...BINARY, headers: { set: { 'Content-Type': 'x' } } })).toThrow(
      'headers.set.Content-Type gives a name that the CloudEvents format sets by itself',
    );
    expect(() => shape({ format: { kind: 'cloudevents', mode: 'binary', source: '{type}' } })).toThrow(
      /format\.source has an unknown placeholder/,
    );
  });
});
