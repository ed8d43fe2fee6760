import { describe, expect, it } from '@jest/globals';
import { readConfigDocument } from './config-document.js';

describe('a configuration document', () => {
  it.each([
    'a: {b: 1}',
    '} , other: [1',
    '# no comment',
    'line one\nkey: value',
    '&anchor *alias !!tag',
    '${OTHER}',
    '\u{E000}$OTHER\u{E001}',
    '"quotes" and \'others\'',
  ])('takes %j from the environment as a text that changes nothing else', (secret) => {
    const text = 'a: { b: ${SECRET}, c: "x-${SECRET}-y" }\nd: ${SECRET}\ne: [ ${SECRET} ]';
    expect(readConfigDocument(text, { SECRET: secret, OTHER: 'not to be seen' })).toEqual({
      value: { a: { b: secret, c: `x-${secret}-y` }, d: secret, e: [secret] },
      problems: [],
    });
  });

  it('does not look at references in comments', () => {
    expect(readConfigDocument('a: 1 # ${NOT_SET}\n', {})).toEqual({ value: { a: 1 }, problems: [] });
  });

  it('names every reference that has no value, with its path', () => {
    const { problems } = readConfigDocument('a: { b: ${ONE} }\nc: [ 1, ${TWO} ]\nd: ${NOT A NAME}', { TWO: '' });
    expect(problems).toEqual([
      { path: 'a.b', message: 'takes its value from the environment variable ONE, which is not set; set it' },
      { path: 'c[1]', message: 'takes its value from the environment variable TWO, which is not set; set it' },
      {
        path: 'd',
        message: 'has a reference ${...} that is not the name of an environment variable; give ${NAME}',
      },
    ]);
  });

  it.each([
    ['a: {b: 1\n', 'line 2, column 1'],
    ['a: 1\na: 2\n', 'line 2, column 1'],
    ['a: [${ONE}, }\n', 'line 1, column 13'],
    ['a: "s3cret\n', 'line 2, column 1'],
  ])('tells where %j stops being YAML, without showing the line', (text, path) => {
    const { problems } = readConfigDocument(text, { ONE: 's3cret' });
    expect(problems[0]?.path).toBe(path);
    expect(JSON.stringify(problems)).not.toContain('s3cret');
  });

  it('refuses aliases, which could multiply a file', () => {
    const { problems } = readConfigDocument('a: &x [1]\nb: *x\n', {});
    expect(problems).toEqual([
      { path: '(the whole file)', message: 'has a YAML alias (*name); give the value itself' },
    ]);
  });

  it('keeps keys that mean something to JavaScript plain keys', () => {
    const { value } = readConfigDocument('__proto__: { polluted: 1 }\nconstructor: 2', {});
    expect(Object.keys(value as object)).toEqual(['__proto__', 'constructor']);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});
