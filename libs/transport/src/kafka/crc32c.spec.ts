import { describe, expect, it } from '@jest/globals';
import { crc32c as reference } from '@platformatic/kafka';
import fc from 'fast-check';
import { crc32c } from './crc32c.js';

describe('the checksum of record batches', () => {
  it('is that of RFC 3720', () => {
    expect(crc32c(Buffer.alloc(0))).toBe(0);
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  });

  it('is what the producer writes, for bytes of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(crc32c(Buffer.from(bytes))).toBe(reference(Buffer.from(bytes)));
      }),
    );
  });
});
