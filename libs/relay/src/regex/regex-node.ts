/** Characters as closed ranges of code points. */
export interface CharacterSet {
  readonly ranges: readonly (readonly [first: number, last: number])[];
  readonly isNegated: boolean;
}

/** A regular expression as it was read. */
export type RegexNode =
  | { readonly kind: 'character'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly options: readonly RegexNode[] }
  | {
      readonly kind: 'repeat';
      readonly item: RegexNode;
      readonly min: number;
      /** `null`: any number of times. */
      readonly max: number | null;
      readonly isGreedy: boolean;
    }
  /** `index` counts from 1 in the order of the opening parentheses. */
  | { readonly kind: 'group'; readonly item: RegexNode; readonly index: number }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' };

/** The groups of a regular expression. */
export interface RegexGroups {
  readonly count: number;
  readonly names: ReadonlyMap<string, number>;
}

/** Whether a code point is in the set. */
export function isInSet({ ranges, isNegated }: CharacterSet, code: number): boolean {
  return ranges.some(([first, last]) => first <= code && code <= last) !== isNegated;
}
