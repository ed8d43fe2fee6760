import { type PolledRow } from '../outbox-reader.js';
import { printedRow } from '../polled-row.js';
import { headerTexts } from './header-texts.js';
import { type OutboxColumns } from './relation-cache.js';
import { type Tuple } from './tuple.js';

/** Places in a row of the poll. */
const POSITION = 0;
const AGGREGATE_TYPE = 2;
const PAYLOAD = 7;
const HEADERS = 8;

/**
 * The row that a poll would have returned for the same row of the outbox: event, position and bytes are equal. Rows of
 * types that are not wanted (`null` wants all) have a position only. Everything is copied out of the message's memory.
 */
export function outboxRow(row: Tuple, columns: OutboxColumns, wantedTypes: ReadonlySet<string> | null): PolledRow {
  const place = (column: number): number => columns[column] ?? column;
  if (wantedTypes !== null && !wantedTypes.has(row.text(place(AGGREGATE_TYPE)) ?? '')) {
    return printedRow([row.text(place(POSITION)), null], 0);
  }
  const texts = columns.map((column) => row.text(column));
  let bytes = row.byteLength(place(PAYLOAD)) + row.byteLength(place(HEADERS));
  const headers = texts[HEADERS] ?? null;
  if (headers !== null) {
    const printed = headerTexts(headers);
    texts[HEADERS] = printed;
    bytes += printed === headers ? 0 : Buffer.byteLength(printed) - row.byteLength(place(HEADERS));
  }
  return printedRow(texts, bytes);
}
