import {
  acceptLeafCount,
  CaptureError,
  durationMs,
  inspectLeafCount,
  type LeafCountInspection,
  type LeafObstacle,
  letRouteGoOn,
  readRetentionStatus,
} from '@millrace/capture';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { cliActor } from './cli-actor.js';
import { databaseUrlOption, givenUrl } from './database-url.js';
import { historyJson, historyLines } from './history-lines.js';
import { type Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';

interface SourceOptions {
  readonly databaseUrl?: string;
}

interface StatusOptions extends SourceOptions {
  readonly keep?: number;
  readonly json?: boolean;
}

interface LetGoOnOptions extends SourceOptions {
  readonly route: string;
  readonly reason: string;
  readonly exempt: number;
}

interface AcceptOptions extends SourceOptions {
  readonly leaf: bigint;
  readonly rows?: number;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

const VERDICTS_MAX = 5;
const DAY_MS = 86_400_000;

/** `millrace retention ...`: the history of an outbox, and what an operator decides about it. */
export function addRetentionCommands(program: Command, terminal: Terminal): void {
  const retention = program.command('retention').description('the history of an outbox, and what becomes of it');
  addStatus(retention, terminal);
  addLetGoOn(retention, terminal);
  addAcceptCount(retention, terminal);
}

function addStatus(retention: Command, terminal: Terminal): void {
  withSource(retention, 'status', 'show the leaves, what they wait for, and what each route holds up')
    .addOption(
      new Option('--keep <time>', "the relay's time to keep, such as 7d: tells which leaves are due").argParser(
        parseTime,
      ),
    )
    .option('--json', 'one JSON object, for programs')
    .action(async (options: StatusOptions) => {
      const status = await readRetentionStatus({
        databaseUrl: givenUrl(options.databaseUrl, 'retention status'),
        keepMs: options.keep ?? null,
        verdictsMax: VERDICTS_MAX,
      });
      terminal.out(options.json === true ? historyJson(status) : historyLines(status));
    });
}

function addLetGoOn(retention: Command, terminal: Terminal): void {
  withSource(retention, 'let-go-on', 'let a route that has expired go on with the rows that are still there')
    .requiredOption('--route <route>', 'the route that stopped with route_expired, or its shard')
    .requiredOption('--reason <text>', 'why it is right; kept in the audit trail')
    .addOption(
      new Option('--exempt <time>', 'so long it does not expire again, whatever it holds')
        .default(DAY_MS, '1d')
        .argParser(parseTime),
    )
    .action(async (options: LetGoOnOptions) => {
      const { route, reason, exempt: exemptMs } = options;
      const databaseUrl = givenUrl(options.databaseUrl, 'retention let-go-on');
      const result = await letRouteGoOn({ databaseUrl, route, reason, exemptMs, actor: cliActor() });
      if (result.kind === 'not_expired') {
        terminal.out(`Route ${route} has not expired. Nothing was changed.\n`);
        return;
      }
      const { lost } = result;
      const gone =
        lost === null
          ? 'No row that it had not settled was removed.'
          : `Rows that it had not settled were removed among positions ${lost.from} to ${lost.to}: make up for them.`;
      terminal.out(`Route ${route} may go on. ${gone} Resume it where it is stopped.\n`);
    });
}

function addAcceptCount(retention: Command, terminal: Terminal): void {
  withSource(retention, 'accept-count', 'take the rows that a leaf has for the ones that were read')
    .addOption(
      new Option('--leaf <position>', 'first position of the leaf; 0 is the default partition')
        .makeOptionMandatory()
        .argParser(parsePosition),
    )
    .option('--dry-run', 'tell the rows and what each route has read, and change nothing')
    .addOption(new Option('--rows <number>', 'the rows of the leaf as the dry run told them').argParser(parseRows))
    .option('--reason <text>', 'why it is right; kept in the audit trail')
    .action(async (options: AcceptOptions) => {
      const { leaf: lo, rows, reason } = options;
      const databaseUrl = givenUrl(options.databaseUrl, 'retention accept-count');
      if (options.dryRun !== true && (rows === undefined || reason === undefined)) {
        throw new UsageError('Look first with --dry-run, then give --rows as it told them, and --reason.');
      }
      const found = await inspectLeafCount({ databaseUrl, lo });
      terminal.out(inspectionLines(found));
      if (options.dryRun === true || found.kind !== 'differs') {
        terminal.out('Nothing was changed.\n');
        return;
      }
      if (rows !== found.rows) {
        throw new UsageError(`The leaf has ${found.rows} rows now, not ${rows ?? 0}: look again with --dry-run.`);
      }
      const result = await acceptLeafCount({ databaseUrl, lo, rows, actor: cliActor(), reason: reason ?? null });
      terminal.out(
        result.kind === 'accepted'
          ? 'Accepted: the leaf can be emptied now.\n'
          : 'The leaf has changed meanwhile, or somebody has it locked. Nothing was changed: try again.\n',
      );
    });
}

function inspectionLines(found: LeafCountInspection): string {
  switch (found.kind) {
    case 'refused':
      throw new CaptureError('internal', refusal(found.obstacle, found.route));
    case 'fits':
      return `The leaf has ${found.rows} rows, and every route has read exactly these.\n`;
    case 'differs':
      return [
        `The leaf has ${found.rows} rows.`,
        ...found.routes.map(
          (one) => `Route ${one.route} has read ${one.counted} of it and should have read ${one.found}.`,
        ),
        '',
      ].join('\n');
  }
}

function refusal(obstacle: LeafObstacle, route: string | null): string {
  if (obstacle === 'unknown_leaf') {
    return 'No leaf begins at this position: millrace retention status lists all.';
  }
  if (obstacle === 'held') {
    return route === null
      ? 'Nothing came of the last positions of this leaf: its count is final after the next row.'
      : `Route ${route} has not settled the leaf yet: its count is not final.`;
  }
  return obstacle === 'identity_changed'
    ? `The ledger of route ${route ?? ''} belongs to another server or timeline: its count is not final before the route ` +
        'has repaired it, which it does by itself when it runs.'
    : 'New rows still go to this leaf: its count is not final.';
}

function withSource(retention: Command, name: string, description: string): Command {
  return retention.command(name).description(description).addOption(databaseUrlOption("the source's"));
}

function parseTime(text: string): number {
  const ms = durationMs(text);
  if (ms === null) {
    throw new InvalidArgumentError('Give a time such as 7d, 12h, 30m or 45s.');
  }
  return ms;
}

function parsePosition(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) {
    throw new InvalidArgumentError('Give the first position of a leaf, a whole number.');
  }
  return BigInt(text);
}

function parseRows(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new InvalidArgumentError('Give a whole number.');
  }
  return Number(text);
}
