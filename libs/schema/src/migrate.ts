import { adoptionNotices } from './adoption-notices.js';
import { READ_HISTORY } from './history.sql.js';
import {
  inTransaction,
  type MigrationClient,
  type MigrationTarget,
  requireServer,
  withClient,
} from './migration-connection.js';
import { type Migration } from './migration.js';
import { SCHEMA_VERSION } from './migrations.js';
import { type AppliedStep, pendingSteps, scriptSql, stepSql } from './plan.js';
import { readSchemaVersion } from './require-schema.js';
import { CREATE_ROLES, GRANTS, MISSING_ROLES } from './roles.sql.js';
import { numberField, textField } from './row-field.js';

/** How a migration is run. */
export interface MigrateOptions {
  /** How many leaves to make ahead of the sequence; default 10. */
  readonly leavesAhead?: number;
  /** Positions per new leaf; default 1,000,000. */
  readonly leafWidth?: number;
  /** How long to wait for another migration, or for a lock in one statement; default 10,000. */
  readonly lockTimeoutMs?: number;
}

/** What a run did. `notices` are sentences for the operator about what could not be done and is not fatal. */
export interface MigrateResult {
  readonly version: number;
  readonly applied: readonly { readonly version: number; readonly name: string }[];
  readonly leavesAhead: number;
  readonly notices: readonly string[];
}

const DEFAULT_LEAVES_AHEAD = 10;
const DEFAULT_LOCK_TIMEOUT_MS = 10_000;
const LEAF_ATTEMPTS = 10;
const LEAF_RETRY_MS = 100;

/**
 * Brings schema `millrace` of one database to this release's version; repeatable, and safe when several run at once.
 * Each step is one transaction under an advisory lock and a `lock_timeout`, so a failure leaves whole steps only. Then
 * group roles, grants and leaves are completed, also when no step was pending. Throws `SchemaError`; a database that
 * is newer, or in which a step was applied with another text, is not touched.
 */
export async function migrate(target: MigrationTarget, options: MigrateOptions = {}): Promise<MigrateResult> {
  return await withClient(target, async (client) => {
    const lockTimeoutMs = options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS;
    await requireServer(client);
    const applied = (await applySteps(client, lockTimeoutMs)).map(({ version, name }) => ({ version, name }));
    await client.query(CREATE_ROLES);
    await inTransaction(client, lockTimeoutMs, async () => {
      await client.query(GRANTS);
    });
    const wanted = options.leavesAhead ?? DEFAULT_LEAVES_AHEAD;
    const leavesAhead = await makeLeaves(client, wanted, options.leafWidth);
    const notices = [...(await roleNotices(client)), ...(await adoptionNotices(client))];
    if (leavesAhead < wanted) {
      notices.push(
        `Only ${leavesAhead} of ${wanted} outbox leaves lie ahead: an open transaction holds the default ` +
          'partition, or it holds more than 8 MB. The relay goes on trying; or run this again.',
      );
    }
    return { version: SCHEMA_VERSION, applied, leavesAhead, notices };
  });
}

/** The script of what `migrate` would run on this database, or on an empty one without a target; changes nothing. */
export async function printMigration(target: MigrationTarget | null, options: MigrateOptions = {}): Promise<string> {
  const leavesAhead = options.leavesAhead ?? DEFAULT_LEAVES_AHEAD;
  if (target === null) {
    return scriptSql(pendingSteps([]), leavesAhead);
  }
  return await withClient(target, async (client) => scriptSql(await readPending(client), leavesAhead));
}

/** One transaction per step; what another run applied meanwhile is seen under the lock and not done again. */
async function applySteps(client: MigrationClient, lockTimeoutMs: number): Promise<readonly Migration[]> {
  const applied: Migration[] = [];
  for (let turn = 0; turn < SCHEMA_VERSION; turn++) {
    const step = await inTransaction(client, lockTimeoutMs, async () => {
      const [next] = await readPending(client);
      if (next !== undefined) {
        await client.query(stepSql(next));
      }
      return next;
    });
    if (step === undefined) {
      break;
    }
    applied.push(step);
  }
  return applied;
}

async function readPending(client: MigrationClient): Promise<readonly Migration[]> {
  const version = await readSchemaVersion((sql) => client.query(sql));
  if (version === 0) {
    return pendingSteps([]);
  }
  const { rows } = await client.query(READ_HISTORY);
  return pendingSteps(rows.map(toAppliedStep));
}

async function makeLeaves(client: MigrationClient, wanted: number, width: number | undefined): Promise<number> {
  const args = width === undefined ? String(wanted) : `${wanted}, ${width}`;
  let ahead = 0;
  for (let attempt = 1; attempt <= LEAF_ATTEMPTS; attempt++) {
    const { rows } = await client.query(`select millrace.ensure_leaves(${args}) as ahead`);
    ahead = numberField(rows[0], 'ahead');
    if (ahead >= wanted) {
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, LEAF_RETRY_MS));
  }
  return ahead;
}

async function roleNotices(client: MigrationClient): Promise<string[]> {
  const { rows } = await client.query(MISSING_ROLES);
  return rows.map(
    (row) =>
      `Role ${textField(row, 'name')} does not exist and this user may not create roles. ` +
      `Ask a DBA to run "create role ${textField(row, 'name')} nologin", then run this again for its grants.`,
  );
}

function toAppliedStep(row: unknown): AppliedStep {
  return {
    version: numberField(row, 'version'),
    name: textField(row, 'name'),
    checksum: textField(row, 'checksum'),
  };
}
