import { CaptureError } from '@millrace/capture';
import { InboxError } from '@millrace/inbox/admin';
import { SchemaError } from '@millrace/schema';
import { Command, CommanderError } from 'commander';
import { EXIT_CODE, exitCodeOf } from './exit-code.js';
import { addHeldKeysCommands } from './held-keys.command.js';
import { addInboxCommands } from './inbox.command.js';
import { addLedgerCommands } from './ledger.command.js';
import { addMigrateCommand } from './migrate.command.js';
import { addParkedCommands } from './parked.command.js';
import { addRetentionCommands } from './retention.command.js';
import { type Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';
import { VERSION } from './version.js';

/** Each adds one command, or one group of them, in the order of the help text. */
const COMMANDS: readonly ((program: Command, terminal: Terminal) => void)[] = [
  addMigrateCommand,
  addLedgerCommands,
  addRetentionCommands,
  addParkedCommands,
  addHeldKeysCommands,
  addInboxCommands,
];

const FOOTER = `
A command comes first, then its options, in any order: millrace migrate --database-url URL --ahead 20
Exit codes: 0 done; 1 refused or failed; 2 wrong arguments; 3 the database cannot be reached or does not let us in.`;

/** Runs one command line (without node and script) and returns the exit code; writes every error as one sentence. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = new Command('millrace')
    .description('Transactional outbox and CDC for PostgreSQL and Kafka')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand(false)
    .addHelpText('after', FOOTER)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        terminal.out(text);
      },
      writeErr: (text) => {
        terminal.err(withoutPasswords(text));
      },
    });
  for (const add of COMMANDS) {
    add(program, terminal);
  }
  try {
    await program.parseAsync(toUnknownCommand(program, args) ?? args, { from: 'user' });
    return EXIT_CODE.done;
  } catch (error) {
    report(error, terminal);
    return exitCodeOf(error);
  }
}

/** The arguments up to a command that there is not: with a --help behind it commander would show other help instead. */
function toUnknownCommand(program: Command, args: readonly string[]): readonly string[] | null {
  let command = program;
  for (const [at, arg] of args.entries()) {
    if (arg.startsWith('-') || command.commands.length === 0) {
      return null;
    }
    const named = command.commands.find((one) => one.name() === arg);
    if (named === undefined) {
      return args.slice(0, at + 1);
    }
    command = named;
  }
  return null;
}

/** commander has written its own errors by now. */
function report(error: unknown, terminal: Terminal): void {
  if (error instanceof CommanderError) {
    return;
  }
  const isExpected = [CaptureError, InboxError, SchemaError, UsageError].some((expected) => error instanceof expected);
  const message = error instanceof Error ? error.message : 'unknown error';
  terminal.err(isExpected ? `error: ${message}\n` : `error: unexpected: ${message}\n`);
}

/** An argument that commander quotes back may be a database URL. */
function withoutPasswords(text: string): string {
  return text.replace(/(\/\/[^:/@\s]*):[^@\s]*@/g, '$1:***@');
}
