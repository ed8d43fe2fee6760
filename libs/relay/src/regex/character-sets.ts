import { type CharacterSet } from './regex-node.js';

type Range = readonly [first: number, last: number];

const CODE_MAX = 0x10_ff_ff;
const DIGITS: readonly Range[] = [ranged('0', '9')];
const WORDS: readonly Range[] = [ranged('0', '9'), ranged('A', 'Z'), ranged('_', '_'), ranged('a', 'z')];
const BLANKS: readonly Range[] = [ranged('\t', '\r'), ranged(' ', ' ')];
/** As in Java, and not as in JavaScript, all three are of ASCII. */
const NAMED: Readonly<Record<string, CharacterSet>> = {
  d: { ranges: DIGITS, isNegated: false },
  D: { ranges: DIGITS, isNegated: true },
  w: { ranges: WORDS, isNegated: false },
  W: { ranges: WORDS, isNegated: true },
  s: { ranges: BLANKS, isNegated: false },
  S: { ranges: BLANKS, isNegated: true },
};

/** `.`: anything but what Java takes for the end of a line. */
export const ANY: CharacterSet = {
  ranges: [ranged('\n', '\n'), ranged('\r', '\r'), ranged('\u0085', '\u0085'), ranged('\u2028', '\u2029')],
  isNegated: true,
};

/** One character. */
export function single(code: number): CharacterSet {
  return { ranges: [[code, code]], isNegated: false };
}

/** What a backslash and this character stand for; `null`: nothing that is known. */
export function escapedSet(character: string): CharacterSet | null {
  if (/^[!-/:-@[-`{-~ ]$/.test(character)) {
    return single(character.charCodeAt(0));
  }
  return Object.hasOwn(NAMED, character) ? (NAMED[character] ?? null) : null;
}

/** The class of all its members. */
export function characterSetOf(members: readonly (CharacterSet | Range)[], isNegated: boolean): CharacterSet {
  const ranges = members.flatMap((member) => ('ranges' in member ? rangesOf(member) : [member]));
  return { ranges, isNegated };
}

function rangesOf({ ranges, isNegated }: CharacterSet): readonly Range[] {
  if (!isNegated) {
    return ranges;
  }
  const others: Range[] = [];
  let next = 0;
  for (const [first, last] of ranges) {
    others.push([next, first - 1]);
    next = last + 1;
  }
  return [...others, [next, CODE_MAX] as const].filter(([first, last]) => first <= last);
}

function ranged(first: string, last: string): Range {
  return [first.charCodeAt(0), last.charCodeAt(0)];
}
