import pg from 'pg';
import { columnOf, EVENT_COLUMNS, type EventMapping, eventProblem, eventValues } from './adopted-event.sql.js';
import { SchemaError } from './schema.errors.js';

/** The same on every adopted table, so that it is found whatever the table is called by now. */
export const TRIGGER = 'millrace_adopt';

const QUOTE = '$adopted$';

/** Where the trigger writes: into the outbox, or aside while older rows are being copied. */
export type TriggerTarget = 'outbox' | 'held';

/** A table and how its rows become events. */
export interface TriggerSubject {
  readonly oid: string;
  /** `schema.table`, quoted where needed. */
  readonly name: string;
  readonly mapping: EventMapping;
}

/**
 * The function's body. It runs in the producer's transaction, with the rights of the schema's owner, so a producer needs
 * no new right; what cannot be carried fails the producer's statement instead of being lost. It fires in sessions with
 * `session_replication_role = replica`, too, but leaves alone what logical replication brings: that was written, and is
 * relayed, elsewhere.
 */
export function triggerBody({ oid, name, mapping }: TriggerSubject, target: TriggerTarget): string {
  const of = columnOf('new');
  const into =
    target === 'outbox' ? `millrace.outbox (${EVENT_COLUMNS})` : `millrace.adoption_held (source, ${EVENT_COLUMNS})`;
  const values = [...(target === 'outbox' ? [] : [`${oid}::oid::regclass`]), ...eventValues(mapping, of)];
  const body = `
declare
  problem text;
begin
  if current_setting('session_replication_role') = 'replica'
    and exists (select from pg_stat_subscription s where s.pid = pg_backend_pid()) then
    return null;
  end if;
  problem := ${eventProblem(mapping, of)};
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

/** A name that no other table's function has, and that needs no quotes. */
export function functionNameOf(bareName: string, oid: string): string {
  return `adopted_${bareName
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, '_')
    .slice(0, 40)}_${oid}`;
}

/** Takes no lock on the table: whoever inserts next runs the new text. Owned by the schema's owner, whoever runs this. */
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

/** Locks: SHARE ROW EXCLUSIVE on the table and its partitions, which waits for open writers and makes later ones wait. */
export function attachSql(name: string, functionName: string): string {
  return `create or replace trigger ${TRIGGER} after insert on ${name}
  for each row execute function millrace.${functionName}();
alter table ${name} enable always trigger ${TRIGGER};`;
}
