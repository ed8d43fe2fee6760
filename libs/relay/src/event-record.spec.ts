import { describe, expect, it } from '@jest/globals';
import { toEpoch, toPosition } from '@millrace/events';
import { type SinkRecord } from '@millrace/transport';
import { RecordEncoder } from './event-record.js';
import { RecordShape, type RecordShapeConfig } from './record-shape.js';
import { TopicTemplate } from './topic-template.js';
import { anEvent } from './testing/fake-source.js';

const FIXED = { source: 'shop', route: 'orders' };

function encoder(low = 7, shape: RecordShapeConfig = {}): RecordEncoder {
  const topic = new TopicTemplate('outbox.event.{aggregatetype}', FIXED);
  const origin = { ...FIXED, epoch: toEpoch(4_294_967_297n), topic, shape: new RecordShape(shape, FIXED) };
  return new RecordEncoder(origin, toPosition(low));
}

function headersOf(record: SinkRecord): Record<string, string> {
  return Object.fromEntries(record.headers.map(([name, value]) => [name.toString(), value.toString()]));
}

describe('the record of an event', () => {
  it('has the topic, the key, the untouched payload and all headers as bare text', () => {
    const event = anEvent(42, {
      aggregateId: 'schlüssel',
      aggregateVersion: '9007199254740993',
      schemaVersion: 2,
      payload: '{"a": 1, "ü": "😀"}',
    });
    const { topic, record } = encoder().encode(event);
    expect(topic).toBe('outbox.event.order');
    expect(record.key.toString()).toBe('schlüssel');
    expect(record.value.toString()).toBe('{"a": 1, "ü": "😀"}');
    expect(headersOf(record)).toEqual({
      id: event.id,
      eventType: 'order.placed',
      schemaversion: '2',
      aggregateversion: '9007199254740993',
      'millrace-source': 'shop',
      'millrace-route': 'orders',
      'millrace-position': '42',
      'millrace-epoch': '4294967297',
      'millrace-low': '7',
    });
  });

  it('leaves out the aggregate version when the producer has none', () => {
    expect(headersOf(encoder().encode(anEvent(1)).record)).not.toHaveProperty('aggregateversion');
  });

  it("adds the producer's headers, but none that has a reserved name", () => {
    const headers = { traceparent: '00-ab', id: 'forged', 'millrace-low': '999', 'millrace-anything': 'x' };
    const { record } = encoder().encode(anEvent(1, { headers }));
    expect(headersOf(record)).toMatchObject({ traceparent: '00-ab', id: anEvent(1).id, 'millrace-low': '7' });
    expect(headersOf(record)).not.toHaveProperty('millrace-anything');
    expect(record.headers.filter(([name]) => name.toString() === 'id')).toHaveLength(1);
  });

  it('carries the low of the ledger as last written', () => {
    const records = encoder();
    const before = records.encode(anEvent(1));
    records.setLow(toPosition(30));
    expect(headersOf(records.encode(anEvent(2)).record)['millrace-low']).toBe('30');
    expect(headersOf(before.record)['millrace-low']).toBe('7');
  });

  it('shares the buffers of what repeats', () => {
    const records = encoder();
    const [first, second] = [records.encode(anEvent(1)), records.encode(anEvent(2))];
    const shared = first.record.headers.filter((header) => second.record.headers.includes(header));
    expect(shared.map(([name]) => name.toString())).toEqual([
      'eventType',
      'schemaversion',
      'millrace-source',
      'millrace-route',
      'millrace-epoch',
      'millrace-low',
    ]);
  });

  it('counts at least the bytes that the record has', () => {
    const { record, bytes } = encoder().encode(anEvent(1, { headers: { a: 'b' }, payload: '"é"' }));
    const raw = record.headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    expect(bytes).toBeGreaterThanOrEqual(raw + record.key.length + record.value.length);
  });
});
