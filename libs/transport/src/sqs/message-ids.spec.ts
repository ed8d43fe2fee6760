import { describe, expect, it } from '@jest/globals';
import { type SinkRecord } from '../sink-port.js';
import { deduplicationIdOf, groupIdOf } from './message-ids.js';

function record(headers: Readonly<Record<string, string>>): SinkRecord {
  return {
    key: Buffer.from('k'),
    value: Buffer.from('v'),
    headers: Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const),
  };
}

describe('a message group', () => {
  it('is the key where SQS takes it', () => {
    for (const key of ['order-1', '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~', 'x'.repeat(128)]) {
      expect(groupIdOf(Buffer.from(key))).toBe(key);
    }
  });

  it('is the hash of any other key, one group per key', () => {
    const keys = ['', ' ', 'a b', 'ä', '\u0000', 'x'.repeat(129)].map((key) => Buffer.from(key));
    const groups = [...keys, Buffer.from([0xe4])].map(groupIdOf);
    expect(new Set(groups).size).toBe(7);
    expect(groups.every((group) => /^sha256-[0-9a-f]{64}$/.test(group))).toBe(true);
  });
});

describe('a deduplication id', () => {
  const event = { id: '1', 'millrace-route': 'orders' };

  it('is the same for each try of an event on its route, on whichever shard', () => {
    const tries = [
      event,
      { ...event, 'millrace-epoch': '7', 'millrace-low': '3' },
      { ...event, 'millrace-route': 'orders/2' },
    ];
    expect(new Set(tries.map((headers) => deduplicationIdOf(record(headers)))).size).toBe(1);
    expect(deduplicationIdOf(record(event))).toMatch(/^[0-9a-f]{64}$/);
  });

  it('differs for a replay, a release and another route', () => {
    const others = [
      event,
      { ...event, 'millrace-replay': '1' },
      { ...event, 'millrace-unparked': '1' },
      { ...event, 'millrace-route': 'copies' },
      { ...event, id: '2' },
    ];
    expect(new Set(others.map((headers) => deduplicationIdOf(record(headers)))).size).toBe(5);
  });

  it('is never the same twice for a record without an id', () => {
    expect(deduplicationIdOf(record({}))).not.toBe(deduplicationIdOf(record({})));
  });
});
