import { type Database, type SnapshotQuery } from './database.js';
import {
  type CheckedInvariant,
  type InvariantCheck,
  type InvariantReport,
  type ServiceInvariants,
} from './invariant-report.js';

/**
 * Reads figures and rules in one snapshot. Rejects with the database's error when a statement fails, with an `Error`
 * when one does not give what its `InvariantCheck` promises.
 */
export async function checkInvariants(
  database: Database,
  service: string,
  { figures, checks }: ServiceInvariants,
): Promise<InvariantReport> {
  return await database.snapshot(async (query) => {
    const clock = await oneRow(query, 'select clock_timestamp() as now');
    const state = await oneRow(query, figures.sql);
    const invariants: CheckedInvariant[] = [];
    for (const check of checks) {
      invariants.push(await runCheck(query, check));
    }
    return {
      service,
      checkedAt: clock['now'] instanceof Date ? clock['now'].toISOString() : String(clock['now']),
      holds: invariants.every(({ holds }) => holds !== false),
      figures: figures.schema.parse(state['figures']),
      invariants,
    };
  });
}

async function runCheck(query: SnapshotQuery, check: InvariantCheck): Promise<CheckedInvariant> {
  const { name, rule, sql } = check;
  if (!(await mayRead(query, check.reads))) {
    return { name, rule, holds: null, numbers: {} };
  }
  const { holds, offenders, ...numbers } = await oneRow(query, sql);
  if (typeof holds !== 'boolean') {
    throw new Error(`The statement of invariant ${name} must give a column holds that is true or false`);
  }
  return {
    name,
    rule,
    holds,
    numbers: Object.fromEntries(Object.entries(numbers).map(([column, value]) => [column, String(value)])),
    ...(Array.isArray(offenders) ? { offenders: offenders.map(String) } : {}),
  };
}

async function mayRead(query: SnapshotQuery, table: string | undefined): Promise<boolean> {
  if (table === undefined) {
    return true;
  }
  const { is_allowed: isAllowed } = await oneRow(
    query,
    `select has_table_privilege('${table}', 'select') as is_allowed`,
  );
  return isAllowed === true;
}

async function oneRow(query: SnapshotQuery, sql: string): Promise<Readonly<Record<string, unknown>>> {
  const [row, ...others] = await query(sql);
  if (row === undefined || others.length > 0) {
    throw new Error('A statement of the invariants must give exactly one row');
  }
  return row;
}
