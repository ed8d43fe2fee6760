import { type ValueTransformer } from 'typeorm';

/**
 * Maps a `bigint` column to a number, null to null: cents and pieces, which contracts and constraints keep within
 * 2^53 - 1. Throws a `RangeError` for a stored value beyond that, rather than hand on another number.
 */
export const safeBigint: ValueTransformer = { to: (value: unknown) => value, from: toSafeNumber };

function toSafeNumber(value: unknown): number | null {
  if (value === null) {
    return null;
  }
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    throw new RangeError('A stored bigint is beyond 2^53 - 1, where numbers are no longer exact: bound its column');
  }
  return number;
}
