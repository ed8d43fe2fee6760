import { describe, expect, it } from '@jest/globals';
import { relayRecord } from '../testing/relay-record.js';
import { stampedBatch } from './stamped-batch.js';

describe('a batch with the stamps of its relay', () => {
  it('says of which route it is, with the highest low of its records, and the position of each', () => {
    const { stream, positions, kinds } = stampedBatch('t/0', [
      relayRecord(7, { low: 3, epoch: 4_294_967_297 }),
      relayRecord(9, { low: 6, epoch: 4_294_967_297 }),
    ]);

    expect(stream).toEqual({ source: 'shop', route: 'orders', epoch: '4294967297', low: '6' });
    expect(positions).toEqual(['7', '9']);
    expect(kinds).toEqual([1, 1]);
  });

  it('counts the shards of a route as the route', () => {
    expect(stampedBatch('t/0', [relayRecord(1, { route: 'orders/12' })]).stream?.route).toBe('orders');
  });

  it('takes a replay as often as it comes, and a released event once, whatever the floor', () => {
    const replayed = relayRecord(1, { headers: { 'millrace-replay': 'r' } });
    const released = relayRecord(2, { headers: { 'millrace-unparked': 'true' } });

    expect(stampedBatch('t/0', [replayed, released]).kinds).toEqual([0, 2]);
  });

  it('of records without a relay is of no route', () => {
    const record = { key: Buffer.from('k'), value: Buffer.from('v'), headers: [] };

    expect(stampedBatch('t/0', [record])).toMatchObject({ stream: null, kinds: [0] });
  });

  it.each([
    ['routes', [relayRecord(1), relayRecord(2, { route: 'others' })]],
    ['epochs', [relayRecord(1), relayRecord(2, { epoch: 2 })]],
    ['origins', [relayRecord(1), { key: Buffer.from('k'), value: Buffer.from('v'), headers: [] }]],
  ])('is refused when it is of two %s', (_, records) => {
    expect(() => stampedBatch('t/0', records)).toThrow(expect.objectContaining({ code: 'record_invalid' }));
  });

  it('is packed so that each part is where its start says', () => {
    const { starts, bytes } = stampedBatch('t/0', [
      { key: Buffer.from('ab'), value: Buffer.from('cde'), headers: [] },
      { key: Buffer.from('f'), value: Buffer.alloc(0), headers: [] },
    ]);

    expect(starts).toEqual([1, 3, 6, 6, 7, 7, 7]);
    expect(bytes.toString()).toBe('abcdef');
  });
});
