import { type AdoptColumns, type AdoptHeader, type AdoptRequest } from './adoption.js';
import { type EventMapping, type PayloadKind } from './adopted-event.sql.js';
import { publicationSql, tableSql } from './adopted-table.sql.js';
import { type MigrationClient } from './migration-connection.js';
import { field, textField } from './row-field.js';
import { SchemaError } from './schema.errors.js';

/** A column of the table that is to be adopted. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly isNullable: boolean;
  /** Its type is none of PostgreSQL's own. */
  readonly isDefined: boolean;
  /** Computed when it is read: a trigger finds null there. */
  readonly isVirtual: boolean;
  readonly leadsIndex: boolean;
  readonly isUnique: boolean;
}

/** A table that can be adopted. */
export interface AdoptedTable {
  readonly oid: string;
  /** `schema.table`, quoted where needed. */
  readonly name: string;
  readonly bareName: string;
  readonly columns: readonly TableColumn[];
  /** As SQL has it, such as `LIST (sent)`; null for a table of one piece. */
  readonly partitionedBy: string | null;
}

/** A column that is asked for, and the option of the command line that names it. */
interface NamedColumn<Name = string> {
  readonly name: Name;
  readonly option: string;
}

const DEFAULT_COLUMNS: AdoptColumns = {
  id: 'id',
  routeBy: 'aggregatetype',
  key: 'aggregateid',
  type: 'type',
  payload: 'payload',
  schemaVersion: null,
  aggregateVersion: null,
};

const TEXTS = ['text', 'character varying', 'character', 'citext'];
const WHOLE_NUMBERS = ['smallint', 'integer', 'bigint'];
const PAYLOAD_KINDS: Readonly<Record<string, PayloadKind>> = {
  jsonb: 'jsonb',
  json: 'text',
  bytea: 'bytea',
  ...Object.fromEntries(TEXTS.map((type) => [type, 'text' as const])),
};

/** What a relay sets itself (`HEADER` of libs/events); it would leave such a header out. */
const RESERVED_HEADER = /^(id|eventType|schemaversion|aggregateversion|millrace-.*)$/;
/** Names and values are 100 arguments of jsonb_build_object, and a function takes no more. */
const HEADERS_MAX = 50;
const HEADER_NAME = /^[^\s\p{C}]{1,200}$/u;

/** Finds the table; throws `table_missing`, or `not_authorised` unless this user has its owner's rights. */
export async function readTable(client: MigrationClient, name: string): Promise<AdoptedTable> {
  return toTable(await readRow(client, name));
}

/** As `readTable`, and refuses, by name and with what to do, a table whose new rows a trigger would not all see. */
export async function readFitTable(client: MigrationClient, name: string): Promise<AdoptedTable> {
  const row = await readRow(client, name);
  const reason = unfitness(row, textField(row, 'schema'));
  if (reason !== null) {
    throw new SchemaError('table_unfit', `${textField(row, 'name')} ${reason}`);
  }
  const table = toTable(row);
  if (field(row, 'hides_rows') === true) {
    throw new SchemaError(
      'not_authorised',
      `Row-level security applies to this user on ${table.name} and may hide rows that are there. Run this as a role with ` +
        'BYPASSRLS, or take FORCE ROW LEVEL SECURITY off meanwhile.',
    );
  }
  return table;
}

async function readRow(client: MigrationClient, name: string): Promise<unknown> {
  const { rows } = await client.query(tableSql(name));
  if (rows.length === 0) {
    throw new SchemaError(
      'table_missing',
      `There is no table ${name} in this database. Name it as schema.table, quoted where SQL needs it.`,
    );
  }
  return rows[0];
}

function toTable(row: unknown): AdoptedTable {
  const name = textField(row, 'name');
  if (field(row, 'is_owned') !== true) {
    throw new SchemaError(
      'not_authorised',
      `A trigger on ${name} needs its owner's rights: grant ${textField(row, 'owner')} to this user, or have a DBA run ` +
        'what --print gives.',
    );
  }
  const partitionedBy = field(row, 'partitioned_by');
  return {
    oid: textField(row, 'oid'),
    name,
    bareName: textField(row, 'bare_name'),
    columns: columnsOf(row),
    partitionedBy: typeof partitionedBy === 'string' ? partitionedBy : null,
  };
}

/** The first reason why the rows of this table cannot be adopted. */
function unfitness(row: unknown, schema: string): string | null {
  const kind = textField(row, 'kind');
  const reasons: readonly (readonly [boolean, string])[] = [
    [schema === 'millrace', 'is a table of Millrace itself. Name the outbox that your producers write to.'],
    [kind === 'v' || kind === 'm', 'is a view, which has no rows of its own. Adopt the table below it.'],
    [
      kind === 'f',
      'is a foreign table: who writes to it elsewhere fires no trigger here. Adopt it where its rows are.',
    ],
    [kind !== 'r' && kind !== 'p', 'is no table. Name the outbox that your producers write to.'],
    [field(row, 'persistence') === 't', 'is a temporary table. Name the outbox that your producers write to.'],
    [field(row, 'is_partition') === true, 'is one partition of a table. Adopt the whole table.'],
    [
      field(row, 'has_children') === true,
      'has child tables by inheritance, whose rows a trigger on the parent does not see. Adopt each child, or turn it ' +
        'into a partitioned table.',
    ],
    [
      field(row, 'has_insert_rule') === true,
      'has a rule that rewrites INSERT, so a trigger may not see the rows. Drop the rule.',
    ],
    [
      field(row, 'is_subscribed') === true,
      'gets its rows by logical replication, and they are events of the database that they come from. Adopt it there, ' +
        'or drop the subscription.',
    ],
  ];
  return reasons.find(([applies]) => applies)?.[1] ?? null;
}

/** How rows of the table become events. Throws `column_missing` or `column_unfit`. */
export function mapEvent(table: AdoptedTable, request: AdoptRequest): EventMapping {
  const columns = { ...DEFAULT_COLUMNS, ...request.columns };
  const id = { name: columns.id, option: '--event-id' };
  requireType(
    table,
    id,
    ['uuid', ...TEXTS],
    'ids are UUIDs: add a column of type uuid (docs/ADOPTING.md tells how, without a rewrite of the table)',
  );
  requireColumn(table, { name: columns.routeBy, option: '--route-by' });
  requireColumn(table, { name: columns.key, option: '--event-key' });
  requireColumn(table, { name: columns.type, option: '--event-type' });
  requireVersion(table, { name: columns.schemaVersion, option: '--schema-version' });
  requireVersion(table, { name: columns.aggregateVersion, option: '--aggregate-version' });
  const kinds = Object.keys(PAYLOAD_KINDS);
  const payloadColumn = { name: columns.payload, option: '--event-payload' };
  const payload = requireType(table, payloadColumn, kinds, `a payload is one of ${kinds.join(', ')}`);
  // Debezium's setting `type:header:eventType` asks for what is there anyway
  const isOwn = ({ column, name }: AdoptHeader): boolean => column === columns.type && name === 'eventType';
  const headers = (request.headers ?? []).filter((header) => !isOwn(header));
  requireHeaders(table, headers);
  const payloadKind = PAYLOAD_KINDS[payload.type] ?? 'text';
  if (payloadKind === 'bytea' && payload.isDefined) {
    throw new SchemaError(
      'column_unfit',
      `Column ${payload.name} of ${table.name} has a domain over bytea as its type. Change it to bytea itself.`,
    );
  }
  return {
    columns,
    headers,
    payloadKind,
    payloadAs: request.payloadAs ?? 'json',
    definedTypes: table.columns.filter(({ isDefined }) => isDefined).map(({ name }) => name),
  };
}

function requireVersion(table: AdoptedTable, { name, option }: NamedColumn<string | null>): void {
  if (name !== null) {
    requireType(table, { name, option }, WHOLE_NUMBERS, 'versions are whole numbers');
  }
}

/** Throws `column_missing`, or `column_unfit` for a column that a trigger cannot read. */
export function requireColumn(table: AdoptedTable, { name, option }: NamedColumn): TableColumn {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column === undefined) {
    const names = table.columns.map((candidate) => candidate.name).join(', ');
    throw new SchemaError(
      'column_missing',
      `${table.name} has no column ${name}. It has ${names}: name the one that is meant with ${option}.`,
    );
  }
  if (column.isVirtual) {
    throw new SchemaError(
      'column_unfit',
      `Column ${name} of ${table.name} is generated when it is read, and a trigger finds null there. Have it stored, or ` +
        `name another one with ${option}.`,
    );
  }
  return column;
}

/** Throws `publication_unfit` unless taking the table out of the publication takes all its rows out. */
export async function requirePublication(
  client: MigrationClient,
  table: AdoptedTable,
  publication: string,
): Promise<void> {
  const row = await readPublication(client, table, publication);
  if (field(row, 'is_for_all') === true) {
    throw unfitPublication(
      publication,
      'is for all tables, so a single one cannot leave it. Leave the option out: see "Events that come twice".',
    );
  }
  if (field(row, 'has_table') !== true || field(row, 'has_other') === true) {
    throw unfitPublication(
      publication,
      `does not name ${table.name} itself, and alone. Have it name the table, or leave the option out.`,
    );
  }
  if (field(row, 'is_owned') !== true) {
    throw unfitPublication(
      publication,
      "belongs to another user. Run this with its owner's rights, or leave the option out.",
    );
  }
}

/**
 * Whether rows of the table are still read by way of the publication. Throws `publication_unfit` when there is none.
 */
export async function isPublished(client: MigrationClient, table: AdoptedTable, publication: string): Promise<boolean> {
  const row = await readPublication(client, table, publication);
  return ['is_for_all', 'has_table', 'has_other'].some((name) => field(row, name) === true);
}

async function readPublication(client: MigrationClient, table: AdoptedTable, publication: string): Promise<unknown> {
  const { rows } = await client.query(publicationSql(table.oid, publication));
  const [row] = rows;
  if (row === undefined) {
    throw unfitPublication(publication, 'does not exist. Look it up in pg_publication, or leave the option out.');
  }
  return row;
}

function unfitPublication(publication: string, reason: string): SchemaError {
  return new SchemaError('publication_unfit', `Publication ${publication} ${reason}`);
}

function requireType(table: AdoptedTable, named: NamedColumn, types: readonly string[], rule: string): TableColumn {
  const column = requireColumn(table, named);
  if (!types.includes(column.type)) {
    throw new SchemaError(
      'column_unfit',
      `Column ${column.name} of ${table.name} has type ${column.type}; ${rule}. Name another one with ${named.option}.`,
    );
  }
  return column;
}

function requireHeaders(table: AdoptedTable, headers: readonly AdoptHeader[]): void {
  if (headers.length > HEADERS_MAX) {
    throw new SchemaError('column_unfit', `An event can have ${HEADERS_MAX} headers from columns. Ask for fewer.`);
  }
  for (const header of headers) {
    requireHeader(table, header);
  }
}

function requireHeader(table: AdoptedTable, { column, name }: AdoptHeader): void {
  requireColumn(table, { name: column, option: '--header' });
  if (RESERVED_HEADER.test(name)) {
    throw new SchemaError('column_unfit', `The header ${name} is set by Millrace itself: leave it out, or rename it.`);
  }
  if (!HEADER_NAME.test(name)) {
    throw new SchemaError(
      'column_unfit',
      'A header name must have 1 to 200 characters, no blanks, no control characters.',
    );
  }
}

function columnsOf(row: unknown): readonly TableColumn[] {
  const columns = field(row, 'columns');
  return Array.isArray(columns) ? columns.map(toColumn) : [];
}

function toColumn(value: unknown): TableColumn {
  return {
    name: textField(value, 'name'),
    type: textField(value, 'type'),
    isNullable: field(value, 'isNullable') === true,
    isDefined: field(value, 'isDefined') === true,
    isVirtual: field(value, 'isVirtual') === true,
    leadsIndex: field(value, 'leadsIndex') === true,
    isUnique: field(value, 'isUnique') === true,
  };
}
