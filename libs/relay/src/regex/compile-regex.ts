import { type CharacterSet, type RegexNode } from './regex-node.js';
import { RegexProblem } from './regex-problem.js';

/** One step of a compiled regular expression; the next one follows unless it says otherwise. */
export type RegexStep =
  | { readonly kind: 'character'; readonly set: CharacterSet }
  | { readonly kind: 'save'; readonly slot: number }
  | { kind: 'split'; first: number; second: number }
  | { kind: 'jump'; to: number }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }
  | { readonly kind: 'match' };

const STEPS_MAX = 2_000;

/** Throws `RegexProblem` when there are too many. */
export function compileRegex(node: RegexNode): readonly RegexStep[] {
  const steps: RegexStep[] = [];
  emit(node, steps);
  steps.push({ kind: 'match' });
  return steps;
}

function emit(node: RegexNode, steps: RegexStep[]): void {
  if (steps.length > STEPS_MAX) {
    throw new RegexProblem('is too large once its repetitions are written out');
  }
  if (node.kind === 'sequence') {
    for (const item of node.items) {
      emit(item, steps);
    }
  } else if (node.kind === 'choice') {
    emitChoice(node.options, steps);
  } else if (node.kind === 'repeat') {
    emitRepeat(node, steps);
  } else if (node.kind === 'group') {
    steps.push({ kind: 'save', slot: node.index * 2 });
    emit(node.item, steps);
    steps.push({ kind: 'save', slot: node.index * 2 + 1 });
  } else {
    steps.push(node);
  }
}

function emitChoice([first, ...others]: readonly RegexNode[], steps: RegexStep[]): void {
  if (first === undefined) {
    return;
  }
  if (others.length === 0) {
    emit(first, steps);
    return;
  }
  const split: RegexStep = { kind: 'split', first: steps.length + 1, second: 0 };
  steps.push(split);
  emit(first, steps);
  const jump: RegexStep = { kind: 'jump', to: 0 };
  steps.push(jump);
  split.second = steps.length;
  emitChoice(others, steps);
  jump.to = steps.length;
}

function emitRepeat({ item, min, max, isGreedy }: Extract<RegexNode, { kind: 'repeat' }>, steps: RegexStep[]): void {
  const begin = steps.length;
  for (let count = 0; count < min; count += 1) {
    emit(item, steps);
    if (steps.length === begin) {
      return; // of nothing, however often
    }
  }
  if (max === null) {
    const loop = steps.length;
    const leave = emitOptional(item, steps, isGreedy);
    steps.push({ kind: 'jump', to: loop });
    leave();
    return;
  }
  const leaves = Array.from({ length: max - min }, () => emitOptional(item, steps, isGreedy));
  leaves.forEach((leave) => {
    leave();
  });
}

/** What is returned sets where it goes on without the item: behind all steps that there are then. */
function emitOptional(item: RegexNode, steps: RegexStep[], isGreedy: boolean): () => void {
  const split: RegexStep = { kind: 'split', first: steps.length + 1, second: steps.length + 1 };
  steps.push(split);
  emit(item, steps);
  return () => {
    split[isGreedy ? 'second' : 'first'] = steps.length;
  };
}
