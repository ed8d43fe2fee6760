import { describe, expect, it } from '@jest/globals';

import { hasPrototypeField } from './prototype-fields.js';

describe('a body with a field that is named like the prototype', () => {
  it.each(['{"__proto__":{}}', '{"a":[1,{"b":{"__proto__":null}}]}', String.raw`{"\u005f_proto__":1}`])(
    'is seen: %s',
    (text) => {
      expect(hasPrototypeField(JSON.parse(text))).toBe(true);
    },
  );

  it.each(['{}', 'null', '5', '"__proto__"', '{"a":"__proto__","proto":{"__proto":1}}', '[[["__proto__"]]]'])(
    'is not seen where there is none: %s',
    (text) => {
      expect(hasPrototypeField(JSON.parse(text))).toBe(false);
    },
  );

  it('is looked for as deep as a body can be', () => {
    const nested = (inner: string): unknown => JSON.parse(`${'['.repeat(5_000)}${inner}${']'.repeat(5_000)}`);
    expect(hasPrototypeField(nested('{"__proto__":1}'))).toBe(true);
    expect(hasPrototypeField(nested('{}'))).toBe(false);
  });
});
