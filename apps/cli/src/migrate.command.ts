import { migrate, printMigration } from '@millrace/schema';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  addAdoptOptions,
  adopt,
  type AdoptCommandOptions,
  adoptScript,
  checkAdoptOptions,
  release,
} from './adopt.command.js';
import { databaseUrlOption, givenUrl } from './database-url.js';
import { type Terminal } from './terminal.js';

interface MigrateCommandOptions extends AdoptCommandOptions {
  readonly databaseUrl?: string;
  readonly print?: boolean;
  readonly ahead: number;
}

const LEAVES_AHEAD_MAX = 1_000;

/** `millrace migrate`: prepares one database, or brings it to this release; has a table of another outbox adopted. */
export function addMigrateCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('migrate')
    .description('create schema millrace in a database, or bring it to this release; can be repeated')
    .addOption(databaseUrlOption())
    .option('--print', 'print the SQL that would run (all of it without a database URL), and change nothing')
    .addOption(
      new Option('--ahead <leaves>', 'outbox leaves of 1,000,000 positions to make ahead')
        .default(10)
        .argParser(parseLeaves),
    );
  addAdoptOptions(command).action(async (options: MigrateCommandOptions) => {
    checkAdoptOptions(options, (option) => command.getOptionValueSource(option) === 'cli');
    await (options.print === true ? print(options, terminal) : run(options, terminal));
  });
}

async function print(options: MigrateCommandOptions, terminal: Terminal): Promise<void> {
  const { databaseUrl, ahead } = options;
  const target = databaseUrl === undefined ? null : { databaseUrl };
  const script = await printMigration(target, { leavesAhead: ahead });
  if (options.adopt === undefined) {
    terminal.out(script);
    return;
  }
  terminal.out(`${script}\n${await adoptScript(givenUrl(databaseUrl, 'migrate'), options)}`);
}

async function run(options: MigrateCommandOptions, terminal: Terminal): Promise<void> {
  const databaseUrl = givenUrl(options.databaseUrl, 'migrate');
  if (options.release !== undefined) {
    await release(databaseUrl, options, terminal);
    return;
  }
  if (options.dryRun !== true) {
    await apply(databaseUrl, options.ahead, terminal);
  }
  if (options.adopt !== undefined) {
    await adopt(databaseUrl, options, terminal);
  }
}

async function apply(databaseUrl: string, ahead: number, terminal: Terminal): Promise<void> {
  const { version, applied, leavesAhead, notices } = await migrate({ databaseUrl }, { leavesAhead: ahead });
  for (const step of applied) {
    terminal.out(`Applied step ${step.version}: ${step.name}.\n`);
  }
  const state = applied.length === 0 ? 'was already' : 'is now';
  terminal.out(`Schema millrace ${state} at version ${version}; ${leavesAhead} outbox leaves lie ahead.\n`);
  for (const notice of notices) {
    terminal.err(`Note: ${notice}\n`);
  }
}

function parseLeaves(text: string): number {
  const leaves = Number(text);
  if (!/^\d+$/.test(text) || leaves < 1 || leaves > LEAVES_AHEAD_MAX) {
    throw new InvalidArgumentError(`Give a whole number from 1 to ${LEAVES_AHEAD_MAX}.`);
  }
  return leaves;
}
