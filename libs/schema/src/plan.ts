import { createHash } from 'node:crypto';
import { CREATE_HISTORY, MIGRATION_LOCK } from './history.sql.js';
import { type Migration } from './migration.js';
import { MIGRATIONS, SCHEMA_VERSION } from './migrations.js';
import { refuseNewer } from './require-schema.js';
import { CREATE_ROLES, GRANTS } from './roles.sql.js';
import { SchemaError } from './schema.errors.js';

/** One row of `millrace.migration`. */
export interface AppliedStep {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
}

/** SHA-256 of the text that was, or would be, run. */
export function checksumOf(step: Migration): string {
  return createHash('sha256').update(step.up).digest('hex');
}

/**
 * The steps that a database with this history still needs, oldest first. Throws `schema_too_new` when the history is
 * ahead of this release and `step_changed` when a step was applied with another text.
 */
export function pendingSteps(history: readonly AppliedStep[]): readonly Migration[] {
  refuseNewer(Math.max(0, ...history.map(({ version }) => version)), SCHEMA_VERSION);
  const applied = new Map(history.map((step) => [step.version, step]));
  for (const step of MIGRATIONS) {
    refuseChanged(step, applied.get(step.version));
  }
  return MIGRATIONS.filter(({ version }) => !applied.has(version));
}

/** The SQL of one step: its text and its row of the history, for the same transaction. */
export function stepSql(step: Migration): string {
  const create = step.version === 1 ? `${CREATE_HISTORY}\n` : '';
  const values = `(${step.version}, '${step.name}', '${checksumOf(step)}')`;
  return `${create}${step.up}\ninsert into millrace.migration (version, name, checksum) values ${values};`;
}

/** The whole script that `millrace migrate` would run for these steps, for a DBA to read and to run with psql. */
export function scriptSql(steps: readonly Migration[], leavesAhead: number): string {
  const transaction = (title: string, sql: string): string =>
    `-- ${title}\nbegin;\nset local lock_timeout = '10s';\n${MIGRATION_LOCK};\n${sql}\ncommit;\n`;
  return [
    '\\set ON_ERROR_STOP on\n',
    ...steps.map((step) => transaction(`step ${step.version}: ${step.name}`, stepSql(step))),
    `-- group roles (of the cluster; members are your login roles)\n${CREATE_ROLES}\n`,
    transaction('grants', GRANTS),
    `-- leaves of the outbox ahead of the sequence\nselect millrace.ensure_leaves(${leavesAhead});\n`,
  ].join('\n');
}

function refuseChanged(step: Migration, applied: AppliedStep | undefined): void {
  const checksum = checksumOf(step);
  if (applied !== undefined && applied.checksum !== checksum) {
    throw new SchemaError(
      'step_changed',
      `Step ${step.version} (${step.name}) was applied with another text: checksum ` +
        `${applied.checksum.slice(0, 12)} in the database, ${checksum.slice(0, 12)} in this release. ` +
        'Use the release that migrated this database, or migrate a new database.',
    );
  }
}
