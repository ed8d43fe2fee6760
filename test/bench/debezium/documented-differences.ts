import { type Difference, type DocumentedDifference, fromJson } from './same-records.js';

/** Debezium's headers about itself, on every record. */
export const CONTEXT_HEADERS: DocumentedDifference = {
  name: "Debezium's context headers",
  explains: ({ field, ours }) => ours === null && field.startsWith('header __debezium.context.'),
};

/** Ours, on every record. */
export const OWN_HEADERS: DocumentedDifference = {
  name: "Millrace's own headers",
  explains: ({ field, theirs }) => theirs === null && /^header (schemaversion|millrace-.+)$/.test(field),
};

/** Debezium Server's `format.header` is JSON unless it is set: text comes in quotes, or in an object with its schema. */
export const HEADERS_AS_JSON: DocumentedDifference = {
  name: 'headers written as JSON',
  explains: ({ field, ours, theirs }) =>
    isHeader(field) && ours !== null && theirs !== null && fromJson(theirs) === ours,
};

/** A header of a column that is null: Debezium has it without a value, we have none. */
export const NULL_HEADERS: DocumentedDifference = {
  name: 'headers of a column that is null',
  explains: ({ field, ours, theirs }) =>
    isHeader(field) && ours === null && theirs !== null && (theirs === NO_VALUE || fromJson(theirs) === null),
};

/** Each has the time of its send, whatever column Debezium is told to take it from. */
export const TIMESTAMPS: DocumentedDifference = {
  name: 'timestamp of the record',
  explains: ({ field, ours, theirs }) =>
    field === 'timestamp' && Math.abs(Number(ours) - Number(theirs)) < APART_MS_MAX,
};

/** An id in a column of type text may have capitals, which uuid has not. */
export const CASE_OF_IDS: DocumentedDifference = {
  name: 'capital letters in an id',
  explains: ({ field, ours, theirs }) =>
    field === 'header id' && theirs !== null && fromJson(theirs)?.toLowerCase() === ours,
};

/** What the console consumer is told to print where a header has no value. */
const NO_VALUE = '\u001c';
/** Between two sends of the same run; columns with times have others. */
const APART_MS_MAX = 3_600_000;

/** Headers in the column `headers` of our own outbox, each of which goes on the record by its name. */
export function headersOfProducer(...names: readonly string[]): DocumentedDifference {
  return {
    name: 'headers of the producer',
    explains: ({ field, theirs }) => theirs === null && names.some((name) => field === `header ${name}`),
  };
}

/** A time without zone in a header: Debezium counts microseconds from 1970, we have it as PostgreSQL prints it. */
export function timesInHeaders(name: string): DocumentedDifference {
  return {
    name: 'times in headers',
    explains: ({ field, ours, theirs }) =>
      field === `header ${name}` && ours !== null && theirs !== null && microsecondsOf(ours) === fromJson(theirs),
  };
}

/**
 * JSON of another spelling: a column of type json or text is published as it was written by Debezium, and as jsonb prints
 * it by us. `printed`: what jsonb prints, by what was written.
 */
export function spellingOfJson(printed: ReadonlyMap<string, string>): DocumentedDifference {
  return {
    name: 'spelling of JSON',
    explains: ({ field, ours, theirs }: Difference) =>
      field === 'value' && ours !== null && theirs !== null && printed.get(theirs) === ours,
  };
}

function microsecondsOf(printed: string): string {
  const [, seconds = '', fraction = ''] = /^([^.]+)(?:\.(\d+))?$/.exec(printed) ?? [];
  return String((Date.parse(`${seconds.replace(' ', 'T')}Z`) / 1_000) * 1_000_000 + Number(fraction.padEnd(6, '0')));
}

function isHeader(field: string): boolean {
  return field.startsWith('header ');
}
