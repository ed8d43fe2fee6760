import { SchemaError } from './schema.errors.js';

/** The value of a column, or undefined. */
export function field(row: unknown, name: string): unknown {
  return typeof row === 'object' && row !== null ? Object.getOwnPropertyDescriptor(row, name)?.value : undefined;
}

/** Throws `internal` when the row has no such number. */
export function numberField(row: unknown, name: string): number {
  const value = field(row, name);
  if (typeof value !== 'number') {
    throw new SchemaError('internal', `A row of schema millrace has no numeric ${name}.`);
  }
  return value;
}

/** Throws `internal` when the row has no such text. */
export function textField(row: unknown, name: string): string {
  const value = field(row, name);
  if (typeof value !== 'string') {
    throw new SchemaError('internal', `A row of schema millrace has no text ${name}.`);
  }
  return value;
}
