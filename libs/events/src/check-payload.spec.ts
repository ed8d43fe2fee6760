import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { checkPayload, describeIssues, upcastPayload } from './check-payload.js';
import { defineEvent } from './define-event.js';
import { EventsError } from './events.errors.js';

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 3,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string(), lines: z.array(z.object({ quantity: z.number().int() })) }),
  upcast: {
    1: (old) => ({ ...toRecord(old), lines: [] }),
    2: (old) => ({ ...toRecord(old), lifted: true }),
  },
});

describe('checkPayload', () => {
  it('returns what the contract describes and leaves other fields out', async () => {
    const check = await checkPayload(Placed, { orderId: 'o', lines: [{ quantity: 1, secret: 'x' }], extra: 1 });

    expect(check).toEqual({ kind: 'valid', payload: { orderId: 'o', lines: [{ quantity: 1 }] } });
  });

  it('names each path and the kind of value found, never the value', async () => {
    const check = await checkPayload(Placed, { orderId: null, lines: [{ quantity: 'secret' }, {}] });

    expect(check).toEqual({
      kind: 'invalid',
      issues: [
        { path: 'payload.orderId', found: 'null' },
        { path: 'payload.lines[0].quantity', found: 'string' },
        { path: 'payload.lines[1].quantity', found: 'missing' },
      ],
    });
    expect(JSON.stringify(check)).not.toContain('secret');
  });

  it('names no key that is data, at whatever depth', async () => {
    const amounts = z.object({ byCustomer: z.record(z.string(), z.object({ cents: z.number() })) });
    const Paid = defineEvent({ type: 'paid', schemaVersion: 1, aggregate: 'paid', key: () => 'k', schema: amounts });

    expect(await checkPayload(Paid, { byCustomer: { 'alice@example.com': { cents: 'x' }, bob: 7 } })).toEqual({
      kind: 'invalid',
      issues: [
        { path: 'payload.byCustomer.*.cents', found: 'string' },
        { path: 'payload.byCustomer.*', found: 'number' },
      ],
    });
  });

  it('names no key at all where the schema library does not tell its fields', async () => {
    const { validate, vendor, version } = Placed.schema['~standard'];
    const mute = { ...Placed, schema: { '~standard': { validate, vendor, version } } };

    expect(await checkPayload(mute, { orderId: 'o', lines: [{}] })).toEqual({
      kind: 'invalid',
      issues: [{ path: 'payload.*[0].*', found: 'missing' }],
    });
  });

  it('names no key where the library cannot describe the schema', async () => {
    const standard = Placed.schema['~standard'];
    const refuse = (): never => {
      throw new Error('cannot be represented');
    };
    const mute = { ...Placed, schema: { '~standard': { ...standard, jsonSchema: { input: refuse, output: refuse } } } };

    expect(await checkPayload(mute, { orderId: 1, lines: [] })).toEqual({
      kind: 'invalid',
      issues: [{ path: 'payload.*', found: 'number' }],
    });
  });

  it('tells a payload that is no object', async () => {
    expect(await checkPayload(Placed, [1])).toEqual({ kind: 'invalid', issues: [{ path: 'payload', found: 'array' }] });
  });
});

describe('describeIssues', () => {
  it('names ten issues and counts the rest', () => {
    const issues = Array.from({ length: 12 }, (_, n) => ({ path: `payload.f${n}`, found: 'missing' }));

    expect(describeIssues(issues)).toMatch(/^payload\.f0 \(missing\), .*payload\.f9 \(missing\) and 2 more$/);
  });
});

describe('upcastPayload', () => {
  it('lifts an old payload step by step', () => {
    expect(upcastPayload(Placed, 1, { orderId: 'o' })).toEqual({ orderId: 'o', lines: [], lifted: true });
    expect(upcastPayload(Placed, 3, { orderId: 'o' })).toEqual({ orderId: 'o' });
  });

  it.each([0, 4, 1.5])('refuses version %p', (version) => {
    expect(() => upcastPayload(Placed, version, {})).toThrow(EventsError);
  });

  it('refuses a version on whose way a step is missing', () => {
    const gap = { ...Placed, upcast: { 1: (old: unknown) => old } };

    expect(() => upcastPayload(gap, 1, {})).toThrow(/lifts 1\. Add an upcast/);
  });
});

function toRecord(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
