import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { LinearRegex, type RegexMatch } from './linear-regex.js';
import { RegexProblem } from './regex-problem.js';

function groupsOf(match: RegexMatch | null, count: number): (string | null)[] | null {
  return match === null ? null : Array.from({ length: count + 1 }, (_, index) => match.group(index));
}

/** What JavaScript says, which for these expressions says what Java does. */
function expected(source: string, text: string): { readonly isMatch: boolean; readonly start: unknown } {
  const found = new RegExp(`(?:${source})`, 'uy').exec(text);
  return {
    isMatch: new RegExp(`^(?:${source})$`, 'u').test(text),
    start: found === null ? null : [...found].map((group: string | undefined) => group ?? null),
  };
}

function actual(source: string, text: string): { readonly isMatch: boolean; readonly start: unknown } {
  const regex = new LinearRegex(source);
  return { isMatch: regex.isMatch(text), start: groupsOf(regex.matchStart(text), regex.groups.count) };
}

function problemOf(source: string): string {
  try {
    new LinearRegex(source);
  } catch (error) {
    if (error instanceof RegexProblem) {
      return error.message;
    }
    throw error;
  }
  return 'none';
}

const LEAVES = ['a', 'b', '.', '-', '\\.', '[ab]', '[^a]', '[a-c.-]', '\\d', '\\w', '[\\w.]', '(?:)', '1', 'é', '😀'];

/** Capturing groups are not repeated here: in JavaScript a further round forgets them, in Java it does not. */
const { piece } = fc.letrec<{ piece: string; plain: string }>((tie) => ({
  plain: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...LEAVES),
    fc.tuple(tie('plain'), tie('plain')).map(([a, b]) => a + b),
    fc.tuple(tie('plain'), tie('plain')).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(
        fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{1,}', '{0,2}', '{1,3}?'),
        fc.constantFrom(...LEAVES),
      )
      .filter(([, leaf]) => leaf !== '(?:)')
      .map(([count, leaf]) => leaf + count),
    fc.tuple(fc.constantFrom('*', '+?', '{2}'), tie('plain')).map(([count, item]) => `(?:a${item})${count}`),
  ),
  piece: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('plain'),
    tie('plain').map((item) => `(${item})`),
    fc.tuple(tie('piece'), tie('piece')).map(([a, b]) => a + b),
    fc.tuple(tie('piece'), tie('piece')).map(([a, b]) => `(?:${a}|${b})`),
    tie('piece').map((item) => `(${item})`),
    tie('piece').map((item) => `^${item}$`),
  ),
}));

const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '.', '-', 'é', '😀', '\n'), maxLength: 12 });

describe('a linear regular expression', () => {
  it('matches, and finds the groups, as one that backtracks does', () => {
    fc.assert(
      fc.property(piece, text, (source, given) => {
        expect(actual(source, given)).toEqual(expected(source, given));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['(?<routedByValue>.*)', 'order', ['order', 'order']],
    ['(.*)\\.(.*)', 'shop.order.v1', ['shop.order.v1', 'shop.order', 'v1']],
    ['(.*?)\\.(.*)', 'shop.order.v1', ['shop.order.v1', 'shop', 'order.v1']],
    ['a|ab', 'ab', ['a']],
    ['(a)|(b)', 'b', ['b', null, 'b']],
    ['[\\]\\-^]+', ']-^', [']-^']],
    ['[a-]b', '-b', ['-b']],
    ['\\Qa', 'Qa', null],
  ])('finds the groups of %s', (source, given, groups) => {
    if (groups === null) {
      expect(problemOf(source)).toContain('another escape');
    } else {
      const regex = new LinearRegex(source);
      expect(groupsOf(regex.matchStart(given), regex.groups.count)).toEqual(groups);
    }
  });

  it('knows the names of its groups', () => {
    const { groups } = new LinearRegex('(?<a>x)(y)(?:z)(?<b2>.)');
    expect([groups.count, [...groups.names]]).toEqual([
      3,
      [
        ['a', 1],
        ['b2', 3],
      ],
    ]);
  });

  it.each([
    ['(x+x+)+y', 'x'.repeat(20_000)],
    ['(.*a){20}', 'a'.repeat(5_000)],
    ['(a|a)*b', 'a'.repeat(20_000)],
    ['(a*)*(a*)*b', 'a'.repeat(20_000)],
    ['((((.*)*)*)*)*x', 'a'.repeat(20_000)],
  ])('of the kind that ruins one that backtracks, %s, is over in time', (source, given) => {
    const startedMs = performance.now();
    new LinearRegex(source).isMatch(given);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it.each([
    ['(a)\\1', 'a back-reference'],
    ['(?=a)b', 'a look-around'],
    ['(?<!a)b', 'a look-around'],
    ['(?>a)', 'a look-around, an atomic group or a flag'],
    ['(?i)a', 'a flag at character 3'],
    ['a*+', 'a possessive or doubled quantifier at character 3'],
    ['a**', 'a possessive or doubled quantifier'],
    ['\\bword', 'a boundary'],
    ['\\p{L}', 'another escape'],
    ['[[:alpha:]]', 'another class in it'],
    ['[a&&b]', 'another class in it'],
    ['[ab', 'a class that has no end'],
    ['[]', 'an empty class'],
    ['[b-a]', 'a range that ends before it begins'],
    ['(a', 'lacks the end of a group'],
    ['a)', 'closes a group that was not opened, at character 2'],
    ['*a', 'repeats nothing, at character 1'],
    ['a{,3}', 'braces that are no'],
    ['a{3,1}', 'braces that are no'],
    ['a{999}', 'braces that are no'],
    ['(?<1>a)', 'a group whose name'],
    ['(?<a>a)(?<a>b)', 'a group whose name'],
    ['^*', 'repeats an anchor'],
    ['((a{100}){100}){100}', 'too large'],
    ['(((((.{100}){100}){100}){100}){100}){100}', 'too large'],
    ['x'.repeat(501), 'has 501 characters'],
  ])('refuses %s', (source, problem) => {
    expect(problemOf(source)).toContain(problem);
  });

  it.each([
    [`${'(?:'.repeat(9)}${'){100}'.repeat(9)}`, false],
    ['.*', true],
    ['(?<routedByValue>.*)', true],
    ['((?:(.*)))', true],
    ['(.*?)', false],
    ['(.+)', false],
    ['.*x', false],
    ['(.*)|x', false],
  ])('knows whether %s matches whatever there is', (source, isUniversal) => {
    expect(new LinearRegex(source).isUniversal).toBe(isUniversal);
  });
});
