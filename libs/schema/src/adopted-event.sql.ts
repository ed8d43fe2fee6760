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
}

/** The columns of the outbox that an adopted row fills, in the order of `eventValues`. */
export const EVENT_COLUMNS = 'id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers';

const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';

type Reference = (column: string) => string;

/** A column of a table with this alias (`new` in a trigger). */
export const columnOf =
  (alias: string): Reference =>
  (column) =>
    `${alias}.${pg.escapeIdentifier(column)}`;

/** The event's values as SQL, one for each of `EVENT_COLUMNS`. */
export function eventValues({ columns, headers, payloadKind, payloadAs }: EventMapping, of: Reference): string[] {
  const payload = of(columns.payload);
  const text = payloadKind === 'bytea' ? `convert_from(${payload}, 'UTF8')` : `${payload}::text`;
  const pairs = headers.map(({ column, name }) => `${pg.escapeLiteral(name)}, ${of(column)}::text`);
  return [
    `${of(columns.id)}::text::uuid`,
    `${of(columns.routeBy)}::text`,
    `${of(columns.key)}::text`,
    `${of(columns.type)}::text`,
    columns.aggregateVersion === null ? 'null::bigint' : `${of(columns.aggregateVersion)}::bigint`,
    columns.schemaVersion === null ? '1' : `coalesce(${of(columns.schemaVersion)}::integer, 1)`,
    payloadAs === 'string' ? `to_jsonb(${text})` : `${payloadKind === 'jsonb' ? payload : text}::jsonb`,
    pairs.length === 0 ? 'null::jsonb' : `nullif(jsonb_strip_nulls(jsonb_build_object(${pairs.join(', ')})), '{}')`,
  ];
}

/**
 * Why a row cannot be carried, as an SQL expression; null: it can. The same rules as the outbox's own, so that whoever
 * reads the message learns the column. Whether a payload is JSON is for the cast to find.
 */
export function eventProblem({ columns, payloadKind }: EventMapping, of: Reference): string {
  const { id, routeBy, key, type, payload, schemaVersion } = columns;
  const rule = (column: string, condition: (value: string) => string, problem: string): string =>
    `when ${condition(of(column))} then ${pg.escapeLiteral(`${column} ${problem}`)}`;
  const rules = [
    rule(id, (v) => `${v} is null`, 'is null'),
    rule(id, (v) => `${v}::text !~ '${UUID}'`, 'is no UUID'),
    rule(routeBy, (v) => `${v} is null`, 'is null'),
    rule(
      routeBy,
      (v) => `${v}::text !~ '^[a-zA-Z0-9._-]{1,200}$'`,
      'gives no name of a topic: 1 to 200 letters, digits, ".", "_" and "-" are needed',
    ),
    ...[key, type].flatMap((column) => [
      rule(column, (v) => `${v} is null or ${v}::text = ''`, 'is null or empty'),
      rule(column, (v) => `octet_length(${v}::text) > 1024`, 'is longer than 1,024 bytes'),
    ]),
    rule(payload, (v) => `${v} is null`, 'is null'),
    ...(payloadKind === 'bytea' ? [rule(payload, (v) => `octet_length(${v}) = 0`, 'is empty')] : []),
  ];
  if (schemaVersion !== null) {
    rules.push(rule(schemaVersion, (v) => `${v} < 1`, 'is below 1'));
  }
  return `case ${rules.join('\n    ')} end`;
}
