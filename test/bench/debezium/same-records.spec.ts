import { describe, expect, it } from '@jest/globals';
import { type ConsumedRecord } from '@millrace/testing';
import { compareRecords } from './same-records.js';

function record(id: string, offset: number, changed: Partial<ConsumedRecord> = {}): ConsumedRecord {
  const headers = { id, eventType: 'order.changed', aggregateversion: String(offset + 1) };
  return {
    topic: 't',
    partition: 0,
    offset: BigInt(offset),
    timestampMs: 0,
    key: 'k',
    headers,
    value: '{}',
    ...changed,
  };
}

const theirs = [record('a', 0), record('b', 1)];

describe('the comparison with Debezium', () => {
  it.each([
    ['as JSON', (value: string) => JSON.stringify(value)],
    ['as JSON with its schema', (value: string) => JSON.stringify({ schema: { type: 'string' }, payload: value })],
  ])('finds the same records equal, also where Debezium writes its headers %s', (_how, written) => {
    const headersOf = (each: ConsumedRecord): ConsumedRecord['headers'] =>
      Object.fromEntries(Object.entries(each.headers).map(([name, value]) => [name, written(value)]));
    const others = theirs.map((each) => ({ ...each, headers: headersOf(each) }));

    expect(compareRecords(theirs, others)).toEqual({
      records: 2,
      keys: 1,
      missing: [],
      different: [],
      reordered: [],
      onlyOurs: [],
      onlyTheirs: [],
    });
  });

  it('names what is in one of them only, and what is there twice', () => {
    expect(compareRecords([record('a', 0), record('a', 1), record('c', 2)], theirs).missing).toEqual(['a', 'c', 'b']);
  });

  it.each([
    ['value', { value: '{ }' }],
    ['key', { key: 'other' }],
    ['topic', { topic: 'other' }],
    ['partition', { partition: 1 }],
    ['event type', { headers: { id: 'b', eventType: 'other', aggregateversion: '2' } }],
  ])('names a record with another %s', (_what, changed) => {
    expect(compareRecords([record('a', 0), record('b', 1, changed)], theirs).different).toEqual(['b']);
  });

  it('names a key whose events come in another order, and headers of one side', () => {
    const ours = [record('b', 0), record('a', 1)].map((each) => ({ ...each, headers: { ...each.headers, own: '1' } }));

    const { reordered, onlyOurs } = compareRecords(ours, theirs);

    expect({ reordered, onlyOurs }).toEqual({ reordered: ['t k'], onlyOurs: ['own'] });
  });
});
