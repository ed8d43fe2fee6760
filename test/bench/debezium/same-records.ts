import { type ConsumedRecord } from '@millrace/testing';

/** Where two relays of the same outbox have published something else. */
export interface Comparison {
  readonly records: number;
  readonly keys: number;
  /** By id: in one of them only, or more than once. */
  readonly missing: readonly string[];
  /** Another topic, partition, key, value, event type or version, by id. */
  readonly different: readonly string[];
  /** Keys whose ids come in another order. */
  readonly reordered: readonly string[];
  /** Names of headers that only one of the two has. */
  readonly onlyOurs: readonly string[];
  readonly onlyTheirs: readonly string[];
}

/** Must be the same in both. A value that Debezium writes as JSON, with or without its schema, counts as what it says. */
const SAME_HEADERS = ['eventType', 'aggregateversion'];

/** Holds what we have published against what Debezium has, record by record. */
export function compareRecords(ours: readonly ConsumedRecord[], theirs: readonly ConsumedRecord[]): Comparison {
  const own = byId(ours);
  const other = byId(theirs);
  const both = [...own].flatMap(([id, [mine]]) => {
    const [yours] = other.get(id) ?? [];
    return mine === undefined || yours === undefined ? [] : [{ id, mine, yours }];
  });
  const [ownOrder, otherOrder] = [orderOfKeys(ours), orderOfKeys(theirs)];
  return {
    records: both.length,
    keys: ownOrder.size,
    missing: [...new Set([...own.keys(), ...other.keys()])].filter(
      (id) => own.get(id)?.length !== 1 || other.get(id)?.length !== 1,
    ),
    different: both.filter(({ mine, yours }) => contentOf(mine) !== contentOf(yours)).map(({ id }) => id),
    reordered: [...ownOrder].filter(([key, ids]) => ids.join() !== otherOrder.get(key)?.join()).map(([key]) => key),
    onlyOurs: namesOnlyIn(ours, theirs),
    onlyTheirs: namesOnlyIn(theirs, ours),
  };
}

function byId(records: readonly ConsumedRecord[]): Map<string, ConsumedRecord[]> {
  return groupedBy(records, (record) => headerOf(record, 'id'));
}

function contentOf(record: ConsumedRecord): string {
  const { topic, partition, key, value } = record;
  return JSON.stringify([topic, partition, key, value, ...SAME_HEADERS.map((name) => headerOf(record, name))]);
}

/** The ids of each key, in the order of the log. */
function orderOfKeys(records: readonly ConsumedRecord[]): Map<string, string[]> {
  const sorted = [...records].sort((a, b) => a.partition - b.partition || (a.offset < b.offset ? -1 : 1));
  const grouped = groupedBy(sorted, ({ topic, key }) => `${topic} ${key ?? ''}`);
  return new Map([...grouped].map(([key, of]) => [key, of.map((record) => headerOf(record, 'id'))]));
}

function headerOf({ headers }: ConsumedRecord, name: string): string {
  const text = headers[name] ?? '';
  if (!/^["{]/.test(text)) {
    return text;
  }
  const said: unknown = JSON.parse(text);
  return String(typeof said === 'object' ? Reflect.get(Object(said), 'payload') : said);
}

function namesOnlyIn(some: readonly ConsumedRecord[], others: readonly ConsumedRecord[]): string[] {
  const names = (records: readonly ConsumedRecord[]): Set<string> =>
    new Set(records.flatMap(({ headers }) => Object.keys(headers)));
  const elsewhere = names(others);
  return [...names(some)].filter((name) => !elsewhere.has(name)).sort();
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
