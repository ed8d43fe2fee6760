import { describe, expect, it } from '@jest/globals';
import { toJsonbText } from './jsonb-text.js';

class Money {
  constructor(readonly cents: number) {}
}

describe('toJsonbText', () => {
  it.each([
    [{}, '{}', 2],
    [{ a: 1 }, '{"a":1}', 8],
    [{ a: [1, 2, 3], b: null }, '{"a":[1,2,3],"b":null}', 27],
    [{ text: 'ü€😀"\\\n\u0001' }, '{"text":"ü€😀\\"\\\\\\n\\u0001"}', 33],
    [{ big: 1e21, small: 1e-7, minus: -2.5 }, '{"big":1e+21,"small":1e-7,"minus":-2.5}', undefined],
    [Object.assign(Object.create(null), { a: true }), '{"a":true}', 11],
  ])('gives the text of %j and the bytes that PostgreSQL prints', (value, text, printedBytes) => {
    const json = toJsonbText(value);

    expect(json).toMatchObject({ text });
    if (printedBytes !== undefined) {
      expect(json).toMatchObject({ printedBytes });
    }
  });

  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;

  it.each([
    [undefined, [], /^is undefined, which JSON drops/],
    [{ a: undefined }, ['a'], /^is undefined/],
    [{ a: [1, undefined] }, ['a', 1], /^is undefined/],
    [{ a: Number.NaN }, ['a'], /^is NaN or infinite/],
    [{ a: Infinity }, ['a'], /^is NaN or infinite/],
    [{ a: 1n }, ['a'], /^is a bigint/],
    [{ a: () => 1 }, ['a'], /^is a function/],
    [{ a: Symbol('secret') }, ['a'], /^is a symbol/],
    [{ a: new Date(0) }, ['a'], /^is an instance of Date/],
    [{ a: new Map() }, ['a'], /^is an instance of Map/],
    [{ a: new Money(1) }, ['a'], /^is an instance of Money/],
    [{ a: 'secret\u0000' }, ['a'], /^holds a NUL character/],
    [{ 'a\u0000': 1 }, [], /^has a field whose name holds a NUL character/],
    [{ a: 'secret\ud83d' }, ['a'], /^holds half of a surrogate pair/],
    [cyclic, Array<string>(100).fill('self'), /^is nested deeper than 100 levels or contains itself/],
  ])('refuses %p at %s', (value, path, reason) => {
    const refusal = toJsonbText(value);

    expect(refusal).toEqual({ path, reason: expect.stringMatching(reason) });
    expect(JSON.stringify(refusal)).not.toContain('secret');
  });
});
