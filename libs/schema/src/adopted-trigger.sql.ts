import pg from 'pg';
import {
  columnOf,
  DEFINED_TYPES,
  EVENT_COLUMNS,
  type EventMapping,
  eventProblem,
  eventValues,
  payloadProblem,
  payloadValue,
  type Reference,
} from './adopted-event.sql.js';
import { SchemaError } from './schema.errors.js';

/** The same on every adopted table, so that it is found whatever the table is called by now. */
export const TRIGGER = 'millrace_adopt';

const QUOTE = '$adopted$';

/** Not as a number: a dump that is restored brings the function to a table that has another one. */
const THIS_TABLE = 'coalesce(pg_partition_root(tg_relid), tg_relid)';

/** Where the trigger writes: into the outbox, or aside while older rows are being copied. */
export type TriggerTarget = 'outbox' | 'held';

/** A table and how its rows become events. */
export interface TriggerSubject {
  /** `schema.table`, quoted where needed. */
  readonly name: string;
  readonly mapping: EventMapping;
}

/**
 * The function's body. It runs in the producer's transaction, with the rights of the schema's owner, so a producer
 * needs no new right; what cannot be carried fails the producer's statement instead of being lost. It fires in sessions
 * with `session_replication_role = replica`, too, but leaves alone what logical replication brings: that was written,
 * and is relayed, elsewhere.
 *
 * A type that somebody made since (`alter column ... type`) is refused before any statement names the column with a
 * cast: the planner alone may run the function of a cast that is called immutable. A payload that cannot be converted
 * is told by its column: PostgreSQL's own message would quote it.
 */
export function triggerBody({ name, mapping }: TriggerSubject, target: TriggerTarget): string {
  const of = columnOf('new');
  const into =
    target === 'outbox' ? `millrace.outbox (${EVENT_COLUMNS})` : `millrace.adoption_held (source, ${EVENT_COLUMNS})`;
  const unfit = payloadProblem(mapping);
  const event = unfit === null ? eventValues(mapping, of) : eventValues(mapping, of, 'carried');
  const values = [...(target === 'outbox' ? [] : [THIS_TABLE]), ...event];
  const body = `
declare
  problem text;
  carried jsonb;
begin
  if current_setting('session_replication_role') = 'replica'
    and exists (select from pg_stat_subscription s where s.pid = pg_backend_pid()) then
    return null;
  end if;
  problem := ${definedSince(mapping, of)};
  if problem is not null then
    raise exception 'Column % of % has another type than when Millrace adopted the table', problem, ${pg.escapeLiteral(name)}
      using errcode = 'datatype_mismatch', hint = 'Run millrace migrate --adopt again, with the options that it was adopted with.';
  end if;
  problem := ${eventProblem(mapping, of)};${unfit === null ? '' : convert(payloadValue(mapping, of), unfit)}
  if problem is not null then
    raise exception 'Millrace cannot carry this row of %: %', ${pg.escapeLiteral(name)}, problem
      using errcode = 'check_violation', hint = 'Every row of an adopted table becomes an event. Correct the row.';
  end if;
  insert into ${into}
  values (${values.join(',\n    ')});
  return null;
end
`;
  if (body.includes(QUOTE)) {
    throw new SchemaError('column_unfit', `No column of ${name} may have ${QUOTE} in its name.`);
  }
  return body;
}

/**
 * The first column that is read by a cast although its type is none of PostgreSQL's own (any more); SQL, null: none.
 */
function definedSince({ columns, headers, definedTypes }: EventMapping, of: Reference): string {
  const { id, routeBy, key, type, payload, schemaVersion, aggregateVersion } = columns;
  const names = [
    id,
    routeBy,
    key,
    type,
    payload,
    schemaVersion,
    aggregateVersion,
    ...headers.map(({ column }) => column),
  ];
  const cases = [...new Set(names)]
    .filter((name) => name !== null)
    .filter((name) => !definedTypes.includes(name))
    .map((name) => `when pg_typeof(${of(name)})::oid >= ${DEFINED_TYPES}::oid then ${pg.escapeLiteral(name)}`);
  return `case when false then '' ${cases.join('\n    ')} end`;
}

/** Class 22 is wrong data, class 54 too much of it; what else may happen is the producer's as it is. */
function convert(value: string, problem: string): string {
  return `
  if problem is null then
    begin
      carried := ${value};
    exception when data_exception or program_limit_exceeded then
      problem := ${pg.escapeLiteral(problem)};
    end;
  end if;`;
}

/** A name that no other table's function has, and that needs no quotes. */
export function functionNameOf(bareName: string, oid: string): string {
  return `adopted_${bareName
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, '_')
    .slice(0, 40)}_${oid}`;
}

/**
 * Takes no lock on the table: whoever inserts next runs the new text. Owned by the schema's owner, whoever runs this.
 */
export function functionSql(functionName: string, body: string): string {
  return `create or replace function millrace.${functionName}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as ${QUOTE}${body}${QUOTE};
revoke all on function millrace.${functionName}() from public;
do $owner$
declare
  owner_name text;
begin
  for owner_name in select c.relowner::regrole::text from pg_class c
    where c.oid = 'millrace.outbox'::regclass and pg_get_userbyid(c.relowner) <> current_user
  loop
    execute 'alter function millrace.${functionName}() owner to ' || owner_name;
  end loop;
end
$owner$;`;
}

/**
 * Locks: SHARE ROW EXCLUSIVE on the table and its partitions, which waits for open writers and makes later ones wait.
 */
export function attachSql(name: string, functionName: string): string {
  return `create or replace trigger ${TRIGGER} after insert on ${name}
  for each row execute function millrace.${functionName}();
alter table ${name} enable always trigger ${TRIGGER};`;
}
