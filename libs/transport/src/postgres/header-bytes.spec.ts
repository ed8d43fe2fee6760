import { describe, expect, it } from '@jest/globals';
import { decodeHeaders, encodeHeaders } from './header-bytes.js';

describe('headers as bytes', () => {
  it('come back as they were, whatever bytes they have', () => {
    const value = Buffer.from([0, 255, 10, 0, 0, 0, 4]);
    const bytes = encodeHeaders([
      [Buffer.from('größe'), value],
      [Buffer.from('empty'), Buffer.alloc(0)],
    ]);

    expect([...decodeHeaders(bytes)]).toEqual([
      ['größe', value],
      ['empty', Buffer.alloc(0)],
    ]);
  });

  it('are none where there are none', () => {
    expect(decodeHeaders(encodeHeaders([])).size).toBe(0);
  });

  it('have the last value of a name that comes twice', () => {
    const bytes = encodeHeaders(['1', '2'].map((value) => [Buffer.from('a'), Buffer.from(value)]));

    expect([...decodeHeaders(bytes)]).toEqual([['a', Buffer.from('2')]]);
  });

  it.each([1, 3, 5, 8])('are refused when they are cut off after %i bytes', (length) => {
    const bytes = encodeHeaders([[Buffer.from('ab'), Buffer.from('cd')]]);

    expect(() => decodeHeaders(bytes.subarray(0, length))).toThrow('are cut off');
  });
});
