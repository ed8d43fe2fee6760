import { describe, expect, it } from '@jest/globals';
import { type ConsumedRecord } from '@millrace/testing';
import { checkDeliveries, type CommittedEvent, type DeliveryVerdict } from './delivery-check.js';

const NAMES = { source: 'main', route: 'orders' };

function event(key: string, version: number, position: number): CommittedEvent {
  return {
    id: `${key}-${version}`,
    key,
    version,
    position: BigInt(position),
    type: 'changed',
    payload: `{"version": ${version}}`,
    headers: { tenant: 'blue' },
  };
}

const A1 = event('a', 1, 1);
const A2 = event('a', 2, 3);
const A3 = event('a', 3, 4);
const B1 = event('b', 1, 2);
const COMMITTED = [A1, B1, A2, A3];

interface Change {
  readonly epoch?: number;
  readonly low?: number;
  readonly partition?: number;
  readonly value?: string;
  readonly headers?: Record<string, string>;
}

/** Records at the offsets of their places in the list. */
function log(...deliveries: readonly (readonly [CommittedEvent, Change?])[]): ConsumedRecord[] {
  return deliveries.map(([of, change = {}], index) => ({
    topic: 'orders',
    partition: change.partition ?? 0,
    offset: BigInt(index),
    timestampMs: 0,
    key: of.key,
    value: change.value ?? of.payload,
    headers: {
      id: of.id,
      eventType: of.type,
      schemaversion: '1',
      aggregateversion: String(of.version),
      'millrace-source': 'main',
      'millrace-route': 'orders',
      'millrace-position': String(of.position),
      'millrace-epoch': String(change.epoch ?? 7),
      'millrace-low': String(change.low ?? 0),
      ...of.headers,
      ...change.headers,
    },
  }));
}

function kindsOf(verdict: DeliveryVerdict): string[] {
  return verdict.problems.map(({ kind }) => kind);
}

describe('the check of what was delivered', () => {
  it('is content with every event once, in order per key', () => {
    const records = log([A1], [A2, { low: 2 }], [B1, { partition: 1 }], [A3, { low: 2 }]);
    expect(checkDeliveries(COMMITTED, records, NAMES)).toEqual({ delivered: 4, problems: [], repeats: [] });
  });

  it('reads a partition by offset, in whatever order the records were given', () => {
    const records = log([A1], [B1], [A2], [A3]).reverse();
    expect(checkDeliveries(COMMITTED, records, NAMES).problems).toEqual([]);
  });

  it('counts repeats with both epochs, and where the first delivery is', () => {
    const records = log([A1], [B1], [A2], [A2], [A1, { epoch: 8 }], [A3, { epoch: 8 }]);
    expect(checkDeliveries(COMMITTED, records, NAMES)).toEqual({
      delivered: 6,
      problems: [],
      repeats: [
        { firstEpoch: 7n, epoch: 7n, lane: 'orders/0', firstOffset: 2n },
        { firstEpoch: 7n, epoch: 8n, lane: 'orders/0', firstOffset: 0n },
      ],
    });
  });

  it('finds a lost event, and the hole that it leaves in its key', () => {
    const verdict = checkDeliveries(COMMITTED, log([A1], [B1], [A3]), NAMES);
    expect(kindsOf(verdict)).toEqual(['order', 'lost']);
    expect(verdict.problems[1]?.text).toBe('event a-2 (key a, version 2, position 3)');
  });

  it('finds the last event of a key when it is lost', () => {
    expect(kindsOf(checkDeliveries(COMMITTED, log([A1], [B1], [A2]), NAMES))).toEqual(['lost']);
  });

  it('finds an event that was never committed', () => {
    const records = log([A1], [B1], [A2], [A3], [event('a', 4, 5)]);
    expect(kindsOf(checkDeliveries(COMMITTED, records, NAMES))).toEqual(['phantom']);
  });

  it('finds a later version that came before an earlier one', () => {
    expect(kindsOf(checkDeliveries(COMMITTED, log([A2], [A1], [B1], [A3]), NAMES))).toContain('order');
  });

  it('takes an earlier version again, after a later one, for a repeat', () => {
    const records = log([A1], [A2], [A1, { epoch: 8 }], [B1, { epoch: 8 }], [A3, { epoch: 8 }]);
    expect(checkDeliveries(COMMITTED, records, NAMES).problems).toEqual([]);
  });

  it('finds a key in two partitions', () => {
    const records = log([A1], [B1], [A2, { partition: 1 }], [A3]);
    expect(kindsOf(checkDeliveries(COMMITTED, records, NAMES))).toContain('partition');
  });

  it('lets a key move when a grown topic is read turn by turn, and holds its order over the turns', () => {
    const records = log([A2, { partition: 1 }], [A1], [B1], [A3, { partition: 1 }]);
    const turnOf = ({ partition }: ConsumedRecord): number => partition;
    expect(checkDeliveries(COMMITTED, records, NAMES, turnOf).problems).toEqual([]);
    expect(kindsOf(checkDeliveries(COMMITTED, records, NAMES, (record) => -turnOf(record)))).toContain('order');
    expect(kindsOf(checkDeliveries(COMMITTED, records, NAMES))).toContain('partition');
  });

  it('finds a payload that is not what PostgreSQL printed, also in a repeat', () => {
    const changed = { value: '{"version":1}' };
    expect(kindsOf(checkDeliveries([A1], log([A1, changed]), NAMES))).toEqual(['payload']);
    expect(kindsOf(checkDeliveries([A1], log([A1], [A1, changed]), NAMES))).toEqual(['payload']);
  });

  it.each([
    'eventType',
    'schemaversion',
    'aggregateversion',
    'millrace-source',
    'millrace-route',
    'millrace-position',
    'tenant',
  ])('finds a wrong header %s', (name) => {
    const { problems } = checkDeliveries([A1], log([A1, { headers: { [name]: 'other' } }]), NAMES);
    expect(problems.map(({ kind, text }) => [kind, text.endsWith(name)])).toEqual([['header', true]]);
  });

  it('finds an event that comes first below a low that its partition has told', () => {
    const records = log([A1], [A2, { low: 2 }], [B1, { low: 2 }], [A3]);
    expect(kindsOf(checkDeliveries(COMMITTED, records, NAMES))).toEqual(['low']);
  });

  it('lets an event that was held come below a low that its partition has told', () => {
    const released = { low: 2, headers: { 'millrace-unparked': 'true' } };
    expect(checkDeliveries(COMMITTED, log([A1], [A2, { low: 2 }], [B1, released], [A3]), NAMES).problems).toEqual([]);
  });

  it('lets another partition tell a higher low', () => {
    const records = log([A1], [A2, { low: 2 }], [B1, { partition: 1 }], [A3]);
    expect(checkDeliveries(COMMITTED, records, NAMES).problems).toEqual([]);
  });

  it('finds two writers at once by an older epoch that brings something new', () => {
    const records = log([A1], [B1], [A2, { epoch: 8 }], [A3, { epoch: 7 }]);
    expect(kindsOf(checkDeliveries(COMMITTED, records, NAMES))).toEqual(['epoch']);
  });

  it('says so when epoch or low cannot be read', () => {
    const records = log([A1, { headers: { 'millrace-epoch': '' } }]);
    expect(kindsOf(checkDeliveries([A1], records, NAMES))).toEqual(['unreadable', 'lost']);
  });
});
