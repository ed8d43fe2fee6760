import pg from 'pg';
import { type AdoptedTable } from './adopted-table.js';
import { columnOf, EVENT_COLUMNS, type EventMapping, eventValues, textOf } from './adopted-event.sql.js';

const literal = (value: string | null): string => (value === null ? 'null' : pg.escapeLiteral(value));

/** The state of an adoption; no row: not adopted. The lock lets one run at a time go on with it. */
export const readAdoptionSql = (oid: string): string => `
select state, order_by, last_value, last_id::text as last_id, copied::float8 as copied
from millrace.adoption where source = ${oid}::oid for update`;

/** What is kept of an adoption. `request` is JSON. */
export const insertAdoptionSql = (oid: string, orderBy: string | null, request: string): string => `
insert into millrace.adoption (source, state, order_by, request)
values (${oid}::oid, '${orderBy === null ? 'adopted' : 'copying'}', ${literal(orderBy)}, ${literal(request)})`;

/** For a change of columns. */
export const updateRequestSql = (oid: string, request: string): string =>
  `update millrace.adoption set request = ${literal(request)} where source = ${oid}::oid`;

/** The next step of a copy. */
export const setStateSql = (oid: string, state: 'draining' | 'adopted'): string =>
  `update millrace.adoption set state = '${state}' where source = ${oid}::oid`;

/** Also that of an earlier table of this name, which is gone. */
export const deleteAdoptionSql = (oid: string, name: string): string => `
delete from millrace.adoption a where a.source = ${oid}::oid
  or (a.request ->> 'table' = ${literal(name)} and not exists (select from pg_class c where c.oid = a.source::oid))`;

/** Whether the audit trail tells of an earlier adoption. */
export const wasAdoptedSql = (name: string): string =>
  `select from millrace.audit where action = 'outbox.adopt' and target = ${literal(name)} limit 1`;

/** `details` is JSON or null. */
export const auditSql = (actor: string, action: string, target: string, details: string | null): string => `
insert into millrace.audit (actor, action, target, details)
values (${literal(actor)}, ${literal(action)}, ${literal(target)}, ${literal(details)})`;

/** Where a copy has come to. */
export interface CopyCursor {
  readonly orderBy: string;
  readonly lastValue: string | null;
  readonly lastId: string | null;
}

/**
 * Copies the next older rows and moves the cursor, in one statement and so both or neither. Rows that came after the
 * adoption are those that the trigger has put aside. No row comes back when there are no more. Positions are drawn
 * above the sort, so they follow it. "offset 0" asks the index for each row: joined, tables that were never analysed
 * compare each row with each.
 */
export function copyChunkSql(table: AdoptedTable, mapping: EventMapping, cursor: CopyCursor, limit: number): string {
  const of = columnOf('t');
  const order = of(cursor.orderBy);
  const id = `(${textOf(mapping, of, mapping.columns.id)})::uuid`;
  // the literal takes the column's type by itself: a cast to the name of type char(26) would cut it to one character
  const after =
    cursor.lastValue === null
      ? ''
      : `and (${order}, ${id}) > (${literal(cursor.lastValue)}, ${literal(cursor.lastId)}::uuid)`;
  return `
with chunk (${EVENT_COLUMNS}, ordering, written) as materialized (
  select ${eventValues(mapping, of).join(', ')}, ${order}, ${textOf(mapping, of, cursor.orderBy)}
  from ${table.name} t
  where not exists (select from millrace.adoption_held h where h.source = ${table.oid}::oid and h.id = ${id} offset 0)
    ${after}
  order by ${order}, ${id} limit ${limit}
), copied as (
  insert into millrace.outbox (${EVENT_COLUMNS})
  select ${EVENT_COLUMNS} from chunk order by ordering, id returning 1
), last as (
  select written as value, id from chunk order by ordering desc, id desc limit 1
)
update millrace.adoption a
set copied = a.copied + (select count(*) from copied), last_value = last.value, last_id = last.id
from last where a.source = ${table.oid}::oid
returning a.copied::float8 as copied`;
}

/** Moves the oldest waiting events into the outbox and says how many. */
export const drainSql = (oid: string, limit: number): string => `
with oldest as materialized (
  select n from millrace.adoption_held where source = ${oid}::oid order by n limit ${limit}
), taken as (
  delete from millrace.adoption_held h using oldest o where h.n = o.n returning h.*
), moved as (
  insert into millrace.outbox (${EVENT_COLUMNS})
  select ${EVENT_COLUMNS} from taken order by n returning 1
)
select count(*)::integer as moved from moved`;

/** How many events wait; counted up to one more than `limit`. */
export const waitingSql = (oid: string, limit: number): string =>
  `select count(*)::integer as waiting from (select from millrace.adoption_held where source = ${oid}::oid limit ${limit + 1}) w`;
