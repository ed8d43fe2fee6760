import { type StandardJSONSchemaV1, type StandardSchemaV1 } from '@standard-schema/spec';
import { type EventContract } from './define-event.js';

/**
 * A path into a payload for an error message, for example `payload.lines[0].quantity`. Only names that the contract has
 * are told: a name of the payload's own, as in a map from customers to amounts, is data and becomes `*`. So does every
 * name where the schema library does not tell its fields (it follows Standard Schema, but not Standard JSON Schema).
 */
export function describePath(contract: EventContract, path: readonly PropertyKey[]): string {
  const known = path.length === 0 ? NO_NAMES : fieldNames(contract);
  return path.reduce<string>((told, name) => told + describeName(name, known), 'payload');
}

function describeName(name: PropertyKey, known: ReadonlySet<string>): string {
  if (typeof name === 'number') {
    return `[${name}]`;
  }
  return typeof name === 'string' && known.has(name) ? `.${name}` : '.*';
}

const NO_NAMES: ReadonlySet<string> = new Set();

/** All names that the schema gives to fields, at whatever depth. */
function fieldNames({ schema }: EventContract): ReadonlySet<string> {
  const names = new Set<string>();
  if (isDescribable(schema)) {
    collectNames(jsonSchemaOf(schema), names);
  }
  return names;
}

function isDescribable(schema: StandardSchemaV1 | StandardJSONSchemaV1): schema is StandardJSONSchemaV1 {
  return 'jsonSchema' in schema['~standard'];
}

function jsonSchemaOf(schema: StandardJSONSchemaV1): unknown {
  const libraryOptions = { unrepresentable: 'any' };
  try {
    return schema['~standard'].jsonSchema.input({ target: 'draft-2020-12', libraryOptions });
  } catch {
    return null;
  }
}

function collectNames(schema: unknown, names: Set<string>): void {
  for (const [keyword, part] of entriesOf(schema)) {
    if (keyword !== 'properties') {
      collectNames(part, names);
      continue;
    }
    for (const [name, field] of entriesOf(part)) {
      names.add(name);
      collectNames(field, names);
    }
  }
}

function entriesOf(value: unknown): readonly [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
