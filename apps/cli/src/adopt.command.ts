import {
  type AdoptHeader,
  type AdoptRequest,
  adoptTable,
  type ExistingRows,
  planAdoption,
  releaseTable,
} from '@millrace/schema';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { cliActor } from './cli-actor.js';
import { type Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';

/** The options of `millrace migrate` that are about a table of another outbox. */
export interface AdoptCommandOptions {
  readonly adopt?: string;
  readonly release?: string;
  readonly existing?: 'skip' | 'copy';
  readonly orderBy?: string;
  readonly eventId: string;
  readonly eventKey: string;
  readonly eventType: string;
  readonly eventPayload: string;
  readonly routeBy: string;
  readonly schemaVersion?: string;
  readonly aggregateVersion?: string;
  readonly header: readonly AdoptHeader[];
  readonly payload: 'json' | 'string';
  readonly leavePublication?: string;
  readonly lockWait: number;
  readonly wait: number;
  readonly dryRun?: boolean;
}

const LOCK_WAIT_MS_MAX = 60_000;
const WAIT_SECONDS_MAX = 86_400;

/** Adds them to the command; docs/ADOPTING.md tells their use. */
export function addAdoptOptions(command: Command): Command {
  return command
    .option('--adopt <schema.table>', 'copy each new row of an outbox table (as for Debezium) into millrace.outbox')
    .option('--release <schema.table>', 'end that')
    .addOption(new Option('--existing <rows>', 'rows that are there: left alone, or copied').choices(['skip', 'copy']))
    .option('--order-by <column>', 'order in which they are copied; a column that never changes')
    .option('--event-id <column>', "the event's UUID", 'id')
    .option('--event-key <column>', 'key of the record, the aggregate id', 'aggregateid')
    .option('--event-type <column>', 'header eventType', 'type')
    .option('--event-payload <column>', 'value of the record', 'payload')
    .option('--route-by <column>', 'aggregate type, part of the topic', 'aggregatetype')
    .option('--schema-version <column>', 'header schemaversion; without it 1')
    .option('--aggregate-version <column>', 'header aggregateversion')
    .addOption(
      new Option('--header <column[:name]>', 'a column as a header; can be repeated')
        .default([], 'none')
        .argParser(addHeader),
    )
    .addOption(
      new Option('--payload <form>', 'a payload of type text is JSON, or text to be sent as a JSON string')
        .choices(['json', 'string'])
        .default('json'),
    )
    .option('--leave-publication <name>', 'take the table out of it at the same moment, so that no event comes twice')
    .addOption(
      new Option('--lock-wait <ms>', 'how long producers may be kept waiting at a time')
        .default(100)
        .argParser(wholeNumber(LOCK_WAIT_MS_MAX)),
    )
    .addOption(new Option('--wait <seconds>', 'how long to try').default(60).argParser(wholeNumber(WAIT_SECONDS_MAX)))
    .option('--dry-run', 'say what --adopt would find and do, and change nothing');
}

/** Refuses options that mean nothing together, before anything is connected. */
export function checkAdoptOptions(
  options: AdoptCommandOptions & { readonly print?: boolean },
  isGiven: (option: string) => boolean,
): void {
  const { adopt, release, existing, orderBy, dryRun, print } = options;
  const rules: readonly (readonly [boolean, string])[] = [
    [adopt !== undefined && release !== undefined, 'Give --adopt or --release, not both.'],
    [release !== undefined && print === true, '--release has nothing to print: leave --print out.'],
    [adopt === undefined && ADOPT_ONLY.some(isGiven), ADOPT_ONLY_SENTENCE],
    [existing === 'copy' && orderBy === undefined, '--existing copy needs --order-by <column>.'],
    [existing !== 'copy' && orderBy !== undefined, '--order-by goes with --existing copy.'],
    [existing === 'copy' && print === true, 'A copy of rows runs in many steps: --print shows --existing skip only.'],
    [dryRun === true && print === true, 'Give --dry-run or --print, not both.'],
  ];
  const broken = rules.find(([applies]) => applies);
  if (broken !== undefined) {
    throw new UsageError(broken[1]);
  }
}

const ADOPT_ONLY = [
  'existing',
  'orderBy',
  'eventId',
  'eventKey',
  'eventType',
  'eventPayload',
  'routeBy',
  'schemaVersion',
  'aggregateVersion',
  'header',
  'payload',
  'leavePublication',
  'dryRun',
];
const EXISTING_CHOICES = '--existing skip leaves them alone, --existing copy --order-by <column> publishes them, too.';
const ADOPT_ONLY_SENTENCE =
  '--existing, --order-by, --event-..., --route-by, --...-version, --header, --payload, --leave-publication and ' +
  '--dry-run go with --adopt <schema.table>.';

/** Makes the trigger, or tells what it would do. */
export async function adopt(databaseUrl: string, options: AdoptCommandOptions, terminal: Terminal): Promise<void> {
  const request = toRequest(options);
  const target = { databaseUrl };
  if (options.dryRun === true) {
    const { table, findings, hasRows } = await planAdoption(target, request);
    notes(findings, terminal);
    if (hasRows && request.existing === undefined) {
      notes([`${table} holds rows: to adopt it, say what is to become of them. ${EXISTING_CHOICES}`], terminal);
    }
    terminal.out(`${table} can be adopted. Nothing was changed.\n`);
    return;
  }
  const result = await adoptTable(target, request, {
    lockWaitMs: options.lockWait,
    waitMs: options.wait * 1_000,
    onCopied: (rows) => {
      terminal.err(`${rows} older rows copied.\n`);
    },
  });
  notes(result.findings, terminal);
  const outcomes = {
    adopted: 'is adopted: each new row is copied into millrace.outbox by its own INSERT',
    changed: 'was adopted before, and is changed to what was asked for now',
    unchanged: 'was adopted before; nothing was to do',
  };
  terminal.out(`${result.table} ${outcomes[result.outcome]}.\n`);
  if (options.existing === 'copy') {
    terminal.out(`${result.copied} older rows come before them.\n`);
  }
  terminal.out(`A relay that has confirmed LSN ${result.lsn} has read all older rows.\n`);
}

/** The script of what `adopt` would run, for a DBA. */
export async function adoptScript(databaseUrl: string, options: AdoptCommandOptions): Promise<string> {
  return (await planAdoption({ databaseUrl }, toRequest(options))).script;
}

/** Removes the trigger. */
export async function release(databaseUrl: string, options: AdoptCommandOptions, terminal: Terminal): Promise<void> {
  const request = { table: options.release ?? '', actor: cliActor() };
  const { table, isReleased } = await releaseTable({ databaseUrl }, request, {
    lockWaitMs: options.lockWait,
    waitMs: options.wait * 1_000,
  });
  terminal.out(
    isReleased ? `${table} is released: its new rows are not copied any more.\n` : `${table} was not adopted.\n`,
  );
}

function toRequest(options: AdoptCommandOptions): AdoptRequest {
  const existing = toExisting(options);
  return {
    table: options.adopt ?? '',
    columns: {
      id: options.eventId,
      routeBy: options.routeBy,
      key: options.eventKey,
      type: options.eventType,
      payload: options.eventPayload,
      schemaVersion: options.schemaVersion ?? null,
      aggregateVersion: options.aggregateVersion ?? null,
    },
    headers: options.header,
    payloadAs: options.payload,
    ...(existing === null ? {} : { existing }),
    ...(options.leavePublication === undefined ? {} : { leavePublication: options.leavePublication }),
    actor: cliActor(),
  };
}

function toExisting({ existing, orderBy }: AdoptCommandOptions): ExistingRows | null {
  if (existing === 'copy' && orderBy !== undefined) {
    return { kind: 'copy', orderBy };
  }
  return existing === 'skip' ? { kind: 'skip' } : null;
}

function notes(findings: readonly string[], terminal: Terminal): void {
  for (const finding of findings) {
    terminal.err(`Note: ${finding}\n`);
  }
}

const HEADER = /^(?<column>[^:]+)(:header)?(:(?<name>[^:]+))?$/;

/** `column`, `column:name`, or as Debezium writes it: `column:header:name`. */
function addHeader(text: string, before: readonly AdoptHeader[]): readonly AdoptHeader[] {
  const parts = HEADER.exec(text)?.groups;
  const column = parts?.['column'];
  if (column === undefined) {
    throw new InvalidArgumentError('Give column, column:name or column:header:name.');
  }
  return [...before, { column, name: parts?.['name'] ?? column }];
}

function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > max) {
      throw new InvalidArgumentError(`Give a whole number from 1 to ${max}.`);
    }
    return value;
  };
}
