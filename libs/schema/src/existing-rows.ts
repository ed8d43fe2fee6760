import pg from 'pg';
import { type AdoptedTable, type TableColumn } from './adopted-table.js';
import {
  columnOf,
  type EventMapping,
  eventProblem,
  payloadProblem,
  payloadValue,
  textOf,
} from './adopted-event.sql.js';
import { statisticsSql } from './adopted-table.sql.js';
import { type MigrationClient } from './migration-connection.js';
import { numberField, textField } from './row-field.js';
import { SchemaError } from './schema.errors.js';

/** What the rows that are there say about those that will come. */
export interface ExistingRowsReport {
  readonly rows: number;
  readonly bytesMax: number;
}

/** Rows that are looked at when they are not to be copied. */
const SAMPLE_ROWS = 100_000;
/** Some brokers refuse more than this by default. */
const LARGE_BYTES = 1_000_000;
const CAN_BE_JSONB = 'pg_temp.millrace_can_be_jsonb';

/**
 * Reads rows (all with `orderBy`, else up to 100,000) and throws `rows_unfit` when one cannot be carried, with each
 * reason and how often: better now than in a producer's transaction. One read-only transaction.
 */
export async function checkRows(
  client: MigrationClient,
  table: AdoptedTable,
  mapping: EventMapping,
  orderBy: string | null,
): Promise<ExistingRowsReport> {
  const { rows } = await inThrowawayTransaction(client, async () => {
    if (payloadProblem(mapping) !== null) {
      await client.query(canBeJsonbSql(mapping));
    }
    return await client.query(checkSql(table, mapping, orderBy));
  });
  const reports = rows.map((row) => ({
    problem: textField(row, 'problem'),
    rows: numberField(row, 'rows'),
    bytesMax: numberField(row, 'bytes_max'),
    example: textField(row, 'example'),
  }));
  const all = reports.reduce((sum, report) => sum + report.rows, 0);
  const unfit = reports.filter(({ problem }) => problem !== '');
  if (unfit.length > 0) {
    const reasons = unfit
      .map((report) => `${report.problem} (${report.rows}, such as id ${report.example})`)
      .join('; ');
    throw new SchemaError(
      'rows_unfit',
      `Of ${all} rows of ${table.name} that were read some cannot become events: ${reasons}. Such a row would fail its ` +
        'INSERT once the table is adopted. Correct or remove them, or name other columns; text that is no JSON is ' +
        'carried as a JSON string with --payload string.',
    );
  }
  return { rows: all, bytesMax: Math.max(0, ...reports.map(({ bytesMax }) => bytesMax)) };
}

/** Sentences about the table that call for no refusal. */
export async function findingsOf(
  client: MigrationClient,
  table: AdoptedTable,
  mapping: EventMapping,
  report: ExistingRowsReport,
): Promise<string[]> {
  const { rows } = await client.query(statisticsSql(table.oid));
  const inserted = numberField(rows[0], 'inserted');
  const deleted = numberField(rows[0], 'deleted');
  const { id, routeBy, key, type, payload } = mapping.columns;
  const nullable = table.columns.filter(
    ({ name, isNullable }) => isNullable && [id, routeBy, key, type, payload].includes(name),
  );
  const findings: readonly (readonly [boolean, string])[] = [
    [
      inserted > 0 && (deleted >= inserted * 0.9 || report.rows === 0),
      `insert-and-delete outbox: ${report.rows === 0 ? 'none' : `${inserted - deleted}`} of ${inserted} rows that were ` +
        `inserted into ${table.name} is left. Whoever reads such a table by polling loses events. Adopted, each row is ` +
        'copied by its own INSERT before it can go: go on deleting as you like.',
    ],
    [
      table.partitionedBy !== null,
      `${table.name} is partitioned by ${table.partitionedBy ?? ''}. An UPDATE that moves a row to another partition is an ` +
        'INSERT there, for a trigger as for logical replication: the event would come again, with the same id.',
    ],
    [
      nullable.length > 0,
      `${nullable.map(({ name }) => name).join(', ')} may be null in ${table.name}: a row with a null there fails its INSERT.`,
    ],
    [
      mapping.payloadKind !== 'jsonb' && mapping.payloadAs === 'json',
      `${payload} is no jsonb: a row whose payload is not JSON fails its INSERT, and values are published as PostgreSQL ` +
        `prints jsonb (other blanks and order of fields). ${report.rows} rows were read, and all are JSON.`,
    ],
    [
      report.bytesMax > LARGE_BYTES,
      `The largest payload in ${table.name} has ${report.bytesMax} bytes. A route stops at what its sink refuses: raise ` +
        "the topics' max.message.bytes first.",
    ],
  ];
  return findings.filter(([applies]) => applies).map(([, sentence]) => sentence);
}

/** On all servers alike; PostgreSQL 15 has no pg_input_is_valid. */
function canBeJsonbSql(mapping: EventMapping): string {
  const plain = { ...mapping, definedTypes: [] };
  return `
create function ${CAN_BE_JSONB}(${mapping.payloadKind === 'bytea' ? 'bytea' : 'text'}) returns boolean language plpgsql as $body$
begin
  perform ${payloadValue(plain, () => '$1')};
  return true;
exception when others then
  return false;
end
$body$`;
}

function checkSql(table: AdoptedTable, mapping: EventMapping, orderBy: string | null): string {
  const of = columnOf('t');
  const { payload, id } = mapping.columns;
  const value = mapping.payloadKind === 'bytea' ? of(payload) : textOf(mapping, of, payload);
  const unfit = payloadProblem(mapping);
  const problems = [
    eventProblem(mapping, of),
    ...(unfit === null ? [] : [`case when not ${CAN_BE_JSONB}(${value}) then ${pg.escapeLiteral(unfit)} end`]),
    ...(orderBy === null
      ? []
      : [`case when ${of(orderBy)} is null then ${pg.escapeLiteral(`${orderBy} is null`)} end`]),
  ];
  return `
select coalesce(problem, '') as problem, count(*)::float8 as rows, coalesce(max(bytes), 0)::float8 as bytes_max,
  coalesce(min(id), 'null') as example
from (
  select coalesce(${problems.join(', ')}) as problem, octet_length(${value}) as bytes, ${textOf(mapping, of, id)} as id
  from ${table.name} t ${orderBy === null ? `limit ${SAMPLE_ROWS}` : ''}
) r group by 1 order by 2 desc`;
}

/** Sentences about the column that older rows are copied by. */
export function findingsOfOrder(table: AdoptedTable, { name, leadsIndex, isUnique }: TableColumn): string[] {
  const findings: readonly (readonly [boolean, string])[] = [
    [!leadsIndex, `No index of ${table.name} begins with ${name}: each chunk of the copy reads the whole table.`],
    [
      !isUnique,
      `${name} has no unique index of its own in ${table.name}: rows with the same value, such as the default now() gives ` +
        'to all rows of a transaction, are copied in the order of their ids.',
    ],
  ];
  return findings.filter(([applies]) => applies).map(([, sentence]) => sentence);
}

/**
 * To be called under a lock that writers wait for; throws `rows_undecided` when there are rows by now, or when it takes
 * longer than `timeoutMs` to be sure that there are none.
 */
export async function requireNoRows(client: MigrationClient, table: AdoptedTable, timeoutMs: number): Promise<void> {
  await client.query(`set local statement_timeout = ${timeoutMs}; set local row_security = off`);
  const found = await client.query(`select from ${table.name} limit 1`).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === '57014') {
      return null;
    }
    throw error;
  });
  if (found === null || found.rows.length > 0) {
    throw rowsUndecided(table, found === null ? 'may hold rows (it took too long to look)' : 'holds rows');
  }
  await client.query('set local statement_timeout to default');
}

/** What `--existing` is for. */
export function rowsUndecided({ name }: AdoptedTable, state: string): SchemaError {
  return new SchemaError(
    'rows_undecided',
    `${name} ${state}. Say what is to become of them: --existing skip (another relay has published or will ` +
      'publish them) or --existing copy --order-by <column>.',
  );
}

async function inThrowawayTransaction<T>(client: MigrationClient, run: () => Promise<T>): Promise<T> {
  await client.query('begin; set local row_security = off');
  try {
    return await run();
  } finally {
    await client.query('rollback');
  }
}
