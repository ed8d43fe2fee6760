import { describe, expect, it } from '@jest/globals';
import { byteCount, bytesText, durationMs, durationText } from './retention-units.js';

describe('a time', () => {
  it.each([
    ['7d', 604_800_000],
    ['12h', 43_200_000],
    ['90m', 5_400_000],
    ['45s', 45_000],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  it.each(['', '7', 'd', '7 d', '7D', '1.5h', '-1d', '7days', '1w', '9999999999d', '7d ', 'toString'])(
    '%j is none',
    (text) => {
      expect(durationMs(text)).toBeNull();
    },
  );

  it.each(['7d', '36h', '90m', '45s', '0s'])('%s is printed as it was read', (text) => {
    expect(durationText(durationMs(text) ?? -1)).toBe(text);
  });

  it('is printed without what is below a second', () => {
    expect([durationText(61_999), durationText(900)]).toEqual(['61s', '0s']);
  });
});

describe('a size', () => {
  it.each([
    ['10GiB', 10_737_418_240],
    ['512MiB', 536_870_912],
    ['1TiB', 1_099_511_627_776],
    ['64KiB', 65_536],
    ['7B', 7],
  ])('%s is %d bytes, and is printed so', (text, bytes) => {
    expect(byteCount(text)).toBe(bytes);
    expect(bytesText(bytes)).toBe(text);
  });

  it.each(['', '10', '10GB', '10gib', '1.5GiB', '999999999TiB'])('%j is none', (text) => {
    expect(byteCount(text)).toBeNull();
  });
});
