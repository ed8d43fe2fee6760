import { type RowFilter } from '../event-filter.js';
import { type PolledRow } from '../outbox-reader.js';
import { printedRow } from '../polled-row.js';
import { headerTexts } from './header-texts.js';
import { type OutboxColumns } from './relation-cache.js';
import { type Tuple } from './tuple.js';

/** Places in a row of the poll. */
const POSITION = 0;
const AGGREGATE_TYPE = 2;
const EVENT_TYPE = 4;
const PAYLOAD = 7;
const HEADERS = 8;

/** Which rows a route wants. */
export interface WantedRows {
  readonly filter: RowFilter;
  /** Copies for another one are not wanted; `null`: copies for any are. */
  readonly route: string | null;
}

/**
 * The row that a poll would have returned for the same row of the outbox: event, position and bytes are equal. Rows
 * that are not wanted have a position only. Everything is copied out of the message's memory.
 */
export function outboxRow(row: Tuple, columns: OutboxColumns, { filter, route }: WantedRows): PolledRow {
  const place = (column: number): number => columns[column] ?? column;
  if (!isWanted(row, place, filter)) {
    return printedRow([row.text(place(POSITION)), null], 0, null);
  }
  const texts = columns.map((column) => row.text(column));
  let bytes = row.byteLength(place(PAYLOAD)) + row.byteLength(place(HEADERS));
  const headers = texts[HEADERS] ?? null;
  if (headers !== null) {
    const printed = headerTexts(headers);
    texts[HEADERS] = printed;
    bytes += printed === headers ? 0 : Buffer.byteLength(printed) - row.byteLength(place(HEADERS));
  }
  return printedRow(texts, bytes, route);
}

function isWanted(row: Tuple, place: (column: number) => number, filter: RowFilter): boolean {
  if (!filter.wantsAggregateType(row.text(place(AGGREGATE_TYPE)) ?? '')) {
    return false;
  }
  if (!filter.wantsEventType(row.text(place(EVENT_TYPE)) ?? '')) {
    return false;
  }
  if (filter.takesAnyHeaders) {
    return true;
  }
  const headers = row.text(place(HEADERS));
  return filter.wantsHeaders(headers === null ? null : headerTexts(headers));
}
