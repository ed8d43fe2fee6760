import { describe, expect, it } from '@jest/globals';

import { safeBigint } from './safe-bigint.js';

describe('a bigint column', () => {
  it('comes as a number, exact up to 2^53 - 1', () => {
    expect(['0', '-12', '9007199254740991'].map((text): unknown => safeBigint.from(text))).toEqual([
      0, -12, 9_007_199_254_740_991,
    ]);
    expect(safeBigint.from(null)).toBeNull();
    expect(safeBigint.to(12)).toBe(12);
  });

  it('is an error beyond that, not another number', () => {
    expect((): unknown => safeBigint.from('9007199254740992')).toThrow(/2\^53/);
  });
});
