import { describe, expect, it } from '@jest/globals';

import { etagOf, parseIfMatch, requireMatch } from './etag.js';
import { ProblemError } from './http.errors.js';

function refusalOf(work: () => unknown): string {
  try {
    work();
    return 'passed';
  } catch (error) {
    return error instanceof ProblemError ? `${error.status} ${error.code}` : String(error);
  }
}

describe('If-Match', () => {
  it.each<[string | undefined, unknown]>([
    [undefined, { kind: 'none' }],
    ['*', { kind: 'exists' }],
    [' * ', { kind: 'exists' }],
    ['"7"', { kind: 'one-of', etags: ['"7"'] }],
    ['"6", W/"7" ,"a,b"', { kind: 'one-of', etags: ['"6"', 'W/"7"', '"a,b"'] }],
  ])('is read from %j', (header, precondition) => {
    expect(parseIfMatch(header)).toEqual(precondition);
  });

  it.each(['', '7', '"7', '"7" "8"', '"7",', '*, "7"', '"a"b"'])('is refused where it is %j', (header) => {
    expect(refusalOf(() => parseIfMatch(header))).toBe('400 invalid-request');
  });

  it('is read in linear time, however long a caller makes it', () => {
    expect(refusalOf(() => parseIfMatch(`${'"a" , '.repeat(10_000)}x`))).toBe('400 invalid-request');
  });
});

describe('a precondition', () => {
  const current = etagOf(7);

  it.each<[string | undefined, string | null, string]>([
    [undefined, null, 'passed'],
    [undefined, current, '428 precondition-required'],
    ['*', current, 'passed'],
    ['*', null, '412 precondition-failed'],
    ['"7"', current, 'passed'],
    ['"6", "7"', current, 'passed'],
    ['"6"', current, '412 precondition-failed'],
    ['W/"7"', current, '412 precondition-failed'],
    ['"7"', null, '412 precondition-failed'],
  ])('If-Match %j of a resource %j: %s', (header, etag, outcome) => {
    expect(
      refusalOf(() => {
        requireMatch(parseIfMatch(header), etag);
      }),
    ).toBe(outcome);
  });
});
