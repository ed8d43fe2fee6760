import { ANY, characterSetOf, escapedSet, single } from './character-sets.js';
import { type CharacterSet, type RegexGroups, type RegexNode } from './regex-node.js';
import { RegexProblem, unsupported } from './regex-problem.js';

const LENGTH_MAX = 500;
const COUNT_MAX = 100;
const GROUP_NAME = /^[A-Za-z][A-Za-z0-9]*$/;
const COUNTS = /^\{(\d{1,3})(?:(,)(\d{1,3})?)?\}/;

/** What a regular expression is, and its groups. */
export interface ParsedRegex {
  readonly node: RegexNode;
  readonly groups: RegexGroups;
}

/**
 * Reads the part of Java's regular expressions that can be matched in one pass over the text: characters, `.`, classes,
 * `\d \w \s` and their opposites, groups (plain, named, not capturing), `|`, `* + ? {n,m}`, greedy or lazy, `^` and `$`.
 * Throws `RegexProblem` for anything else: above all back-references and look-around, which need backtracking.
 */
export function parseRegex(source: string): ParsedRegex {
  if (source.length > LENGTH_MAX) {
    throw new RegexProblem(`has ${source.length} characters; at most ${LENGTH_MAX} are allowed`);
  }
  return new RegexParser(source).parse();
}

class RegexParser {
  private at = 0;
  private groups = 0;
  private readonly names = new Map<string, number>();

  constructor(private readonly source: string) {}

  parse(): ParsedRegex {
    const node = this.choice();
    if (this.at < this.source.length) {
      throw this.problem('closes a group that was not opened');
    }
    return { node, groups: { count: this.groups, names: this.names } };
  }

  private choice(): RegexNode {
    const options = [this.sequence()];
    while (this.take('|')) {
      options.push(this.sequence());
    }
    const [only] = options;
    return only !== undefined && options.length === 1 ? only : { kind: 'choice', options };
  }

  private sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (this.at < this.source.length && !this.sees('|') && !this.sees(')')) {
      items.push(this.quantified(this.atom()));
    }
    return { kind: 'sequence', items };
  }

  private atom(): RegexNode {
    if (this.take('(')) {
      return this.group();
    }
    if (this.take('[')) {
      return { kind: 'character', set: this.characterClass() };
    }
    if (this.take('.')) {
      return { kind: 'character', set: ANY };
    }
    if (this.take('^')) {
      return { kind: 'start' };
    }
    if (this.take('$')) {
      return { kind: 'end' };
    }
    if (/[*+?{]/.test(this.source.charAt(this.at))) {
      throw this.problem('repeats nothing');
    }
    const set = this.take('\\') ? this.escape() : single(this.character());
    return { kind: 'character', set };
  }

  private group(): RegexNode {
    const index = this.opensGroup();
    const item = this.choice();
    if (!this.take(')')) {
      throw this.problem('lacks the end of a group');
    }
    return index === null ? item : { kind: 'group', item, index };
  }

  /** The number of the group that begins here; `null`: it does not capture. */
  private opensGroup(): number | null {
    if (!this.take('?')) {
      this.groups += 1;
      return this.groups;
    }
    if (this.take(':')) {
      return null;
    }
    if (!this.take('<') || this.sees('=') || this.sees('!')) {
      throw unsupported('a look-around, an atomic group or a flag', this.at);
    }
    const end = this.source.indexOf('>', this.at);
    const name = this.source.slice(this.at, end);
    if (end === -1 || !GROUP_NAME.test(name) || this.names.has(name)) {
      throw this.problem('has a group whose name is taken, or no letter with letters and digits');
    }
    this.at = end + 1;
    this.groups += 1;
    this.names.set(name, this.groups);
    return this.groups;
  }

  private quantified(item: RegexNode): RegexNode {
    const counts = this.counts();
    if (counts === null) {
      return item;
    }
    if (item.kind === 'start' || item.kind === 'end') {
      throw this.problem('repeats an anchor');
    }
    const isGreedy = !this.take('?');
    if (/^[*+?{]/.test(this.source.slice(this.at))) {
      throw unsupported('a possessive or doubled quantifier', this.at);
    }
    return { kind: 'repeat', item, ...counts, isGreedy };
  }

  private counts(): { readonly min: number; readonly max: number | null } | null {
    if (this.take('*')) {
      return { min: 0, max: null };
    }
    if (this.take('+')) {
      return { min: 1, max: null };
    }
    if (this.take('?')) {
      return { min: 0, max: 1 };
    }
    return this.sees('{') ? this.braces() : null;
  }

  private braces(): { readonly min: number; readonly max: number | null } {
    const [text, least, comma, most] = COUNTS.exec(this.source.slice(this.at)) ?? [];
    const min = Number(least);
    const max = comma === undefined ? min : most === undefined ? null : Number(most);
    if (text === undefined || min > COUNT_MAX || (max !== null && (max > COUNT_MAX || max < min))) {
      throw this.problem(`has braces that are no {n}, {n,} or {n,m} of at most ${COUNT_MAX}`);
    }
    this.at += text.length;
    return { min, max };
  }

  private characterClass(): CharacterSet {
    const isNegated = this.take('^');
    const members: (CharacterSet | readonly [number, number])[] = [];
    while (!this.sees(']')) {
      if (this.at >= this.source.length || this.sees('[') || this.source.startsWith('&&', this.at)) {
        throw unsupported('a class that has no end, or another class in it,', this.at);
      }
      members.push(this.classMember());
    }
    this.at += 1;
    if (members.length === 0) {
      throw this.problem('has an empty class');
    }
    return characterSetOf(members, isNegated);
  }

  private classMember(): CharacterSet | readonly [number, number] {
    const first = this.classCharacter();
    const isRange = this.sees('-') && this.source.charAt(this.at + 1) !== ']' && this.at + 1 < this.source.length;
    if (typeof first !== 'number' || !isRange) {
      return typeof first === 'number' ? [first, first] : first;
    }
    this.at += 1;
    const last = this.classCharacter();
    if (typeof last !== 'number' || last < first) {
      throw this.problem('has a class with a range that ends before it begins');
    }
    return [first, last];
  }

  private classCharacter(): CharacterSet | number {
    if (!this.take('\\')) {
      return this.character();
    }
    const set = this.escape();
    const [range] = set.ranges;
    return range !== undefined && range[0] === range[1] ? range[0] : set;
  }

  private escape(): CharacterSet {
    const set = escapedSet(this.source.charAt(this.at));
    if (set === null) {
      throw unsupported(
        'a back-reference, a boundary or another escape than \\d \\w \\s \\D \\W \\S and punctuation',
        this.at,
      );
    }
    this.at += 1;
    return set;
  }

  /** The next code point. */
  private character(): number {
    const code = this.source.codePointAt(this.at) ?? 0;
    this.at += code > 0xff_ff ? 2 : 1;
    return code;
  }

  private sees(character: string): boolean {
    return this.source.charAt(this.at) === character;
  }

  private take(character: string): boolean {
    const isThere = this.sees(character);
    this.at += isThere ? 1 : 0;
    return isThere;
  }

  private problem(what: string): RegexProblem {
    return new RegexProblem(`${what}, at character ${this.at + 1}`);
  }
}
