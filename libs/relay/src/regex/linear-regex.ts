import { ANY } from './character-sets.js';
import { compileRegex, type RegexStep } from './compile-regex.js';
import { parseRegex } from './parse-regex.js';
import { isInSet, type RegexGroups, type RegexNode } from './regex-node.js';

/** Where each group began and ended, the whole match first. */
type Saved = readonly (number | undefined)[];

/** A place in the steps, with the groups that were met on the way. */
interface Thread {
  readonly step: number;
  readonly saved: Saved;
}

/** What was matched, from the beginning of the text; groups count from 1, group 0 is all of it. */
export interface RegexMatch {
  readonly end: number;
  /** `null`: the group took no part. */
  group(index: number): string | null;
}

/**
 * A regular expression that is matched in time linear in the text (all alternatives side by side, never back), so that
 * none that stands in a configuration can hold up a process. Of the alternatives the same one wins as in Java and Perl.
 */
export class LinearRegex {
  readonly groups: RegexGroups;
  /** Matches every text without the end of a line, and always all of it. */
  readonly isUniversal: boolean;
  private readonly steps: readonly RegexStep[];

  /** Throws `RegexProblem`. */
  constructor(source: string) {
    const { node, groups } = parseRegex(source);
    this.groups = groups;
    this.isUniversal = isUniversal(node);
    this.steps = compileRegex(node);
  }

  /** Java's `matches()`. */
  isMatch(text: string): boolean {
    return this.run(text, true) !== null;
  }

  /** Java's `find()`, for a match that begins with the text. */
  matchStart(text: string): RegexMatch | null {
    const saved = this.run(text, false);
    return saved === null ? null : { end: saved[1] ?? 0, group: (index) => textOf(text, saved, index) };
  }

  /** `isWhole`: only a match that ends with the text counts. */
  private run(text: string, isWhole: boolean): Saved | null {
    const saved: Saved = new Array<undefined>(2 * this.groups.count + 2).fill(undefined);
    let threads = this.follow([{ step: 0, saved: saved.with(0, 0) }], 0, text);
    let best: Saved | null = null;
    for (let at = 0; threads.length > 0;) {
      const code = text.codePointAt(at);
      const ended = isWhole && code !== undefined ? -1 : threads.findIndex(({ step }) => this.isEnd(step));
      best = threads[ended]?.saved.with(1, at) ?? best;
      // what ranks below a match is given up
      const ahead = ended === -1 ? threads : threads.slice(0, ended);
      at += code !== undefined && code > 0xff_ff ? 2 : 1;
      threads = code === undefined ? [] : this.follow(this.read(code, ahead), at, text);
    }
    return best;
  }

  private isEnd(step: number): boolean {
    return this.steps[step]?.kind === 'match';
  }

  /** The threads that take the character, each a step farther. */
  private read(code: number, threads: readonly Thread[]): readonly Thread[] {
    return threads.flatMap(({ step, saved }) => {
      const met = this.steps[step];
      return met?.kind === 'character' && isInSet(met.set, code) ? [{ step: step + 1, saved }] : [];
    });
  }

  /** All places that can be reached without a character, each once, the preferred ones first. */
  private follow(from: readonly Thread[], at: number, text: string): readonly Thread[] {
    const met = new Set<number>();
    const reached: Thread[] = [];
    const todo = [...from].reverse();
    for (let thread = todo.pop(); thread !== undefined; thread = todo.pop()) {
      const step = this.steps[thread.step];
      if (step === undefined || met.has(thread.step)) {
        continue;
      }
      met.add(thread.step);
      if (step.kind === 'character' || step.kind === 'match') {
        reached.push(thread);
      } else {
        todo.push(...passed(step, thread, { at, isEnd: at === text.length }));
      }
    }
    return reached;
  }
}

/** Where a thread goes on that has met a step which takes no character, the preferred place last. */
function passed(
  met: Exclude<RegexStep, { kind: 'character' | 'match' }>,
  { step, saved }: Thread,
  { at, isEnd }: { readonly at: number; readonly isEnd: boolean },
): readonly Thread[] {
  switch (met.kind) {
    case 'split':
      return [
        { step: met.second, saved },
        { step: met.first, saved },
      ];
    case 'jump':
      return [{ step: met.to, saved }];
    case 'save':
      return [{ step: step + 1, saved: saved.with(met.slot, at) }];
    case 'start':
      return at === 0 ? [{ step: step + 1, saved }] : [];
    case 'end':
      return isEnd ? [{ step: step + 1, saved }] : [];
  }
}

function textOf(text: string, saved: Saved, index: number): string | null {
  const [from, to] = [saved[index * 2], saved[index * 2 + 1]];
  return from === undefined || to === undefined ? null : text.slice(from, to);
}

/** `.*`, however many groups are around it. */
function isUniversal(node: RegexNode): boolean {
  if (node.kind === 'group') {
    return isUniversal(node.item);
  }
  if (node.kind === 'sequence') {
    return node.items.length === 1 && node.items.every(isUniversal);
  }
  return node.kind === 'repeat' && node.isGreedy && node.min === 0 && node.max === null && isAny(node.item);
}

function isAny(node: RegexNode): boolean {
  return node.kind === 'character' && node.set === ANY;
}
