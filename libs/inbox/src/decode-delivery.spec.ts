import { describe, expect, it } from '@jest/globals';
import { defineEvent, HEADER } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { z } from 'zod';
import { type Decoded, decodeDelivery, decodeEvent } from './decode-delivery.js';
import { type Arrival } from './inbox-port.js';
import { record } from './testing-doubles/record.js';

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 2,
  aggregate: 'order',
  key: (order) => order.name,
  schema: z.object({ name: z.string() }),
  upcast: { 1: (payload) => payload },
});

function decode(delivery: Delivery): Decoded {
  return decodeDelivery(delivery, (type) => type === 'order.placed');
}

function arrivalOf(delivery: Delivery): Arrival {
  const decoded = decode(delivery);
  if (decoded.kind !== 'event') {
    throw new Error(`expected an event, found ${decoded.kind}`);
  }
  return decoded.arrival;
}

const ID = '019AA0F0-0000-7000-8000-00000000000A';

describe('decodeDelivery', () => {
  it('reads the envelope of a handled type', () => {
    const delivery = record({
      partition: 3,
      offset: 7n,
      key: 'order-1',
      headers: { id: ID, [HEADER.position]: '42', [HEADER.low]: '40' },
    });
    const stream = { topic: 'outbox.event.order', partition: 3, source: 'orders', route: 'main' };
    expect(decode(delivery)).toEqual({
      kind: 'event',
      arrival: {
        id: ID.toLowerCase(),
        stream,
        position: 42n,
        key: 'order-1',
        type: 'order.placed',
        isBypassingFloor: false,
        delivery,
      },
      mark: { stream, position: 42n, low: 40n },
    });
  });

  it('takes the shards of a route for one stream of their partition', () => {
    const [before, after] = ['main/1', 'main/3'].map((route) =>
      arrivalOf(record({ headers: { id: ID, [HEADER.route]: route } })),
    );
    expect(before?.stream?.route).toBe('main');
    expect(after?.stream).toEqual(before?.stream);
  });

  it.each([
    ['11111111-1111-1111-1111-111111111111'],
    ['A4FD8E6FA1B2C3D4E5F60718293A4B5C'.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')],
  ])('takes every id that the outbox column takes: %s', (id) => {
    expect(arrivalOf(record({ headers: { id } })).id).toBe(id.toLowerCase());
  });

  it.each([HEADER.replay, HEADER.unparked])('lets a record with %s bypass the floor', (name) => {
    expect(arrivalOf(record({ headers: { [name]: 'r1' } })).isBypassingFloor).toBe(true);
  });

  it('claims by id alone what did not come from a relay', () => {
    const headers = { [HEADER.source]: null, [HEADER.route]: null, [HEADER.position]: null, [HEADER.low]: null };
    expect(arrivalOf(record({ headers }))).toMatchObject({ stream: null, position: 0n });
  });

  it('takes a type without a handler for settled, with its mark: it is part of the prefix', () => {
    const delivery = record({
      offset: 9n,
      headers: { [HEADER.eventType]: 'order.noted', [HEADER.low]: '9', id: null },
    });
    expect(decode(delivery)).toMatchObject({ kind: 'unhandled', type: 'order.noted', mark: { low: 9n } });
  });

  it.each([[null], ['x'], ['-1'], ['99999999999999999999']])('has no mark for millrace-low %s', (low) => {
    expect(decode(record({ headers: { [HEADER.low]: low } }))).toMatchObject({ kind: 'event', mark: null });
  });

  it.each([['order.placed'], ['order.noted']])(
    'does not believe that a record was published before itself: %s',
    (type) => {
      const headers = { [HEADER.eventType]: type, [HEADER.position]: '42' };
      const decoded = (low: string): Decoded => decode(record({ headers: { ...headers, [HEADER.low]: low } }));
      expect(decoded('42')).toMatchObject({ mark: 'refused' });
      expect(decoded('9223372036854775806')).toMatchObject({ mark: 'refused' });
      expect(decoded('41')).toMatchObject({ mark: { low: 41n } });
    },
  );

  it.each([HEADER.replay, HEADER.unparked])('believes it of a record with %s: its turn was long ago', (name) => {
    const headers = { [HEADER.position]: '42', [HEADER.low]: '50', [name]: 'r1' };
    expect(decode(record({ headers }))).toMatchObject({ mark: { position: 42n, low: 50n } });
  });

  it('has no mark of a type without a handler whose position is none', () => {
    const headers = { [HEADER.eventType]: 'order.noted', [HEADER.low]: '9' };
    expect(decode(record({ headers: { ...headers, [HEADER.position]: '0' } }))).toMatchObject({ mark: null });
    expect(decode(record({ headers: { ...headers, [HEADER.position]: 'x' } }))).toMatchObject({ mark: null });
  });

  describe('malformed records', () => {
    it.each<[string, Record<string, string | null>, RegExp]>([
      ['without an id', { id: null }, /header id is missing/],
      ['with an id that is no UUID', { id: 'secret' }, /header id is no UUID/],
      ['with an id in braces', { id: `{${ID}}` }, /header id is no UUID/],
      ['with an id and a line end', { id: `${ID}\n` }, /header id is no UUID/],
      ['with half of a stream', { [HEADER.route]: null }, /millrace-route is missing/],
      ['with the other half', { [HEADER.source]: null }, /millrace-source is missing/],
      ['without a position', { [HEADER.position]: null }, /millrace-position is missing/],
      ['with a position that is no number', { [HEADER.position]: 'secret' }, /millrace-position is no whole number/],
      [
        'with position 0: they count from 1',
        { [HEADER.position]: '0' },
        /millrace-position is no whole number from 1 on/,
      ],
      ['with a position below 0', { [HEADER.position]: '-1' }, /millrace-position is no whole number/],
      ['with a position beyond 64 bits', { [HEADER.position]: '9223372036854775808' }, /no whole number of 64 bits/],
      ['with an empty source', { [HEADER.source]: '' }, /millrace-source must be text/],
      ['with a NUL in the route', { [HEADER.route]: 'a\0' }, /millrace-route must be text/],
      ['with a long source', { [HEADER.source]: 'x'.repeat(256) }, /millrace-source must be text/],
      ['with schema version 0', { [HEADER.schemaVersion]: '0' }, /schemaversion is no whole number from 1 on/],
      ['with a wrong aggregate version', { [HEADER.aggregateVersion]: 'v1' }, /aggregateversion is no whole number/],
    ])('are told: %s', (_, headers, reason) => {
      const decoded = decode(record({ partition: 2, offset: 5n, key: 'order-1', headers }));
      expect(decoded).toMatchObject({
        kind: 'malformed',
        arrival: { key: 'order-1', type: 'order.placed', stream: null },
        reason: expect.stringMatching(reason),
      });
      expect(decoded).not.toMatchObject({ reason: expect.stringMatching(/secret/) });
    });

    it.each([[null], [''], ['a\0b'], ['x'.repeat(1_025)]])('are told: a key that cannot be one (%#)', (key) => {
      expect(decode(record({ partition: 2, offset: 5n, key }))).toMatchObject({
        kind: 'malformed',
        arrival: { key: '#2/5' },
      });
    });

    it('stand alone when they are no records of Millrace', () => {
      expect(decode(record({ partition: 2, offset: 5n, headers: { [HEADER.eventType]: null } }))).toMatchObject({
        kind: 'malformed',
        arrival: { key: '#2/5', type: '' },
        reason: expect.stringMatching(/no record of Millrace/),
      });
    });

    it('have an id of their place, the same each time', () => {
      const idOf = (offset: bigint): string | null => {
        const decoded = decode(record({ offset, headers: { id: null } }));
        return decoded.kind === 'malformed' ? decoded.arrival.id : null;
      };
      expect(idOf(5n)).toMatch(/^[0-9a-f-]{36}$/);
      expect(idOf(5n)).toBe(idOf(5n));
      expect(idOf(6n)).not.toBe(idOf(5n));
    });
  });
});

describe('decodeEvent', () => {
  it('gives the handler what the contract describes, and the headers of the producer', async () => {
    const delivery = record({
      key: 'order-1',
      value: { name: 'n', unknown: 1 },
      headers: { id: ID, tenant: 'blue', [HEADER.aggregateVersion]: '8', [HEADER.replay]: 'r1' },
    });
    const event = await decodeEvent(arrivalOf(delivery), Placed);
    expect(event).toEqual({
      id: ID.toLowerCase(),
      type: 'order.placed',
      schemaVersion: 1,
      aggregateId: 'order-1',
      aggregateVersion: '8',
      source: 'orders',
      position: 1n,
      sentAtMs: 1_700_000_000_000,
      headers: { tenant: 'blue' },
      payload: { name: 'n' },
      isReplay: true,
    });
  });

  it('takes the payload out of its CloudEvents envelope, and the aggregate out of its header where it is not the key', async () => {
    const delivery = record({
      key: 'tenant-1',
      value: { specversion: '1.0', id: ID, type: 'order.placed', data: { name: 'n' } },
      headers: { [HEADER.envelope]: 'cloudevents', [HEADER.aggregateId]: 'order-1' },
    });
    const event = await decodeEvent(arrivalOf(delivery), Placed);
    expect([event.payload, event.aggregateId, event.headers]).toEqual([{ name: 'n' }, 'order-1', {}]);
  });

  it('takes a payload that looks like an envelope for a payload', async () => {
    const value = { name: 'n', specversion: '1.0', data: { name: 'inner' } };
    const headers = { 'content-type': 'application/cloudevents+json' };
    expect((await decodeEvent(arrivalOf(record({ value, headers })), Placed)).payload).toEqual({ name: 'n' });
  });

  it.each([
    ['cloudevents', { name: 'n' }, /^its CloudEvents envelope has no data$/],
    ['cloudevents', 'text', /^its CloudEvents envelope has no data$/],
    ['avro', { data: { name: 'n' } }, /^the header millrace-envelope names a kind of envelope/],
  ])('refuses an envelope that it cannot open: %s around %j', async (envelope, value, message) => {
    const arrival = arrivalOf(record({ value, headers: { [HEADER.envelope]: envelope } }));
    await expect(decodeEvent(arrival, Placed)).rejects.toMatchObject({
      code: 'record_malformed',
      message: expect.stringMatching(message),
    });
  });

  it('takes a record without a schema version for version 1', async () => {
    const event = await decodeEvent(arrivalOf(record({ headers: { [HEADER.schemaVersion]: null } })), Placed);
    expect(event.schemaVersion).toBe(1);
  });

  it.each([
    ['no payload', null, /^it has no payload$/],
    ['no JSON', Buffer.from('{secret'), /^its payload is no JSON$/],
    ['a broken payload', { name: 7 }, /^it breaks its contract at payload\.name \(number\)$/],
  ])('refuses %s without quoting it', async (_, value, message) => {
    const error: unknown = await decodeEvent(arrivalOf(record({ value })), Placed).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'record_malformed', message: expect.stringMatching(message) });
    expect(error).not.toHaveProperty('cause');
  });

  it('tells a version that is newer than the contract apart', async () => {
    await expect(
      decodeEvent(arrivalOf(record({ headers: { [HEADER.schemaVersion]: '3' } })), Placed),
    ).rejects.toMatchObject({ code: 'schema_version_unknown' });
  });
});
