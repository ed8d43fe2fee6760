import { describe, expect, it } from '@jest/globals';
import { type Delivery } from '@millrace/transport';
import { publishedRecordOf } from './published-record.js';
import { parseRoute } from './route-config.js';
import { shardOf } from './route-shard.js';

const ROUTE = parseRoute({ name: 'orders', source: 'shop', sink: 'kafka' });
const ID = '0b0b8a1f-0000-7000-8000-000000000000';

function delivery(headers: Record<string, string>, partition = 0): Delivery {
  const known = {
    id: ID,
    'millrace-source': 'shop',
    'millrace-route': 'orders',
    'millrace-position': '42',
    'millrace-low': '40',
    ...headers,
  };
  return {
    topic: 't',
    partition,
    offset: 7n,
    key: null,
    value: null,
    headers: new Map(Object.entries(known).map(([name, value]) => [name, Buffer.from(value)])),
    timestampMs: 0,
  };
}

describe('a record of a topic', () => {
  it('tells position, id, low and place of an event that the route has published', () => {
    expect(publishedRecordOf(delivery({}), ROUTE)).toEqual({
      position: 42n,
      id: ID,
      low: 40n,
      topic: 't',
      partition: 0,
      offset: 7n,
      isOwn: true,
    });
  });

  it.each([
    ['of another source', { 'millrace-source': 'crm' }],
    ['of another route', { 'millrace-route': 'orders2' }],
    ['of somebody else', { 'millrace-route': '' }],
    ['without a position', { 'millrace-position': '' }],
    ['with something else as its position', { 'millrace-position': '4.2' }],
    ['with something else as its id', { id: 'x' }],
  ])('%s says nothing', (_, headers) => {
    expect(publishedRecordOf(delivery(headers), ROUTE)).toBeNull();
  });

  it('of another shard of the route counts, and is that one’s to tell of', () => {
    const shard = shardOf(ROUTE, 1, 2);
    expect(publishedRecordOf(delivery({ 'millrace-route': 'orders/2' }, 1), shard)).toMatchObject({ isOwn: false });
    expect(publishedRecordOf(delivery({ 'millrace-route': 'orders/3' }, 2), shard)).toMatchObject({ isOwn: true });
  });
});
