import pg from 'pg';
import {
  attachSql,
  functionNameOf,
  functionSql,
  TRIGGER,
  triggerBody,
  type TriggerTarget,
} from './adopted-trigger.sql.js';
import {
  type AdoptedTable,
  isPublished,
  mapEvent,
  readFitTable,
  readTable,
  requireColumn,
  requirePublication,
} from './adopted-table.js';
import { triggerSql } from './adopted-table.sql.js';
import { type EventMapping } from './adopted-event.sql.js';
import {
  type AdoptOptions,
  type AdoptPlan,
  type AdoptRequest,
  type AdoptResult,
  type ReleaseRequest,
  type ReleaseResult,
} from './adoption.js';
import { type AdoptionState, finishCopy, readAdoption } from './adopt-copy.js';
import { auditSql, deleteAdoptionSql, insertAdoptionSql, updateRequestSql, wasAdoptedSql } from './adopt.sql.js';
import { checkRows, findingsOf, findingsOfOrder, requireNoRows, rowsUndecided } from './existing-rows.js';
import {
  inTransaction,
  type MigrationClient,
  type MigrationTarget,
  requireServer,
  withClient,
} from './migration-connection.js';
import { MIGRATION_LOCK } from './history.sql.js';
import { requireSchema } from './require-schema.js';
import { field, textField } from './row-field.js';
import { SchemaError } from './schema.errors.js';
import { underTableLock } from './table-lock.js';

const LOCK_WAIT_MS = 100;
const WAIT_MS = 60_000;
const CHUNK_ROWS = 2_000;
const LOCK_TIMEOUT_MS = 10_000;

/** All that is known of the table before anything is changed. */
interface Subject {
  readonly table: AdoptedTable;
  readonly mapping: EventMapping;
  /** More are added while the work goes on. */
  readonly findings: string[];
  readonly hasRows: boolean;
}

interface Work {
  readonly client: MigrationClient;
  readonly subject: Subject;
  readonly request: AdoptRequest;
  readonly options: Required<AdoptOptions>;
}

/**
 * Has each new row of an outbox table copied into `millrace.outbox` by a trigger, in the transaction of its producer:
 * committed with the row, rolled back with it, in the order of the inserts, and kept when the row is deleted. Producers
 * need no change and no right, and wait at most `lockWaitMs` at a time. Older rows are skipped, or copied before the
 * new ones. Repeatable: a run that was cut short is gone on with; other columns replace those of before. Throws
 * `SchemaError`; the schema must have been migrated.
 */
export async function adoptTable(
  target: MigrationTarget,
  request: AdoptRequest,
  options: AdoptOptions = {},
): Promise<AdoptResult> {
  return await withClient(target, async (client) => {
    await requireServer(client);
    await requireSchema((sql) => client.query(sql));
    const subject = await inspect(client, request);
    const work = { client, subject, request, options: withDefaults(options) };
    const earlier = await readAdoption(client, subject.table);
    const outcome = earlier === null ? await install(work) : await renew(work, earlier);
    const functionName = (await readTrigger(client, subject.table))?.functionName ?? nameFor(subject.table);
    await finishCopy(client, { ...subject, ...work.options, functionName });
    const copied = (await readAdoption(client, subject.table))?.copied ?? 0;
    return { table: subject.table.name, outcome, copied, findings: subject.findings, lsn: await readLsn(client) };
  });
}

/** What `adoptTable` would find and run; changes nothing, and needs no schema. Throws as it does. */
export async function planAdoption(target: MigrationTarget, request: AdoptRequest): Promise<AdoptPlan> {
  return await withClient(target, async (client) => {
    await requireServer(client);
    const subject = await inspect(client, request);
    if (request.leavePublication !== undefined) {
      await requirePublication(client, subject.table, request.leavePublication);
    }
    const sql = installSql({ subject, request }, 'outbox').join('\n');
    const script = [
      `-- adopt ${subject.table.name}; run it again while the lock does not come: nothing is half done`,
      `begin;\nset local lock_timeout = '${LOCK_WAIT_MS}ms';\nset local idle_in_transaction_session_timeout = '5s';\n${MIGRATION_LOCK};`,
      `lock table ${subject.table.name} in share row exclusive mode;`,
      `${sql}\ncommit;\n`,
    ].join('\n');
    return { table: subject.table.name, findings: subject.findings, hasRows: subject.hasRows, script };
  });
}

/** Ends what `adoptTable` began; rows inserted from then on are no events of Millrace's. Repeatable. */
export async function releaseTable(
  target: MigrationTarget,
  { table: name, actor }: ReleaseRequest,
  options: AdoptOptions = {},
): Promise<ReleaseResult> {
  return await withClient(target, async (client) => {
    await requireSchema((sql) => client.query(sql));
    const table = await readTable(client, name);
    const { lockWaitMs, waitMs } = withDefaults(options);
    refuseUnfinished(table, await readAdoption(client, table));
    const trigger = await readTrigger(client, table);
    if (trigger === null) {
      await client.query(deleteAdoptionSql(table.oid, table.name));
      return { table: table.name, isReleased: false };
    }
    await underTableLock(client, { table, mode: 'access exclusive', lockWaitMs, waitMs }, async () => {
      refuseUnfinished(table, await readAdoption(client, table));
      await client.query(`drop trigger if exists ${TRIGGER} on ${table.name}`);
      await client.query(`drop function if exists millrace.${trigger.functionName}()`);
      await client.query(deleteAdoptionSql(table.oid, table.name));
      await client.query(auditSql(actor, 'outbox.release', table.name, null));
    });
    return { table: table.name, isReleased: true };
  });
}

async function inspect(client: MigrationClient, request: AdoptRequest): Promise<Subject> {
  const table = await readFitTable(client, request.table);
  const mapping = mapEvent(table, request);
  const orderBy = orderByOf(request);
  const findings: string[] = [];
  if (orderBy !== null) {
    findings.push(...findingsOfOrder(table, requireColumn(table, { name: orderBy, option: '--order-by' })));
  }
  const report = await checkRows(client, table, mapping, orderBy);
  findings.push(...(await findingsOf(client, table, mapping, report)));
  return { table, mapping, findings, hasRows: report.rows > 0 };
}

/** The trigger, the cut of the publication and the record of it, in one transaction under the lock. */
async function install({ client, subject, request, options }: Work): Promise<AdoptResult['outcome']> {
  const { table, hasRows, findings } = subject;
  if (hasRows && request.existing === undefined) {
    throw rowsUndecided(table, 'holds rows');
  }
  if (orderByOf(request) !== null && (await client.query(wasAdoptedSql(table.name))).rows.length > 0) {
    findings.push(
      `${table.name} was adopted before: of its older rows, those that were copied then come again, with the same id.`,
    );
  }
  if (request.leavePublication !== undefined) {
    await requirePublication(client, table, request.leavePublication);
  }
  const target = orderByOf(request) === null ? 'outbox' : 'held';
  const isMine = await underTableLock(client, { ...options, table, mode: 'share row exclusive' }, async () => {
    if ((await readAdoption(client, table)) !== null) {
      return false;
    }
    if (request.existing === undefined) {
      // a transaction that was open at the check may have brought some
      await requireNoRows(client, table, options.lockWaitMs);
    }
    for (const sql of installSql({ subject, request }, target)) {
      await client.query(sql);
    }
    return true;
  });
  return isMine ? 'adopted' : 'unchanged';
}

function installSql({ subject, request }: Pick<Work, 'subject' | 'request'>, target: TriggerTarget): string[] {
  const { table, mapping } = subject;
  const functionName = nameFor(table);
  const details = JSON.stringify({ ...toDetails(subject), existing: request.existing ?? null });
  const publication = request.leavePublication;
  return [
    functionSql(functionName, triggerBody({ ...table, mapping }, target)),
    attachSql(table.name, functionName),
    ...(publication === undefined
      ? []
      : [`alter publication ${pg.escapeIdentifier(publication)} drop table ${table.name};`]),
    `${insertAdoptionSql(table.oid, orderByOf(request), details)};`,
    `${auditSql(request.actor, 'outbox.adopt', table.name, details)};`,
  ];
}

/** Brings trigger and function of an adopted table to what is asked for now. */
async function renew(work: Work, earlier: AdoptionState): Promise<AdoptResult['outcome']> {
  const { client, subject, options } = work;
  const { table, findings } = subject;
  await refuseOtherWishes(work, earlier);
  const trigger = await readTrigger(client, table);
  const functionName = trigger?.functionName ?? nameFor(table);
  if (trigger?.isComplete === true) {
    return trigger.source === bodyOf(subject, earlier)
      ? 'unchanged'
      : await inTransaction(client, LOCK_TIMEOUT_MS, async () => await changeFunction(work, functionName));
  }
  findings.push(
    `The trigger on ${table.name} was missing or disabled, and is mended: rows that were inserted meanwhile are not in ` +
      'the outbox.',
  );
  return await underTableLock(client, { ...options, table, mode: 'share row exclusive' }, async () => {
    const outcome = await changeFunction(work, functionName);
    await client.query(attachSql(table.name, functionName));
    return outcome;
  });
}

/**
 * What was decided at the adoption cannot be decided again; to pass over it in silence would let rows be lost or
 * doubled.
 */
async function refuseOtherWishes({ client, subject, request }: Work, earlier: AdoptionState): Promise<void> {
  const { table } = subject;
  const { existing, leavePublication } = request;
  const refuse = (reason: string): never => {
    throw new SchemaError('already_adopted', `${table.name} was adopted before${reason}`);
  };
  if (existing?.kind === 'copy' && earlier.orderBy === null) {
    refuse(
      ' without its older rows, and by now they cannot be told from those that were copied. Leave --existing copy out.',
    );
  }
  if (existing !== undefined && earlier.state !== 'adopted' && orderByOf(request) !== earlier.orderBy) {
    refuse(
      `, and the copy of its older rows is not finished. Finish it with --existing copy --order-by ${earlier.orderBy ?? ''}.`,
    );
  }
  if (leavePublication !== undefined && (await isPublished(client, table, leavePublication))) {
    refuse(
      ` and is still in publication ${leavePublication}: rows since then come twice, with the same id. Take it out with ` +
        'alter publication, or release the table and adopt it again.',
    );
  }
}

/** Needs no lock on the table: from its next row on each producer runs the new text. */
async function changeFunction({ client, subject, request }: Work, functionName: string): Promise<'changed'> {
  const { table } = subject;
  const adoption = await readAdoption(client, table);
  const details = JSON.stringify(toDetails(subject));
  await client.query(functionSql(functionName, bodyOf(subject, adoption)));
  await client.query(updateRequestSql(table.oid, details));
  await client.query(auditSql(request.actor, 'outbox.adopt', table.name, details));
  return 'changed';
}

function bodyOf({ table, mapping }: Subject, adoption: AdoptionState | null): string {
  return triggerBody({ ...table, mapping }, adoption?.state === 'adopted' ? 'outbox' : 'held');
}

interface FoundTrigger {
  readonly functionName: string;
  readonly source: string;
  readonly isComplete: boolean;
}

async function readTrigger(client: MigrationClient, table: AdoptedTable): Promise<FoundTrigger | null> {
  const { rows } = await client.query(triggerSql(table.oid, TRIGGER));
  const [row] = rows;
  if (row === undefined) {
    return null;
  }
  return {
    functionName: textField(row, 'function_name'),
    source: textField(row, 'source'),
    isComplete: field(row, 'is_complete') === true,
  };
}

async function readLsn(client: MigrationClient): Promise<string> {
  const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as lsn');
  return textField(rows[0], 'lsn');
}

function refuseUnfinished(table: AdoptedTable, adoption: AdoptionState | null): void {
  if (adoption !== null && adoption.state !== 'adopted') {
    throw new SchemaError(
      'already_adopted',
      `The copy of older rows of ${table.name} is not finished, and new events wait for it. Finish it with millrace ` +
        `migrate --adopt ${table.name}, then release the table.`,
    );
  }
}

/** What is kept of it; the name tells when another table has taken its place. */
function toDetails({ table, mapping }: Subject): object {
  return { table: table.name, ...mapping };
}

function nameFor(table: AdoptedTable): string {
  return functionNameOf(table.bareName, table.oid);
}

function orderByOf({ existing }: AdoptRequest): string | null {
  return existing?.kind === 'copy' ? existing.orderBy : null;
}

function withDefaults(options: AdoptOptions): Required<AdoptOptions> {
  return {
    lockWaitMs: options.lockWaitMs ?? LOCK_WAIT_MS,
    waitMs: options.waitMs ?? WAIT_MS,
    chunkRows: options.chunkRows ?? CHUNK_ROWS,
    onCopied: options.onCopied ?? (() => undefined),
  };
}
