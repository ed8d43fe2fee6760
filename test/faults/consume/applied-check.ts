/** An event that was committed by its producer. */
export interface TrueEvent {
  readonly id: string;
  readonly key: string;
  /** 1, 2, 3 ... for each key, in commit order. */
  readonly version: number;
}

/** One effect of a handler, in the order in which the consumer's database took them per key. */
export interface Effect {
  readonly id: string;
  readonly key: string;
  readonly version: number;
  /** The version that the key had before, as the handler's own statement found it. */
  readonly previous: number;
}

/** What the consumer's database says of a key at its end. */
export interface KeyTotal {
  readonly key: string;
  readonly version: number;
  readonly effects: number;
}

/** The versions of each key that one reader saw at one moment. */
export type Reading = ReadonlyMap<string, readonly number[]>;

/** All that is held against what was committed. */
export interface AppliedHistory {
  readonly effects: readonly Effect[];
  readonly totals: readonly KeyTotal[];
  readonly readings: readonly Reading[];
}

/** What can be wrong with a history. `late`, `told` and `other` are found by the runs themselves. */
export const APPLIED_PROBLEM_KINDS = [
  'lost',
  'phantom',
  'twice',
  'order',
  'total',
  'prefix',
  'late',
  'told',
  'other',
] as const;
export type AppliedProblemKind = (typeof APPLIED_PROBLEM_KINDS)[number];

/** One broken promise, named so that it can be found. */
export interface AppliedProblem {
  readonly kind: AppliedProblemKind;
  readonly text: string;
}

/** How strict the check is. */
export interface AppliedCheckOptions {
  /** False where events were filled in later by hand: then only once-ness and totals are demanded. */
  readonly isOrdered: boolean;
}

/**
 * Holds what a consumer's database has against what was committed:
 *
 * - lost: a committed event without an effect; phantom: an effect of no committed event; twice: more than one effect
 * - order: the effects of a key are not its versions 1, 2, 3 ... without a hole
 * - total: the sums that the handlers keep beside the effects differ from them
 * - prefix: a reader saw versions of a key that are no beginning of the final list
 */
export function checkApplied(
  committed: readonly TrueEvent[],
  history: AppliedHistory,
  { isOrdered }: AppliedCheckOptions,
): AppliedProblem[] {
  const byKey = effectsByKey(history.effects);
  return [
    ...onceProblems(committed, history.effects),
    ...(isOrdered ? orderProblems(byKey) : []),
    ...totalProblems(byKey, history.totals),
    ...history.readings.flatMap((reading) => prefixProblems(reading, byKey)),
  ];
}

function onceProblems(committed: readonly TrueEvent[], effects: readonly Effect[]): AppliedProblem[] {
  const counts = new Map<string, number>();
  for (const { id } of effects) {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const known = new Set(committed.map(({ id }) => id));
  const lost = committed.filter(({ id }) => !counts.has(id));
  const phantoms = effects.filter(({ id }) => !known.has(id));
  const repeated = committed.filter(({ id }) => (counts.get(id) ?? 0) > 1);
  return [
    ...lost.map((event) => ({ kind: 'lost' as const, text: nameOf(event) })),
    ...phantoms.map((event) => ({ kind: 'phantom' as const, text: nameOf(event) })),
    ...repeated.map((event) => ({ kind: 'twice' as const, text: `${nameOf(event)}: ${counts.get(event.id)} effects` })),
  ];
}

function orderProblems(byKey: ReadonlyMap<string, readonly Effect[]>): AppliedProblem[] {
  const problems: AppliedProblem[] = [];
  for (const effects of byKey.values()) {
    const wrong = effects.find(({ version, previous }, index) => version !== index + 1 || previous !== index);
    if (wrong !== undefined) {
      const expected = effects.indexOf(wrong) + 1;
      const text = `${nameOf(wrong)} came after version ${wrong.previous}, where version ${expected} should`;
      problems.push({ kind: 'order', text });
    }
  }
  return problems;
}

function totalProblems(byKey: ReadonlyMap<string, readonly Effect[]>, totals: readonly KeyTotal[]): AppliedProblem[] {
  const known = new Map(totals.map((total) => [total.key, total]));
  const keys = new Set([...byKey.keys(), ...known.keys()]);
  return [...keys].flatMap((key) => {
    const effects = byKey.get(key) ?? [];
    const total = known.get(key);
    const isRight = total?.effects === effects.length && total.version === effects.at(-1)?.version;
    return isRight
      ? []
      : [{ kind: 'total' as const, text: `key ${key}: ${effects.length} effects, its row says ${textOf(total)}` }];
  });
}

function prefixProblems(reading: Reading, byKey: ReadonlyMap<string, readonly Effect[]>): AppliedProblem[] {
  return [...reading].flatMap(([key, versions]) => {
    const final = byKey.get(key) ?? [];
    const isPrefix = versions.every((version, index) => final[index]?.version === version);
    return isPrefix
      ? []
      : [{ kind: 'prefix' as const, text: `key ${key}: a reader saw ${versions.slice(-5).join()} last` }];
  });
}

function effectsByKey(effects: readonly Effect[]): Map<string, Effect[]> {
  const byKey = new Map<string, Effect[]>();
  for (const effect of effects) {
    const list = byKey.get(effect.key) ?? [];
    list.push(effect);
    byKey.set(effect.key, list);
  }
  return byKey;
}

function nameOf({ id, key, version }: TrueEvent): string {
  return `event ${id} (key ${key}, version ${version})`;
}

function textOf(total: KeyTotal | undefined): string {
  return total === undefined ? 'nothing' : `${total.effects} up to version ${total.version}`;
}
