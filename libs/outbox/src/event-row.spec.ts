import { describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { z } from 'zod';
import { prepareRows, type PublishOptions } from './event-row.js';

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 2,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({
    orderId: z.string(),
    note: z.string().optional(),
    tags: z.record(z.string(), z.string()).optional(),
  }),
});

const LIMIT = 1_000;
const ID = '0190d6a0-0000-7000-8000-00000000ABCD';

async function prepare(payloads: unknown[], options: PublishOptions = {}): Promise<unknown> {
  return await prepareRows(Placed, payloads, options, LIMIT);
}

describe('prepareRows', () => {
  it('makes a row per payload with an id of its own and without fields that the contract does not know', async () => {
    const rows = await prepareRows(Placed, [{ orderId: 'a', extra: 'x' }, { orderId: 'b' }], {}, LIMIT);

    expect(rows).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
        aggregateType: 'order',
        aggregateId: 'a',
        type: 'order.placed',
        aggregateVersion: null,
        schemaVersion: 2,
        payload: '{"orderId":"a"}',
        headers: null,
        isSerialized: true,
        bytes: 1 + '{"orderId": "a"}'.length,
      },
      expect.objectContaining({ aggregateId: 'b' }),
    ]);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(2);
  });

  it('takes id, headers and version from the options, and a version turns the lock off', async () => {
    const options = { id: ID, headers: { tenant: 't' }, aggregateVersion: 9_007_199_254_740_993n };

    expect(await prepare([{ orderId: 'a' }], options)).toMatchObject([
      { id: ID.toLowerCase(), headers: '{"tenant":"t"}', aggregateVersion: '9007199254740993', isSerialized: false },
    ]);
    expect(await prepare([{ orderId: 'a' }], { aggregateVersion: 1, serialize: true })).toMatchObject([
      { isSerialized: true },
    ]);
    expect(await prepare([{ orderId: 'a' }], { serialize: false, headers: {} })).toMatchObject([
      { isSerialized: false, headers: null },
    ]);
  });

  it.each<[string, unknown, PublishOptions, RegExp]>([
    ['payload_invalid', { orderId: 7 }, {}, /order\.placed breaks its contract at payload\.orderId \(number\)/],
    ['payload_invalid', 'secret', {}, /at payload \(string\)/],
    ['payload_not_json', { orderId: 'a', note: 'secret\u0000' }, {}, /payload\.note holds a NUL character/],
    ['payload_not_json', { orderId: 'a', note: undefined }, {}, /payload\.note is undefined/],
    ['payload_not_json', { orderId: 'a', tags: { secret: '\u0000' } }, {}, /payload\.tags\.\* holds a NUL character/],
    ['key_invalid', { orderId: '' }, {}, /the key must be text of 1 to 1024 bytes/],
    ['key_invalid', { orderId: 'ü'.repeat(513) }, {}, /the key must be text of 1 to 1024 bytes/],
    ['event_too_large', { orderId: 'a', note: 'x'.repeat(LIMIT) }, {}, /has 1\d{3} bytes .* the limit is 1000/],
    ['event_too_large', { orderId: 'a' }, { headers: { big: 'x'.repeat(LIMIT) } }, /the limit is 1000/],
    ['header_invalid', { orderId: 'a' }, { headers: { id: 'secret' } }, /the header id is set by Millrace/],
    ['header_invalid', { orderId: 'a' }, { headers: { 'millrace-x': 'secret' } }, /is set by Millrace/],
    ['header_invalid', { orderId: 'a' }, { headers: { 'a b': 'secret' } }, /a header name must have/],
    ['header_invalid', { orderId: 'a' }, { headers: { a: '\u0000' } }, /headers\.a holds a NUL character/],
    ['option_invalid', { orderId: 'a' }, { id: 'secret' }, /the option id must be a UUID/],
    ['option_invalid', { orderId: 'a' }, { aggregateVersion: -1 }, /aggregateVersion must be a whole number/],
    ['option_invalid', { orderId: 'a' }, { aggregateVersion: 1.5 }, /aggregateVersion must be a whole number/],
    ['option_invalid', { orderId: 'a' }, { aggregateVersion: 2n ** 63n }, /aggregateVersion must be a whole number/],
  ])('refuses with %s, naming the place and never the value (%#)', async (code, payload, options, message) => {
    const error: unknown = await prepare([payload], options).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ name: 'OutboxError', code, message: expect.stringMatching(message) });
    expect(error instanceof Error ? error.message : '').not.toContain('secret');
  });

  it('counts a header as a record does: name, value and ten bytes, whatever JSON makes of it', async () => {
    const bytesWith = async (headers: Record<string, string>): Promise<number> => {
      const [row] = await prepareRows(Placed, [{ orderId: 'a' }], { headers }, LIMIT);
      return row?.bytes ?? 0;
    };
    const bare = await bytesWith({});

    expect((await bytesWith({ tenant: 'ü', b: '' })) - bare).toBe(6 + 2 + 10 + (1 + 0 + 10));
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`h${index + 10}`, 'v']));
    expect((await bytesWith(many)) - bare).toBe(50 * (3 + 1 + 10));
    const tooMany = Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`h${index + 10}`, 'v']));
    await expect(bytesWith(tooMany)).rejects.toMatchObject({ code: 'event_too_large' });
  });

  it('refuses a header that is no text', async () => {
    const headers: Record<string, string> = {};
    Object.assign(headers, { attempt: 1 });

    await expect(prepare([{ orderId: 'a' }], { headers })).rejects.toMatchObject({
      code: 'header_invalid',
      message: expect.stringMatching(/the header attempt is a number: give text/),
    });
  });

  it('refuses one id for several payloads', async () => {
    await expect(prepare([{ orderId: 'a' }, { orderId: 'b' }], { id: ID })).rejects.toMatchObject({
      code: 'option_invalid',
      message: expect.stringMatching(/fits one payload, not 2/),
    });
  });
});
