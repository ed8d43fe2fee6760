import { describe, expect, it } from '@jest/globals';
import {
  CASE_OF_IDS,
  CONTEXT_HEADERS,
  HEADERS_AS_JSON,
  headersOfProducer,
  NULL_HEADERS,
  OWN_HEADERS,
  spellingOfJson,
  TIMESTAMPS,
  timesInHeaders,
} from './documented-differences.js';
import { type Difference, type DocumentedDifference } from './same-records.js';

const HOUR_MS = 3_600_000;
const TIMES = timesInHeaders('placedAt');
const SPELLING = spellingOfJson(new Map([['{"a":1}', '{"a": 1}']]));
const PRODUCERS = headersOfProducer('tenant');

function isExplained(by: DocumentedDifference, field: string, ours: string | null, theirs: string | null): boolean {
  const difference: Difference = { id: 'a', field, ours, theirs };
  return by.explains(difference);
}

describe('a documented difference', () => {
  it.each<[DocumentedDifference, string, string | null, string | null]>([
    [CONTEXT_HEADERS, 'header __debezium.context.taskId', null, '"0"'],
    [OWN_HEADERS, 'header schemaversion', '1', null],
    [OWN_HEADERS, 'header millrace-position', '7', null],
    [HEADERS_AS_JSON, 'header tenant', 'grün "€"', '"grün \\"€\\""'],
    [HEADERS_AS_JSON, 'header attempt', '-5', '{"schema":{"type":"int32"},"payload":-5}'],
    [NULL_HEADERS, 'header tenant', null, '{"schema":null,"payload":null}'],
    [NULL_HEADERS, 'header tenant', null, '\u001c'],
    [TIMESTAMPS, 'timestamp', '1000', '1001'],
    [CASE_OF_IDS, 'header id', 'ab', '"AB"'],
    [PRODUCERS, 'header tenant', 'blue', null],
    [TIMES, 'header placedAt', '1970-01-02 00:00:01.000007', '86401000007'],
    [TIMES, 'header placedAt', '2017-11-22 07:02:24.5', '{"payload":1511334144500000}'],
    [SPELLING, 'value', '{"a": 1}', '{"a":1}'],
  ])('is %j in %s', (by, field, ours, theirs) => {
    expect(isExplained(by, field, ours, theirs)).toBe(true);
  });

  it.each<[DocumentedDifference, string, string | null, string | null]>([
    [CONTEXT_HEADERS, 'header other', null, '"0"'],
    [OWN_HEADERS, 'header eventType', 'changed', null],
    [OWN_HEADERS, 'header schemaversion', '1', '2'],
    [HEADERS_AS_JSON, 'header tenant', 'green', '"blue"'],
    [HEADERS_AS_JSON, 'value', 'text', '"text"'],
    [NULL_HEADERS, 'header tenant', null, '"null"'],
    [NULL_HEADERS, 'header tenant', '', 'null'],
    [TIMESTAMPS, 'timestamp', '0', String(HOUR_MS)],
    [CASE_OF_IDS, 'header id', 'ab', '"AC"'],
    [CASE_OF_IDS, 'key', 'ab', 'AB'],
    [PRODUCERS, 'header tenant', 'blue', '"blue"'],
    [PRODUCERS, 'header other', 'blue', null],
    [TIMES, 'header placedAt', '1970-01-02 00:00:01.000007', '86401000008'],
    [SPELLING, 'value', '{"a": 2}', '{"a":1}'],
    [SPELLING, 'key', '{"a": 1}', '{"a":1}'],
  ])('is not %j in %s', (by, field, ours, theirs) => {
    expect(isExplained(by, field, ours, theirs)).toBe(false);
  });
});
