import { describe, expect, it } from '@jest/globals';
import { WireFormatError, WireReader, WireWriter } from './wire-buffers.js';

describe('the fields of a request', () => {
  it('are read as they were written', () => {
    const bytes = new WireWriter()
      .int8(-1)
      .int16(-2)
      .int32(-3)
      .int64(-(2n ** 62n))
      .string('ä')
      .string(null)
      .bytes(Buffer.from([1, 2]))
      .array(['a', 'b'], (to, text) => to.string(text))
      .finish();
    const reader = new WireReader(bytes);

    expect([reader.int8(), reader.int16(), reader.int32(), reader.int64()]).toEqual([-1, -2, -3, -(2n ** 62n)]);
    expect([reader.string(), reader.nullableString()]).toEqual(['ä', null]);
    expect(reader.bytes()).toEqual(Buffer.from([1, 2]));
    expect(reader.array((text) => text.string())).toEqual(['a', 'b']);
  });

  it('may be longer than the room that was there at first', () => {
    const long = 'x'.repeat(5_000);
    expect(new WireReader(new WireWriter().int8(1).string(long).finish().subarray(1)).string()).toBe(long);
  });

  it('read nothing beyond the end of an answer', () => {
    expect(() => new WireReader(Buffer.from([0])).int32()).toThrow(WireFormatError);
    expect(() => new WireReader(Buffer.from([0, 5, 65])).string()).toThrow(WireFormatError);
    expect(() => new WireReader(Buffer.from([0, 0, 0, 9, 65])).bytes()).toThrow(WireFormatError);
  });
});
