import { type ConsumedRecord } from '@millrace/testing';

/** A fault to be planted into right records, to show that the comparison finds it. */
export interface Control {
  readonly what: string;
  readonly plant: (records: readonly ConsumedRecord[]) => ConsumedRecord[];
}

/** What the comparison has to find in any scenario. */
export const CONTROLS: readonly Control[] = [
  changing('a value that is one space longer', ({ value }) => ({ value: `${value ?? ''} ` })),
  changing('a value that is missing', () => ({ value: null })),
  changing('another key', ({ key }) => ({ key: `${key ?? ''}.` })),
  changing('another topic', ({ topic }) => ({ topic: `${topic}.` })),
  changing('another id', ({ headers }) => ({ headers: { ...headers, id: '00000000-0000-4000-8000-000000000000' } })),
  changing('another event type', ({ headers }) => ({ headers: { ...headers, eventType: 'other' } })),
  changing('a header that is missing', ({ headers }) => ({ headers: without(headers, 'eventType') })),
  changing('a header that nobody named', ({ headers }) => ({ headers: { ...headers, other: '1' } })),
  { what: 'a record that is missing', plant: (records) => records.filter((_, index) => index !== middleOf(records)) },
  { what: 'a record that is there twice', plant: twice },
  { what: 'two records of one key in another order', plant: swapped },
];

function changing(what: string, change: (record: ConsumedRecord) => Partial<ConsumedRecord>): Control {
  return {
    what,
    plant: (records) =>
      records.map((record, index) => (index === middleOf(records) ? { ...record, ...change(record) } : record)),
  };
}

function without(headers: ConsumedRecord['headers'], name: string): ConsumedRecord['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
}

function middleOf(records: readonly ConsumedRecord[]): number {
  return Math.floor(records.length / 2);
}

function twice(records: readonly ConsumedRecord[]): ConsumedRecord[] {
  const record = records[middleOf(records)];
  const ends = records.map(({ offset }) => Number(offset));
  return record === undefined ? [] : [...records, { ...record, offset: BigInt(Math.max(...ends) + 1) }];
}

/** The last two of the first key that has two; throws where no key has. */
function swapped(records: readonly ConsumedRecord[]): ConsumedRecord[] {
  const last = new Map<string, ConsumedRecord>();
  for (const record of records) {
    const place = JSON.stringify([record.topic, record.key]);
    const before = last.get(place);
    if (before !== undefined) {
      const { offset } = before;
      const exchanged = new Map([
        [before, { ...before, offset: record.offset }],
        [record, { ...record, offset }],
      ]);
      return records.map((each) => exchanged.get(each) ?? each);
    }
    last.set(place, record);
  }
  throw new Error('No key has two records: their order cannot be compared.');
}
