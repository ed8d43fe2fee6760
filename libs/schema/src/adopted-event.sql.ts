import pg from 'pg';
import { type AdoptColumns, type AdoptHeader } from './adoption.js';

/** How the payload column is read: as it is, as text that must be JSON, or as bytes of such a text in UTF-8. */
export type PayloadKind = 'jsonb' | 'text' | 'bytea';

/** How a row becomes an event, checked against the table. */
export interface EventMapping {
  readonly columns: AdoptColumns;
  readonly headers: readonly AdoptHeader[];
  readonly payloadKind: PayloadKind;
  readonly payloadAs: 'json' | 'string';
  /**
   * Columns whose type is none of PostgreSQL's own. They are read by the type's output function: whoever made the type
   * may have made a cast, too, which would run with the rights of who reads.
   */
  readonly definedTypes: readonly string[];
}

/** The columns of the outbox that an adopted row fills, in the order of `eventValues`. */
export const EVENT_COLUMNS = 'id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers';

/** PostgreSQL's own types have lower numbers. */
export const DEFINED_TYPES = 16_384;

const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';

/** Names a column in SQL. */
export type Reference = (column: string) => string;

/** A column of a table with this alias (`new` in a trigger). */
export const columnOf =
  (alias: string): Reference =>
  (column) =>
    `${alias}.${pg.escapeIdentifier(column)}`;

/** The column as text, whatever its type is; null stays null. */
export function textOf({ definedTypes }: EventMapping, of: Reference, column: string): string {
  const value = of(column);
  return definedTypes.includes(column)
    ? `case when not (${value} is null) then format('%s', ${value}) end`
    : `${value}::text`;
}

function numberOf(mapping: EventMapping, of: Reference, column: string): string {
  return mapping.definedTypes.includes(column) ? `(${textOf(mapping, of, column)})::bigint` : of(column);
}

/** The event's values as SQL, one for each of `EVENT_COLUMNS`. `payload`: where it is already at hand as jsonb. */
export function eventValues(mapping: EventMapping, of: Reference, payload = payloadValue(mapping, of)): string[] {
  const { columns, headers } = mapping;
  const text = (column: string): string => textOf(mapping, of, column);
  const number = (column: string): string => numberOf(mapping, of, column);
  const pairs = headers.map(({ column, name }) => `${pg.escapeLiteral(name)}, ${text(column)}`);
  return [
    `(${text(columns.id)})::uuid`,
    text(columns.routeBy),
    text(columns.key),
    text(columns.type),
    columns.aggregateVersion === null ? 'null::bigint' : `${number(columns.aggregateVersion)}::bigint`,
    columns.schemaVersion === null ? '1' : `coalesce(${number(columns.schemaVersion)}::integer, 1)`,
    payload,
    pairs.length === 0 ? 'null::jsonb' : `nullif(jsonb_strip_nulls(jsonb_build_object(${pairs.join(', ')})), '{}')`,
  ];
}

/** The payload as jsonb; fails on a value to which `payloadProblem` applies. */
export function payloadValue(mapping: EventMapping, of: Reference): string {
  const { columns, payloadKind, payloadAs, definedTypes } = mapping;
  const payload = of(columns.payload);
  const text = payloadKind === 'bytea' ? `convert_from(${payload}, 'UTF8')` : textOf(mapping, of, columns.payload);
  if (payloadAs === 'string') {
    return `to_jsonb(${text})`;
  }
  return payloadKind === 'jsonb' && !definedTypes.includes(columns.payload) ? `${payload}::jsonb` : `(${text})::jsonb`;
}

/** What is wrong with a payload that cannot become jsonb; null: each one can. */
export function payloadProblem({ columns, payloadKind, payloadAs }: EventMapping): string | null {
  if (payloadAs === 'string') {
    return payloadKind === 'bytea' ? `${columns.payload} is no text in UTF-8` : null;
  }
  return payloadKind === 'jsonb' ? null : `${columns.payload} is not JSON`;
}

/**
 * Why a row cannot be carried, as an SQL expression; null: it can. The same rules as the outbox's own, so that whoever
 * reads the message learns the column. Whether a payload is JSON is for the cast to find.
 */
export function eventProblem(mapping: EventMapping, of: Reference): string {
  const { id, routeBy, key, type, payload, schemaVersion } = mapping.columns;
  const text = (column: string): string => textOf(mapping, of, column);
  const rule = (column: string, condition: string, problem: string): string =>
    `when ${condition} then ${pg.escapeLiteral(`${column} ${problem}`)}`;
  const rules = [
    rule(id, `${of(id)} is null`, 'is null'),
    rule(id, `${text(id)} !~ '${UUID}'`, 'is no UUID'),
    rule(routeBy, `${of(routeBy)} is null`, 'is null'),
    rule(
      routeBy,
      `${text(routeBy)} !~ '^[a-zA-Z0-9._-]{1,200}$'`,
      'gives no name of a topic: 1 to 200 letters, digits, ".", "_" and "-" are needed',
    ),
    ...[key, type].flatMap((column) => [
      rule(column, `${of(column)} is null or ${text(column)} = ''`, 'is null or empty'),
      rule(column, `octet_length(${text(column)}) > 1024`, 'is longer than 1,024 bytes'),
    ]),
    rule(payload, `${of(payload)} is null`, 'is null'),
    ...(mapping.payloadKind === 'bytea' ? [rule(payload, `octet_length(${of(payload)}) = 0`, 'is empty')] : []),
  ];
  if (schemaVersion !== null) {
    const version = numberOf(mapping, of, schemaVersion);
    rules.push(
      rule(schemaVersion, `${version} not between 1 and 2147483647`, 'is no whole number from 1 to 2147483647'),
    );
  }
  return `case ${rules.join('\n    ')} end`;
}
