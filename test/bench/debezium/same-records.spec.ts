import { describe, expect, it } from '@jest/globals';
import { type ConsumedRecord } from '@millrace/testing';
import { CONTROLS } from './controls.js';
import { HEADERS_AS_JSON } from './documented-differences.js';
import { compareRecords, fromJson, isSame } from './same-records.js';

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

const theirs = ['a', 'b', 'c', 'd'].map((id, offset) => record(id, offset));

describe('the comparison with Debezium', () => {
  it('finds the same records equal', () => {
    expect(compareRecords(theirs, theirs, [])).toEqual({
      records: 4,
      topics: 1,
      keys: 1,
      equal: { topic: 4, partition: 4, key: 4, value: 4 },
      missing: [],
      different: [],
      reordered: [],
      documented: new Map(),
    });
    expect(isSame(compareRecords(theirs, theirs, []))).toBe(true);
    expect(isSame(compareRecords([], [], []))).toBe(false);
  });

  it.each([
    ['as JSON', (value: string) => JSON.stringify(value)],
    ['as JSON with its schema', (value: string) => JSON.stringify({ schema: { type: 'string' }, payload: value })],
  ])('counts the records where Debezium writes its headers %s, and wants some', (_how, written) => {
    const headersOf = (each: ConsumedRecord): ConsumedRecord['headers'] =>
      Object.fromEntries(Object.entries(each.headers).map(([name, value]) => [name, written(value)]));
    const others = theirs.map((each) => ({ ...each, headers: headersOf(each) }));

    const compared = compareRecords(theirs, others, [HEADERS_AS_JSON]);

    expect(isSame(compared)).toBe(true);
    expect(compared.documented.get(HEADERS_AS_JSON.name)).toEqual({
      records: 4,
      example: { id: 'a', field: 'header id', ours: 'a', theirs: written('a') },
    });
    expect(isSame(compareRecords(theirs, theirs, [HEADERS_AS_JSON]))).toBe(false);
    expect(compareRecords(theirs, others, []).different).toHaveLength(12);
  });

  it('names what is in one of them only, and what is there twice', () => {
    const ours = [record('a', 0), record('a', 1), record('e', 2)];

    expect(compareRecords(ours, theirs.slice(0, 2), []).missing).toEqual(['a', 'e', 'b']);
  });

  it.each([
    ['value', { value: '{ }' }, '{ }', '{}'],
    ['key', { key: 'other' }, 'other', 'k'],
    ['topic', { topic: 'other' }, 'other', 't'],
    ['partition', { partition: 1 }, '1', '0'],
    ['timestamp', { timestampMs: 1 }, '1', '0'],
    ['header eventType', { headers: { id: 'b', aggregateversion: '2' } }, null, 'order.changed'],
  ])('names a record with another %s', (field, changed, ours, others) => {
    const records = theirs.map((each) => (each.headers['id'] === 'b' ? { ...each, ...changed } : each));

    expect(compareRecords(records, theirs, []).different).toEqual([{ id: 'b', field, ours, theirs: others }]);
  });

  it('names a key whose events come in another order', () => {
    const ours = ['b', 'a', 'c', 'd'].map((id, offset) => ({
      ...record(id, offset),
      headers: theirs.find(({ headers }) => headers['id'] === id)?.headers ?? {},
    }));

    expect(compareRecords(ours, theirs, [])).toMatchObject({ different: [], reordered: ['["t","k"]'] });
  });

  it.each(CONTROLS)('finds $what', ({ plant }) => {
    expect(isSame(compareRecords(plant(theirs), theirs, []))).toBe(false);
  });
});

describe('a header that Debezium writes as JSON', () => {
  it.each([
    ['"a \\"b\\""', 'a "b"'],
    ['{"schema":{"type":"int32"},"payload":-5}', '-5'],
    ['{"schema":null,"payload":null}', null],
    ['null', null],
    ['true', 'true'],
    ['5', '5'],
    ['bare', 'bare'],
  ])('is %s and means %s', (text, meant) => {
    expect(fromJson(text)).toBe(meant);
  });
});
