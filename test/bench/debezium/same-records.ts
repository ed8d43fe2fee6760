import { type ConsumedRecord } from '@millrace/testing';

/** One field of one event that the two have published with another content; `null`: it is not there. */
export interface Difference {
  readonly id: string;
  /** `topic`, `partition`, `key`, `value`, `timestamp`, or `header ` and its name. */
  readonly field: string;
  readonly ours: string | null;
  readonly theirs: string | null;
}

/** A kind of difference that the documentation names. */
export interface DocumentedDifference {
  readonly name: string;
  explains(difference: Difference): boolean;
}

/** Where two relays of the same rows have published the same, and where not. */
export interface Comparison {
  /** Events that each has published once. */
  readonly records: number;
  readonly topics: number;
  /** Keys of all topics. */
  readonly keys: number;
  /** In how many of the records these are the same, byte for byte. */
  readonly equal: Readonly<Record<(typeof COMPARED)[number], number>>;
  /** By id: in one of them only, or more than once. */
  readonly missing: readonly string[];
  /** Differences that the documentation does not name. */
  readonly different: readonly Difference[];
  /** Keys whose ids come in another order. */
  readonly reordered: readonly string[];
  /** By the names of the documented differences. */
  readonly documented: ReadonlyMap<string, SeenDifference>;
}

/** In how many records a documented difference is, and the first of them. */
export interface SeenDifference {
  readonly records: number;
  readonly example: Difference | null;
}

/** What the records are counted by; differences are looked for in their headers and timestamps, too. */
export const COMPARED = ['topic', 'partition', 'key', 'value'] as const;

interface Pair {
  readonly id: string;
  readonly mine: ConsumedRecord;
  readonly yours: ConsumedRecord;
}

/** Holds what we have published against what Debezium has, record by record and field by field. */
export function compareRecords(
  ours: readonly ConsumedRecord[],
  theirs: readonly ConsumedRecord[],
  documented: readonly DocumentedDifference[],
): Comparison {
  const [own, other] = [byId(ours), byId(theirs)];
  const pairs = [...own].flatMap(([id, [mine]]) => {
    const [yours] = other.get(id) ?? [];
    return mine === undefined || yours === undefined ? [] : [{ id, mine, yours }];
  });
  const equal = (field: (typeof COMPARED)[number]): number =>
    pairs.filter(({ mine, yours }) => mine[field] === yours[field]).length;
  const [ownOrder, otherOrder] = [idsOfKeys(ours), idsOfKeys(theirs)];
  const missing = [...new Set([...own.keys(), ...other.keys()])].filter(
    (id) => own.get(id)?.length !== 1 || other.get(id)?.length !== 1,
  );
  return {
    records: pairs.filter(({ id }) => own.get(id)?.length === 1 && other.get(id)?.length === 1).length,
    topics: new Set(ours.map(({ topic }) => topic)).size,
    keys: ownOrder.size,
    equal: { topic: equal('topic'), partition: equal('partition'), key: equal('key'), value: equal('value') },
    missing,
    reordered: [...ownOrder].filter(([key, ids]) => ids.join() !== otherOrder.get(key)?.join()).map(([key]) => key),
    ...sorted(pairs.flatMap(differencesOf), documented),
  };
}

/** Whether nothing differs but what is documented, and all that is documented was seen. */
export function isSame(comparison: Comparison): boolean {
  const { records, missing, different, reordered, documented } = comparison;
  const isStale = [...documented.values()].some((seen) => seen.records === 0);
  return records > 0 && missing.length + different.length + reordered.length === 0 && !isStale;
}

/** The id of an event, in lower case as uuid has it; Debezium may have put it into quotes, or into an object. */
export function idOf({ headers }: ConsumedRecord): string {
  return (fromJson(headers['id'] ?? '') ?? '').toLowerCase();
}

/** The bare text of a header that Debezium writes as JSON, with or without its schema; `null` for JSON's null. */
export function fromJson(text: string): string | null {
  if (!/^(["{]|null$)/.test(text)) {
    return text;
  }
  const said: unknown = JSON.parse(text);
  const bare: unknown = typeof said === 'object' && said !== null ? Reflect.get(said, 'payload') : said;
  return bare === null ? null : typeof bare === 'string' ? bare : JSON.stringify(bare);
}

function sorted(
  differences: readonly Difference[],
  documented: readonly DocumentedDifference[],
): Pick<Comparison, 'different' | 'documented'> {
  const found = differences.map((difference) => documented.find((each) => each.explains(difference)));
  const seen = documented.map((each): [string, SeenDifference] => {
    const [example = null, ...others] = differences.filter((_, index) => found[index] === each);
    const ids = new Set([example, ...others].flatMap((difference) => difference?.id ?? []));
    return [each.name, { records: ids.size, example }];
  });
  return { different: differences.filter((_, index) => found[index] === undefined), documented: new Map(seen) };
}

function differencesOf({ id, mine, yours }: Pair): Difference[] {
  const [own, other] = [fieldsOf(mine), fieldsOf(yours)];
  return [...new Set([...own.keys(), ...other.keys()])]
    .map((field) => ({ id, field, ours: own.get(field) ?? null, theirs: other.get(field) ?? null }))
    .filter(({ ours, theirs }) => ours !== theirs);
}

function fieldsOf({ topic, partition, key, value, timestampMs, headers }: ConsumedRecord): Map<string, string | null> {
  return new Map([
    ['topic', topic],
    ['partition', String(partition)],
    ['key', key],
    ['value', value],
    ['timestamp', String(timestampMs)],
    ...Object.entries(headers).map(([name, text]): [string, string] => [`header ${name}`, text]),
  ]);
}

/** The ids of each key, in the order of the log. */
function idsOfKeys(records: readonly ConsumedRecord[]): Map<string, string[]> {
  const logged = [...records].sort((a, b) => a.partition - b.partition || (a.offset < b.offset ? -1 : 1));
  const grouped = groupedBy(logged, ({ topic, key }) => JSON.stringify([topic, key]));
  return new Map([...grouped].map(([key, of]) => [key, of.map(idOf)]));
}

function byId(records: readonly ConsumedRecord[]): Map<string, ConsumedRecord[]> {
  return groupedBy(records, idOf);
}

function groupedBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const name = nameOf(item);
    const group = groups.get(name) ?? [];
    group.push(item);
    groups.set(name, group);
  }
  return groups;
}
