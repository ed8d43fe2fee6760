import { CaptureError } from './capture.errors.js';
import { type TextColumns, type TextRow } from './pg-connection.js';

/** Reads columns that a statement always has. `statement` says which one came back without it: `A statement on the ledger`. */
export function columnReader(statement: string): (row: TextColumns, name: string) => string {
  return (row, name) => required(row[name], statement, name);
}

/** The same by place in the select list. */
export function cellReader(statement: string): (row: TextRow | undefined, place: number) => string {
  return (row, place) => required(row?.[place], statement, place);
}

function required(value: string | null | undefined, statement: string, column: string | number): string {
  if (value === null || value === undefined) {
    throw new CaptureError('internal', `${statement} came back without column ${column}.`);
  }
  return value;
}
