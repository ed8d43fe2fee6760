import { describe, expect, it } from '@jest/globals';
import { headerTexts } from './header-texts.js';

describe('headerTexts', () => {
  it.each([
    '{}',
    '{"a": "b"}',
    '{"a": "", "bb": "x, y} \\" \\\\", "c\\"": "\\\\"}',
    '{"é": "\\u0001", "__proto__": "x"}',
  ])('leaves %s as it is', (json) => {
    expect(headerTexts(json)).toBe(json);
  });

  it.each([
    ['{"n": 1}', '{"n": "1"}'],
    ['{"a": "b", "n": -1.50, "t": true, "z": null}', '{"a": "b", "n": "-1.50", "t": "true", "z": "null"}'],
    [
      '{"o": {"p": ["}", "]", {"q": 1}], "r": "\\""}, "s": "t"}',
      '{"o": "{\\"p\\": [\\"}\\", \\"]\\", {\\"q\\": 1}], \\"r\\": \\"\\\\\\"\\"}", "s": "t"}',
    ],
    ['{"l": [], "m": {}}', '{"l": "[]", "m": "{}"}'],
    ['{"big": 123456789012345678901234567890}', '{"big": "123456789012345678901234567890"}'],
    ['{"__proto__": {"a": 1}}', '{"__proto__": "{\\"a\\": 1}"}'],
  ])('makes texts of the values of %s', (json, texts) => {
    expect(headerTexts(json)).toBe(texts);
  });

  it.each(['{"a', '{"a": "b', '{"a": [1', '{"a": {"b": "c}', '{"a": 1'])('refuses %s, which never ends', (json) => {
    expect(() => headerTexts(json)).toThrow(expect.objectContaining({ code: 'stream_malformed' }));
  });
});
