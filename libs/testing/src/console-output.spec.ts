import { describe, expect, it } from '@jest/globals';
import { parseConsoleRecord } from './console-output.js';

const fields = (...values: string[]): string => values.join('\u001f');

describe('the text of the console consumer', () => {
  it('becomes a record', () => {
    const text = fields(
      'CreateTime:1700000000123',
      'Partition:4',
      'Offset:99',
      'id:7\u001eat:10:30',
      'key',
      '{"a": 1}',
    );
    expect(parseConsoleRecord('orders', text)).toEqual({
      topic: 'orders',
      partition: 4,
      offset: 99n,
      timestampMs: 1_700_000_000_123,
      key: 'key',
      headers: { id: '7', at: '10:30' },
      value: '{"a": 1}',
    });
  });

  it('tells null from empty', () => {
    const text = fields('CreateTime:1', 'Partition:0', 'Offset:0', 'NO_HEADERS', '\u001c', '');
    expect(parseConsoleRecord('orders', text)).toMatchObject({ key: null, headers: {}, value: '' });
  });

  it('is refused in another form, without quoting it', () => {
    expect(() => parseConsoleRecord('orders', 'secret')).toThrow(
      'A record of orders was printed with 1 fields instead of 6.',
    );
  });
});
