import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type EventId, toEventId, toPosition } from '@millrace/events';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import fc from 'fast-check';
import type pg from 'pg';
import { type DataSource } from 'typeorm';
import { v7 } from 'uuid';
import { Inbox } from './inbox.js';
import { type Arrival, type HoldVerdict } from './inbox-port.js';
import { arrivalOf, EFFECT_TABLE, openDataSource } from './testing-doubles/inbox-scene.js';

const PARKED: HoldVerdict = { kind: 'parked', code: 'c', reason: 'r' };

let database: TestDatabase;
let observer: pg.Client;
let dataSource: DataSource;
let inbox: Inbox;

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  await observer.query(EFFECT_TABLE);
  dataSource = await openDataSource(database.url);
  inbox = new Inbox({ consumer: 'stock', dataSource });
});

afterAll(async () => {
  await dataSource.destroy();
  await observer.end();
  await database.drop();
});

const anyText = fc.string({ unit: 'binary', maxLength: 600 });
const anyBytes = fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes));
const anyNumber = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 1e18, -(2 ** 63), 2 ** 63, 9e15));
const anyVerdict: fc.Arbitrary<HoldVerdict> = fc.oneof(
  fc.record({ kind: fc.constant('parked' as const), code: anyText, reason: anyText }),
  fc.record({ kind: fc.constant('held' as const), retryInMs: anyNumber, code: anyText, reason: anyText }),
);
const anyArrival: fc.Arbitrary<Arrival> = fc
  .record({
    key: anyText,
    type: anyText,
    source: fc.option(fc.string({ unit: 'binary', maxLength: 255 })),
    position: fc.bigInt({ min: 1n, max: 2n ** 70n }),
    isBypassingFloor: fc.boolean(),
    recordKey: fc.option(anyBytes),
    value: fc.option(anyBytes),
    headers: fc.array(fc.tuple(anyText, anyBytes), { maxLength: 4 }),
    timestampMs: anyNumber,
  })
  .map(({ key, type, source, position, isBypassingFloor, recordKey, value, headers, timestampMs }) => {
    const arrival = arrivalOf({ type, isBypassingFloor, timestampMs, headers: new Map(headers) });
    return {
      ...arrival,
      key,
      stream: source === null ? null : { topic: 'orders', partition: 0, source, route: 'default' },
      position: toPosition(position),
      delivery: { ...arrival.delivery, key: recordKey, value },
    };
  });

async function storedOf(id: EventId): Promise<unknown> {
  const { rows } = await observer.query<Record<string, unknown>>(
    `select k.status, k.code, k.next_try <= clock_timestamp() + interval '1 day' as is_soon, h.source,
       h.position::text, h.timestamp_ms::text, h.record_value from millrace.inbox_held h
     join millrace.inbox_held_key k using (consumer, topic, key) where h.id = $1`,
    [id],
  );
  return rows[0];
}

describe('what is set aside', () => {
  it('may be any record with any verdict', async () => {
    await fc.assert(
      fc.asyncProperty(anyArrival, anyVerdict, async (sketch, verdict) => {
        // a key that is held already would take it into its chain
        const arrival = { ...sketch, id: toEventId(v7()), key: `${v7()}${sketch.key}` };
        expect(await inbox.hold(arrival, verdict)).toBe('chained');
        expect(await inbox.hold(arrival, verdict)).toBe('duplicate');
      }),
      { numRuns: 150 },
    );
  });

  it.each([NaN, Infinity, 1e18, 1e21, 9e15])(
    'and asks for a wait of %d is tried again within a day',
    async (retryInMs) => {
      const event = arrivalOf({ key: `wait ${retryInMs}` });

      expect(await inbox.hold(event, { kind: 'held', retryInMs, code: 'c', reason: 'r' })).toBe('chained');

      expect(await storedOf(event.id)).toMatchObject({ status: 'held', is_soon: true });
    },
  );

  it.each([
    [-(2 ** 63), '-8640000000000000'],
    [2 ** 63, '8640000000000000'],
    [NaN, '0'],
    [-1.5, '-1'],
  ])('and has the time %d keeps the nearest one that there is', async (timestampMs, stored) => {
    const event = arrivalOf({ key: `time ${timestampMs}`, timestampMs });

    await inbox.hold(event, PARKED);

    expect(await storedOf(event.id)).toMatchObject({ timestamp_ms: stored, code: 'c' });
  });

  it('and that the database refuses is parked with its bytes, without its place in a stream', async () => {
    const event = { ...arrivalOf({ key: 'refused' }), position: toPosition(2n ** 70n) };

    expect(await inbox.hold(event, { kind: 'held', retryInMs: 0, code: 'c', reason: 'r' })).toBe('chained');

    expect(await storedOf(event.id)).toMatchObject({
      status: 'parked',
      code: 'not_storable',
      source: null,
      position: '0',
      timestamp_ms: '0',
      record_value: event.delivery.value,
    });
    expect(await inbox.apply([arrivalOf({ key: 'refused' })], () => Promise.reject(new Error('overtaken')))).toEqual([
      'chained',
    ]);
  });
});
