import { type Delivery } from '../subscription-port.js';
import { decodeHeaders } from './header-bytes.js';
import { type DeliveryRow } from './delivery-database.js';

/** A number of 32 bits. Throws a plain `Error` for what a statement of ours never returns. */
export function numberOf(row: DeliveryRow | undefined, column: string): number {
  const value = row?.[column];
  return typeof value === 'number' ? value : refuse(column);
}

/** A number of 64 bits, which came as text. Throws as `numberOf`. */
export function bigintOf(row: DeliveryRow | undefined, column: string): bigint {
  return BigInt(textOf(row, column));
}

/** The same where there may be none. */
export function bigintOrNull(row: DeliveryRow | undefined, column: string): bigint | null {
  return row?.[column] === null ? null : bigintOf(row, column);
}

/** Throws as `numberOf`. */
export function textOf(row: DeliveryRow | undefined, column: string): string {
  const value = row?.[column];
  return typeof value === 'string' ? value : refuse(column);
}

/** The record of a row of `READ_SQL`; null where the row has none. */
export function deliveryOf(
  row: DeliveryRow,
  { topic, partition }: Pick<Delivery, 'topic' | 'partition'>,
): Delivery | null {
  const { record_offset: offset } = row;
  if (offset === null) {
    return null;
  }
  return {
    topic,
    partition,
    offset: bigintOf(row, 'record_offset'),
    key: bytesOf(row, 'record_key'),
    value: bytesOf(row, 'record_value'),
    headers: decodeHeaders(bytesOf(row, 'headers')),
    timestampMs: Number(textOf(row, 'at_ms')),
  };
}

function bytesOf(row: DeliveryRow, column: string): Buffer {
  const value = row[column];
  return Buffer.isBuffer(value) ? value : refuse(column);
}

function refuse(column: string): never {
  throw new Error(`A statement on the deliveries returned no ${column}: the database is not what this release knows.`);
}
