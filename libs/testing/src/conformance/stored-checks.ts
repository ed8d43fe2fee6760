import { type Delivery, type SinkRecord } from '@millrace/transport';
import { grouped } from './grouped.js';
import { positionOf } from './sink-scene.js';

/** Throws an `Error` with this sentence unless the condition holds. */
export function demand(condition: boolean, sentence: string): asserts condition {
  if (!condition) {
    throw new Error(sentence);
  }
}

/** Throws unless each record is stored with every byte of it, and nothing else is. Returns how many copies are too many. */
export function demandAll(stored: readonly Delivery[], records: readonly SinkRecord[]): number {
  const copies = grouped(stored, positionOf);
  const missing = records.filter((record) => !copies.has(positionOf(record)));
  demand(missing.length === 0, `${missing.length} of ${records.length} acknowledged records are not stored.`);
  demand(copies.size === records.length, `${copies.size - records.length} records are stored that nobody sent.`);
  for (const record of records) {
    const changed = copies.get(positionOf(record))?.find((copy) => !isSame(record, copy));
    demand(changed === undefined, `A record was stored with another ${changed && difference(record, changed)}.`);
  }
  return stored.length - records.length;
}

/** Throws unless each record is stored once. */
export function demandOnce(stored: readonly Delivery[], records: readonly SinkRecord[]): void {
  const repeats = demandAll(stored, records);
  demand(repeats === 0, `${repeats} records are stored more than once.`);
}

/** Throws unless the first copies of each key's records are in the order of the records. */
export function demandOrder(stored: readonly Delivery[], records: readonly SinkRecord[]): void {
  const firsts = new Map<string, Delivery>();
  for (const delivery of stored) {
    const position = positionOf(delivery);
    if (!firsts.has(position)) {
      firsts.set(position, delivery);
    }
  }
  const found = grouped(firsts.values(), ({ key }) => String(key?.toString('hex')));
  for (const [key, sent] of grouped(records, (record) => record.key.toString('hex'))) {
    const expected = sent.map(positionOf).join();
    const actual = (found.get(key) ?? []).map(positionOf).join();
    demand(actual === expected, `A key's records were sent as ${expected} and are stored as ${actual}.`);
  }
}

function isSame(record: SinkRecord, stored: Delivery): boolean {
  return difference(record, stored) === null;
}

function difference(record: SinkRecord, stored: Delivery): string | null {
  if (stored.key?.equals(record.key) !== true) {
    return 'key';
  }
  if (stored.value?.equals(record.value) !== true) {
    return 'value';
  }
  const isEvery = record.headers.every(([name, value]) => stored.headers.get(name.toString())?.equals(value) === true);
  return isEvery && stored.headers.size === record.headers.length ? null : 'header';
}
